"""One node in both workflows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from ...ir.workflow import SourceNode
from .canonical import Names
from .model import ABSENT, Change, Kind, Reader


class Pair(NamedTuple):
    """One node in both workflows."""

    old: SourceNode
    new: SourceNode
    old_names: Names
    new_names: Names
    old_readers: Mapping[str, tuple[Reader, ...]]
    new_readers: Mapping[str, tuple[Reader, ...]]

    @property
    def is_batch(self) -> bool:
        return self.old.batch is not None or self.new.batch is not None

    def readers(self) -> tuple[Reader, ...]:
        """Who reads what the node writes, in the new workflow."""
        return self.new_readers.get(self.new.id, ())

    def change(
        self,
        found: tuple[Kind, ...],
        field: str,
        sentence: str,
        old: Any,
        new: Any,
        readers: tuple[Reader, ...] = (),
    ) -> Change:
        """A change of `field`, in its place; where nothing names it any more, in that of its parent."""
        # The name of a parameter may have dots in it; the keys of an annotation have none.
        steps = tuple(part for part in field.split(".", -1 if field.startswith("batch.") else 1) if part)
        node = self.old if new is ABSENT else self.new
        path = (*node.path, *steps)
        return Change(found, self.new.id, field, sentence, old, new, path, readers, self.is_batch)


def times(number: int, what: str) -> str:
    """A number of things: "1 item", "3 items"."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def listed(texts: list[str]) -> str:
    """Texts as one: "a", "a and b", "a, b and c"."""
    return ", ".join(texts[:-1]) + (" and " if len(texts) > 1 else "") + texts[-1]
