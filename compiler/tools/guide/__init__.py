"""`pflow-lower guide`."""
