"""What `-o` says of the files that it wrote, and of those that an earlier run left."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ...diagnostics.diagnostic import printable
from ...files.generated_names import MAP

_NAMED = 5
"""So many files are named; of more there is a number."""


def about_written(written: Sequence[Path], folder: Path) -> str:
    """Which files were `written` into `folder`; of many, a few by name."""
    if not written:
        return f"{_shown(folder)} is up to date"
    names = [_shown(path) for path in written if not path.name.endswith(MAP)]
    maps = ["source maps"] if len(names) != len(written) else []
    if len(names) > _NAMED:
        runtime = sum(path.parent != folder for path in written)
        own = [_shown(path) for path in written if path.parent == folder and not path.name.endswith(MAP)]
        names = own[:_NAMED] + ([f"{len(own) - _NAMED} more"] if len(own) > _NAMED else [])
        names += [f"the runtime ({runtime} files)"] if runtime else []
    return f"wrote {', '.join([*names, *maps])}"


def about_left_over(left: Sequence[Path], folder: Path) -> str:
    """What an earlier run left, and how to get rid of it."""
    maps = [path for path in left if path.name.endswith(MAP) and path.with_suffix("").with_suffix("") in left]
    own = [path if path.parent == folder else path.parent for path in left if path not in maps]
    names = list(dict.fromkeys(map(_shown, own)))
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    verb, them = ("are", "them") if len(names) > 1 else ("is", "it")
    return (
        f"{', '.join(names[:_NAMED])}{more} {verb} left from an earlier run; nothing uses {them} now"
        f" (pflow-lower check --update removes {them})"
    )


def _shown(path: Path) -> str:
    return printable(str(path))
