"""The kernel-memory ledger: what is growing that no process owns, who holds it, and when it runs out."""
