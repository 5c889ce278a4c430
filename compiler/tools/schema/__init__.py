"""`pflow-lower schema`: the schemas of what the tool reads and writes."""
