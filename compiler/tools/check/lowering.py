"""What there is to check: a folder of generated files, and how they were made."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from ...generated_header import Header
from ...options import Options


class Lowering(NamedTuple):
    """A folder that holds, or should hold, what `workflow` is lowered to."""

    folder: Path
    workflow: Path
    said_by: Path
    """The file that says so: a generated module, by its header, or a table."""
    program: bool = False
    standalone: bool = False
    nodes_file: Path | None = None
    maps: bool = False

    @property
    def options(self) -> Options:
        """What makes the files again."""
        return Options(
            nodes_file=self.nodes_file,
            out=self.folder,
            program=self.program,
            standalone=self.standalone,
            maps=self.maps,
            code=True,
            ask_pflow=True,
        )


def from_header(module: Path, header: Header) -> Lowering:
    """The lowering that the header of a generated module tells of."""
    return Lowering(
        folder=module.parent,
        workflow=beside(module.parent, header.source),
        said_by=module,
        program=header.program,
        standalone=header.standalone,
        nodes_file=None if header.nodes_file is None else beside(module.parent, header.nodes_file),
        maps=header.maps,
    )


def beside(folder: Path, name: str) -> Path:
    """`name`, relative to `folder`, as a path without `..` in its middle; links are not followed, as in `cd`."""
    return Path(os.path.normpath(folder / name))
