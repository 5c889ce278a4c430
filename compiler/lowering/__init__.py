"""Stage 4, lower: SourceIR -> LoweredIR by closure conversion."""
