"""What the user of the pipeline chose."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple


class Options(NamedTuple):
    """What the user chose."""

    nodes_file: Path | None = None
    """A TOML file that says which class a node type is."""
    out: Path | None = None
    """The folder that the files are for; their header names the workflow relative to it."""
    code: bool = True
    """Whether generated code is wanted; without it there is `lowered.json` only, in less time."""
    program: bool = False
    """Whether to emit `flow.py`, the whole workflow as a program, too."""
    standalone: bool = False
    """Whether to emit a copy of the runtime, so that the files need only pocketflow."""
    maps: bool = False
    """Whether to write a source map beside each file: which place of the workflow its lines come from."""
    ask_pflow: bool = False
    """Whether pflow's own validator is asked, too, about a Markdown workflow."""
    children: bool = True
    """Whether the workflows that its nodes start are looked at, in their files beside it."""
