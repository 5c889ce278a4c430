"""The patterns of every table of pflow-lower: those of .gitignore."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from .workflow_files import is_skipped, walk


class Glob:
    """One pattern for files, relative to the folder of its table.

    Without wildcards it is the path of one file. With them it means what it means in .gitignore: `*`, `?` and `[a-z]`
    stay within a name and `**` does not; a pattern with a `/` in it starts at the folder, one without is for the
    files of every folder; a pattern that fits a folder fits all that is in it. After `!` stands what is taken away from
    what the patterns before it have chosen: `takes_away`. `\\!` and `#` at the start are the first letter of a name.
    """

    def __init__(self, text: str) -> None:
        """Raises: ValueError, if `text` is not a pattern."""
        from pathspec import GitIgnoreSpec

        self.text = text
        self.takes_away = text.startswith("!")
        self._pattern = text.removeprefix("!")
        fixed = self._pattern.removeprefix("\\") if self._pattern.startswith("\\!") else self._pattern
        self._literal = None if glob.has_magic(fixed) or not fixed else PurePosixPath(fixed)
        line = f"\\{self._pattern}" if self._pattern[:1] in ("!", "#") else self._pattern
        try:
            self._spec = GitIgnoreSpec.from_lines([line])
        except (ValueError, re.error) as error:
            raise ValueError(f"{text!r} is not a pattern: {error}") from error
        if self._literal is None and not any(pattern.include for pattern in self._spec.patterns):
            raise ValueError(f"{text!r} is not a pattern: it can match nothing")

    def matches(self, path: str) -> bool:
        """Whether the file at `path`, relative to the folder, with `/` between names, is meant, or taken away."""
        if self._literal is not None:
            return PurePosixPath(path) == self._literal
        return self._spec.match_file(path)

    def files(self, folder: Path, on_error: Callable[[OSError], None]) -> list[Path]:
        """The files below `folder` that it `matches`, sorted; with wildcards, none in a folder that `walk` leaves out.

        A folder that cannot be read is handed to `on_error` and left out.
        """
        if self._literal is not None:
            path = Path(os.path.normpath(folder / self._literal))
            return [path] if path.is_file() else []
        fixed: list[str] = []
        for part in PurePosixPath(self._pattern.lstrip("/")).parts[:-1] if "/" in self._pattern.rstrip("/") else ():
            if glob.has_magic(part) or part == "..":
                break
            fixed.append(part)
        found = []
        for inner in walk(folder.joinpath(*fixed), on_error):
            for name in inner.files:
                path = inner.path / name
                inside = path.relative_to(folder).as_posix()
                if self.matches(inside) and not is_skipped(path, folder) and path.is_file():
                    found.append(path)
        return sorted(found)
