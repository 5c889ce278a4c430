"""`pflow-lower journal`: what earlier runs have left for the next ones."""
