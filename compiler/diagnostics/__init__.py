"""Findings: what one is, every code, its explanation, and the forms in which findings are shown."""
