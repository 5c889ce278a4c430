"""Generated files into a folder: what is there already, what is in the way, and writing them."""
