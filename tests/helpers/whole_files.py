"""Files that change while somebody watches them."""

from __future__ import annotations

from pathlib import Path


def put(path: Path, text: str) -> Path:
    """Have `text` at `path` at once: who watches it never sees a file that is empty because it is being written."""
    new = path.with_name(f"{path.name}.new")
    new.write_text(text, encoding="utf-8")
    return new.replace(path)
