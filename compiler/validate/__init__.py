"""Stage 2, validate: Document -> SourceIR, by schema and by what a schema cannot say."""
