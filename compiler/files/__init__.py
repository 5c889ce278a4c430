"""Files: which may be read, what can be wrong with their text, writing them whole; what generated ones are called."""
