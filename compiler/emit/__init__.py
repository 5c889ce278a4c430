"""Stage 5, emit: LoweredIR -> the text of every generated file, and the checks of that text."""
