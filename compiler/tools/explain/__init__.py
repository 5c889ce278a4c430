"""`pflow-lower explain`: what codes and generated lines mean, in words."""
