"""Comparisons as text for a terminal, as data, and as findings."""

from __future__ import annotations

import difflib
import json
import textwrap
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from ...diagnostics.diagnostic import Diagnostic, Severity, printable
from .model import ABSENT, KINDS, Change, Comparison, Kind, Reader

VERSION = 1
CODES = dict(zip(Kind, ("PFL701", "PFL702", "PFL703", "PFL704", "PFL705"), strict=True))
_SHORT = 60
_READERS = 5
_INDENT = " " * 8


def as_text(comparisons: Sequence[Comparison]) -> str:
    """What to print on a terminal; a line that says so if nothing has changed."""
    blocks = ["\n".join(_block(comparison)) for comparison in comparisons]
    return "\n\n".join(blocks) if blocks else "no workflow has changed"


def as_data(comparisons: Sequence[Comparison]) -> str:
    """JSON by diff.schema.json."""
    document = {"version": VERSION, "comparisons": [_data(comparison) for comparison in comparisons]}
    return json.dumps(document, indent=2, ensure_ascii=False)


def as_findings(comparisons: Sequence[Comparison], fail_on: Collection[Kind]) -> list[Diagnostic]:
    """A finding per change that can be observed: an error if its class is one of `fail_on`."""
    found = []
    for comparison in comparisons:
        for change in comparison.changes:
            if change.kind is Kind.COSMETIC and Kind.COSMETIC not in fail_on:
                continue
            shown = f"{change.field}: " if change.field else ""
            found.append(
                Diagnostic(
                    code=CODES[change.kind],
                    severity=Severity.ERROR if set(change.kinds) & set(fail_on) else Severity.WARNING,
                    message=f"{shown}{values(change)}{change.sentence}",
                    where=change.node,
                    file=comparison.file(change),
                    position=comparison.position(change),
                )
            )
        found += [_whole(comparison, fail_on)] if status(comparison) in ("added", "removed") else []
    return found


def _whole(comparison: Comparison, fail_on: Collection[Kind]) -> Diagnostic:
    kind = whole_kind(comparison)
    return Diagnostic(
        code=CODES[kind],
        severity=Severity.ERROR if kind in fail_on else Severity.WARNING,
        message=f"the workflow is {'new' if comparison.old is None else 'gone'}",
        file=comparison.new_name,
    )


def whole_kind(comparison: Comparison) -> Kind:
    """What it means that a whole workflow was added or removed."""
    return Kind.COST if status(comparison) == "added" else Kind.BREAKING


def all_kinds(comparison: Comparison) -> set[Kind]:
    """Every class of change that there is."""
    found = {kind for change in comparison.changes for kind in change.kinds}
    return found | {whole_kind(comparison)} if status(comparison) in ("added", "removed") else found


def status(comparison: Comparison) -> str:
    """What has become of the workflow, in a word."""
    if comparison.problems:
        return "unknown"
    if comparison.old is None:
        return "added"
    if comparison.new is None:
        return "removed"
    return "changed" if comparison.changes else "same"


def counts(comparison: Comparison) -> dict[str, int]:
    """How many changes there are of each class; a change may be of several."""
    found = Counter(kind.value for change in comparison.changes for kind in change.kinds)
    return {kind: found[kind] for kind in KINDS if found[kind]}


def summary(comparison: Comparison) -> str:
    """The changes in a line: 2 changes (1 breaking, 1 cosmetic)."""
    what = status(comparison)
    if what == "unknown":
        return "cannot be compared"
    if what == "same":
        return "nothing has changed that means anything"
    if what in ("added", "removed"):
        ir = comparison.new if what == "added" else comparison.old
        assert ir is not None  # one of them is there
        batches = sum(node.batch is not None for node in ir.nodes)
        how_many = f"{_counted(len(ir.nodes), 'node')} ({_counted(batches, 'batch', 'batches')})"
        return f"{'a new workflow' if what == 'added' else 'removed'}: {how_many}"
    total = len(comparison.changes)
    found = ", ".join(f"{count} {kind}" for kind, count in counts(comparison).items())
    return f"{total} change{'s' if total > 1 else ''} ({found})"


def _counted(number: int, one: str, many: str = "") -> str:
    return f"{number or 'no'} {one if number == 1 else many or f'{one}s'}"


def names(comparison: Comparison) -> str:
    """What is compared: one name, or two."""
    one, two = comparison.old_name, comparison.new_name
    return one if one == two else f"{one} -> {two}"


def values(change: Change) -> str:
    """`old -> new: ` where both are short; "" otherwise."""
    old, new = both_shown(change)
    if not change.field or any(text is not None and text.endswith("…") for text in (old, new)):
        return ""
    return f"{old or '(not there)'} -> {new or '(not there)'}. "


def both_shown(change: Change) -> tuple[str | None, str | None]:
    """Both values on a line each, None for what is not there; strings in quotes where they would look the same, or
    like nothing."""
    sides = change.old, change.new
    old, new = (None if value is ABSENT else short(value) for value in sides)
    if old != new and old != "" != new:
        return old, new
    old, new = (None if value is ABSENT else short(value, quoted=True) for value in sides)
    return old, new


def short(value: Any, *, quoted: bool = False) -> str:
    """A value on one line: strings as they are unless `quoted`, everything else as JSON; cut where it is long."""
    text = value if isinstance(value, str) and not quoted else json.dumps(value, ensure_ascii=False)
    text = printable(text)
    return text if len(text) <= _SHORT else text[: _SHORT - 1] + "…"


def lines_of(value: Any) -> list[str]:
    """A value over as many lines as it has, for a difference of two of them."""
    if value is ABSENT:
        return []
    text = value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False)
    return [printable(line) for line in text.splitlines()]


def difference(change: Change, context: int = 2) -> list[str]:
    """The lines that differ between the two values, marked - and +, with some around them."""
    lines = list(difflib.unified_diff(lines_of(change.old), lines_of(change.new), lineterm="", n=context))[2:]
    return ["  ..." if line.startswith("@@") else f"{line[0]} {line[1:]}" for line in lines][1:]


def by_node(changes: Sequence[Change]) -> Iterator[tuple[str, list[Change]]]:
    """The changes of each batch node, the gravest first."""
    found: dict[str, list[Change]] = {}
    for change in changes:
        if change.batch:
            found.setdefault(change.node, []).append(change)
    for node, theirs in found.items():
        yield node, sorted(theirs, key=lambda change: KINDS.index(change.kind.value))


def others(changes: Sequence[Change]) -> list[Change]:
    """The changes that are of no batch."""
    return [change for change in changes if not change.batch]


def reader_text(reader: Reader) -> str:
    """Who reads what, in a few words."""
    return f"{printable(reader.where)} (${{{reader.reference.raw}}})"


def _block(comparison: Comparison) -> Iterator[str]:
    yield f"{printable(names(comparison))}: {summary(comparison)}"
    for node, changes in by_node(comparison.changes):
        yield f"\n  {printable(node)}"
        shown: tuple[Reader, ...] = ()
        for change in changes:
            yield from _change(comparison, change, () if change.readers == shown else change.readers)
            shown = change.readers or shown
    rest = others(comparison.changes)
    if rest:
        yield "\n  besides the batches"
        for change in rest:
            what = ".".join(part for part in (change.node, change.field) if part)
            kind = ", ".join(kind.value for kind in change.kinds)
            yield f"    {kind}  {printable(what)}: {printable(values(change) + change.sentence)}"


def _change(comparison: Comparison, change: Change, readers: Sequence[Reader]) -> Iterator[str]:
    position = comparison.position(change)
    place = f"  ({printable(comparison.file(change))}:{position.line}:{position.column})" if position else ""
    both = values(change)
    head = f"{change.field or 'node'}{f': {both[:-2]}' if both else ''}"
    yield f"    {', '.join(kind.value for kind in change.kinds)}  {printable(head)}{place}"
    yield from textwrap.wrap(printable(change.sentence), 96, initial_indent=_INDENT, subsequent_indent=_INDENT)
    if not both and change.field:
        yield from (f"{_INDENT}{line}".rstrip() for line in difference(change))
    for reader in readers[:_READERS]:
        yield f"{_INDENT}read by {reader_text(reader)}"
    if len(readers) > _READERS:
        yield f"{_INDENT}... and {len(readers) - _READERS} more"


def _data(comparison: Comparison) -> dict[str, Any]:
    return {
        "old": comparison.old_name,
        "new": comparison.new_name,
        "status": status(comparison),
        "summary": counts(comparison),
        "changes": [_change_data(comparison, change) for change in comparison.changes],
        "problems": [problem.to_json() for problem in comparison.problems],
    }


def _change_data(comparison: Comparison, change: Change) -> dict[str, Any]:
    position = comparison.position(change)
    values = {side: value for side, value in (("old", change.old), ("new", change.new)) if value is not ABSENT}
    return {
        "class": change.kind.value,
        "classes": [kind.value for kind in change.kinds],
        "node": change.node,
        "batch": change.batch,
        "field": change.field,
        "sentence": change.sentence,
        **values,
        "position": {
            "side": change.side,
            "file": comparison.file(change),
            "line": position.line if position else None,
            "column": position.column if position else None,
        },
        "readers": [
            {
                "where": reader.where,
                "reference": f"${{{reader.reference.raw}}}",
                "line": reader.position.line if reader.position else None,
                "column": reader.position.column if reader.position else None,
            }
            for reader in change.readers
        ],
    }
