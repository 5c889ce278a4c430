"""The adapter for the present pflow: a compiled workflow gets its generated classes."""
