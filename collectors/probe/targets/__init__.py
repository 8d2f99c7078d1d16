"""What to probe: target syntax, file_sd files, and the mesh of peers chosen by rendezvous hashing."""
