"""Stage 1, load: bytes (or a dict) -> `Document`."""
