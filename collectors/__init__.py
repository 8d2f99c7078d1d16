"""What the host says, and what that means. The lowest layer: it imports nothing from the layers above."""
