"""What generated files are called. A leaf: whoever writes, recognises or removes them has their names from here."""

from __future__ import annotations

from .ir.lowered import MODULE

LOWERED = "lowered.json"
"""The expanded IR, which stands in every folder of generated files and has no place for a header."""
CLASSES = f"{MODULE}.py"
"""The module of generated classes."""
PROGRAM = "flow.py"
"""The whole workflow as a PocketFlow program."""
REQUIREMENTS = "requirements.txt"
"""What has to be installed where files with a copy of the runtime are to run."""
MAP = ".map.json"
"""How the name of a source map ends."""
