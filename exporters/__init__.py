"""Reports in other systems' words. Imports collectors.model, never a collector."""
