"""What there is to check: a folder of generated files, and how they were made."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from ...files.generated_header import Header
from ...node_types.project_file import shown_path
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

    def clash(self, other: Lowering) -> str:
        """What is wrong where this and `other`, of the same folder, are both asked for; "" if they are the same."""
        folder, mine, others = shown_path(self.folder), shown_path(self.workflow), shown_path(other.workflow)
        if os.path.abspath(self.workflow) != os.path.abspath(other.workflow):
            return f"{mine} and {others} are both written to {folder}"
        keys = [key for key in _TOLD_APART if getattr(self, key) != getattr(other, key)]
        if not keys:
            return ""
        names = ", ".join(key.removesuffix("_file") for key in keys)
        return f"{mine} is written to {folder} twice, in two ways: {names}"


_TOLD_APART = ("program", "standalone", "maps", "nodes_file")


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
