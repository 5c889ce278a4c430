"""Stage 3, analyse: whether every reference resolves, what varies with the item, which shape a batch takes."""
