"""Comparisons as Markdown, for a comment on a pull request.

Ids, prompts and names are anybody's text. They stand in code spans and fences only, which neither mention people
nor hold HTML, and whose ends the text cannot forge.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from ...diagnostics.diagnostic import printable
from .model import Change, Comparison, Reader
from .show import both_shown, by_node, difference, names, others, reader_text, summary, values

LIMIT = 60_000
"""GitHub takes comments of up to 65,536 characters."""

_FOUND = {"breaking": "💥", "behaviour": "🔀", "cost": "💰", "schedule": "⏱️", "cosmetic": "💅"}
_LINES = 60
_QUOTED = re.compile(r"(`[^`]*`|\$\{[^`{}]*\})")
_LINKED = re.compile(r"[@#]|:(?=[^\s&])|\bwww(?=\.)|\bgh-(?=\d)|[0-9a-f]{6}(?=[0-9a-f])", re.IGNORECASE)
"""Where GitHub would link a name, a number, an address or a commit, or make an emoji, in what is text only."""
_MARKUP = re.compile(r"[\\`*_\[\]|#~!]")


def as_markdown(comparisons: Sequence[Comparison]) -> str:
    """A section per workflow: a table of what each change means, and the texts that differ folded below it."""
    if not comparisons:
        return "### What the workflow changes mean\n\nNo workflow has changed.\n"
    text = "### What the workflow changes mean\n"
    for number, comparison in enumerate(comparisons):
        section = "\n" + "\n".join(_section(comparison)) + "\n"
        if len(text) + len(section) > LIMIT:
            rest = len(comparisons) - number
            return f"{text}\n… and {rest} more, too long for a comment: see `pflow-lower diff`.\n"
        text += section
    return text


def code(text: str) -> str:
    """`text` as a code span that may stand in a table."""
    text = printable(text).replace("|", "\\|")
    longest = max(map(len, re.findall("`+", text)), default=0)
    ticks = "`" * (longest + 1)
    pad = " " if text.startswith("`") or text.endswith("`") or not text.strip() else ""
    return f"{ticks}{pad}{text}{pad}{ticks}"


def fence(lines: Sequence[str]) -> Iterator[str]:
    """`lines` as a fenced block of differences."""
    longest = max((len(ticks) for line in lines for ticks in re.findall("`+", line)), default=0)
    ticks = "`" * max(3, longest + 1)
    yield f"{ticks}diff"
    yield from lines
    yield ticks


def _section(comparison: Comparison) -> Iterator[str]:
    yield f"#### {code(names(comparison))}"
    yield ""
    yield f"{summary(comparison)[:1].upper()}{summary(comparison)[1:]}."
    for problem in comparison.problems:
        yield f"- {code(problem.render().splitlines()[0])}"
    for node, changes in by_node(comparison.changes):
        yield ""
        yield f"**Batch {code(node)}**"
        yield ""
        yield "| | what changes | what it means |"
        yield "| --- | --- | --- |"
        shown: tuple[Reader, ...] = ()
        for change in changes:
            yield _row(comparison, change, () if change.readers == shown else change.readers)
            shown = change.readers or shown
        for change in changes:
            yield from _texts(change)
    rest = others(comparison.changes)
    if rest:
        yield ""
        yield "Besides the batches:"
        yield ""
        for change in rest:
            what = ".".join(part for part in (change.node, change.field) if part)
            yield f"- {_kinds(change)} {code(what)}: {sentence(change.sentence)}"


def _row(comparison: Comparison, change: Change, readers: Sequence[Reader]) -> str:
    position = comparison.position(change)
    line = f" (line {position.line})" if position else ""
    what = code(change.field) if change.field else "the node"
    if values(change):
        old, new = ("*not there*" if text is None else code(text) for text in both_shown(change))
        what += f"<br>{old} → {new}"
    names = ", ".join(code(reader_text(reader)) for reader in readers[:5])
    read = f"<br>Read by {names}" if names else ""
    more = f" and {len(readers) - 5} more" if len(readers) > 5 else ""
    return f"| {_kinds(change)} | {what}{line} | {sentence(change.sentence)}{read}{more} |"


def _texts(change: Change) -> Iterator[str]:
    if values(change) or not change.field:
        return
    lines = difference(change)
    if lines:
        yield ""
        yield f"<details><summary>{_escaped(change.field)}</summary>"
        yield ""
        yield from fence(lines[:_LINES] + (["  ..."] if len(lines) > _LINES else []))
        yield ""
        yield "</details>"


def _kinds(change: Change) -> str:
    return ", ".join(f"{_FOUND[kind.value]} {kind.value}" for kind in change.kinds)


def sentence(text: str) -> str:
    """A sentence of ours: what it quotes of the author's becomes code, and the rest can be nothing but text."""
    parts = _QUOTED.split(printable(text))
    return "".join(code(part.strip("`")) if at % 2 else _escaped(part) for at, part in enumerate(parts))


def _escaped(text: str) -> str:
    """`text` so that Markdown takes it for text: no markup, no HTML, no mention, no link."""
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _LINKED.sub(lambda found: f"{found[0]}&#8203;", _MARKUP.sub(r"\\\g<0>", text))
