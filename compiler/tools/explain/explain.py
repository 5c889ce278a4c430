"""What codes and generated lines mean, in words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from ...diagnostics.codes import CODES
from ...diagnostics.diagnostic import printable
from ...diagnostics.explanations import explanation
from ...emit.source_map import RULES, Mapped, at_line
from ...files import regular_files
from ...ir.batch_keys import BATCH_KEYS
from ...ir.report import nearest
from .generated_file import CannotExplain, GeneratedFile, known_of, lines_of, read, shown

_WIDTH = 100
"""About how much of a line of a workflow is shown: prompts can be one long line of JSON."""

_PLACE = re.compile(r"(?P<file>.+?):(?P<line>[0-9]{1,9})(?::[0-9]*)?", re.DOTALL)


# --- Codes


def codes() -> str:
    """All codes with their titles."""
    return "\n".join(f"{code}  {title}" for code, title in CODES.items())


def code_in_words(word: str) -> str:
    """The explanation of a code, under its title. Raises CannotExplain for what is not a code."""
    code = word.upper()
    code = code if code.startswith("PFL") else f"PFL{code}"
    known = explanation(code)
    if known is not None:
        return f"{known.code}: {known.title}\n\n{known.markdown}"
    if code in CODES:
        return f"{code}: {CODES[code]}"
    guess = nearest(code, CODES) if any(map(str.isdigit, word)) else None  # the letters alone are like every code's
    meant = f"; did you mean {guess} ({CODES[guess]})?" if guess else "; `pflow-lower explain` lists the codes"
    raise CannotExplain(f"{printable(word)} is neither a code nor FILE:LINE{meant}")


# --- Lines


def place(what: str) -> tuple[Path, int] | None:
    """The file and the line that `what` names; None if it is not a FILE:LINE."""
    match = _PLACE.fullmatch(what)
    if match is not None:
        return Path(match["file"]), int(match["line"])
    if Path(what).suffix and Path(what).is_file():
        raise CannotExplain(f"{printable(what)}: which line? Write {printable(what)}:LINE")
    return None


def line_in_words(file: Path, line: int) -> str:
    """Where line `line` of the generated `file` comes from. Raises CannotExplain if that is not known."""
    text = read(file)
    lines = text.split("\n")
    if text.endswith("\n"):
        lines.pop()
    if not 1 <= line <= len(lines):
        raise CannotExplain(f"{printable(str(file))} has {len(lines)} lines; there is no line {line}")
    known = known_of(file, text)
    found = at_line(known.lines, line)
    parts = [f"{printable(str(file))}:{line}", _quoted(lines[line - 1], line)]
    if not found:
        parts += ["", "This line is the same for every workflow: nothing of this one is in it."]
    exact = [mapped for mapped in found if (mapped.first, mapped.last) == (found[0].first, found[0].last)]
    # What only a map says is a workflow may be any file.
    is_kept = known.remarks and regular_files.why_not(known.workflow, file.parent)
    workflow = [] if is_kept else lines_of(known.workflow)
    for mapped in exact:
        parts += ["", *_told(mapped, known, workflow)]
    around = [mapped for mapped in found if mapped not in exact]
    if around:
        parts += ["", "It is part of"]
        parts += [f"  lines {m.first} to {m.last}: {_address(m)} ({_at(m, known)}), {_meaning(m)}" for m in around]
    parts += [f"\nNote: {remark}" for remark in known.remarks]
    return "\n".join(parts)


def _told(mapped: Mapped, known: GeneratedFile, workflow: Sequence[str]) -> list[str]:
    lines = [f"comes from {_at(mapped, known)}"]
    position = mapped.position
    if position is not None and position.line <= len(workflow):
        lines.append(_quoted(workflow[position.line - 1], position.line, position.column))
    lines.append(f"  {_address(mapped)}: {_meaning(mapped)}")
    return lines


def _meaning(mapped: Mapped) -> str:
    """What the code does with it: of a key of a batch that stands in the class as it is, what the key does."""
    key = mapped.path[-1] if mapped.path[2:-1] == ("batch",) else None
    about = next((row.about for row in BATCH_KEYS if row.key == key and mapped.rule in ("policy", "attempts")), "")
    return f"{about[0].lower()}{about[1:].rstrip('.')}" if about else RULES[mapped.rule]


def _address(mapped: Mapped) -> str:
    """The place as users say it: `classify`, params.prompt."""
    node = f"node `{printable(mapped.node)}`" if mapped.node else ""
    return ", ".join(filter(None, [node, printable(mapped.field)])) or "the workflow"


def _at(mapped: Mapped, known: GeneratedFile) -> str:
    name = printable(shown(known.workflow))
    return name if mapped.position is None else f"{name}:{mapped.position.line}:{mapped.position.column}"


def _quoted(text: str, line: int, column: int | None = None) -> str:
    """A line of a file with its number; a long one around `column`, under which stands a caret."""
    head = f"{line:6} | "
    start = 0
    if column is not None and column > _WIDTH:
        start = column - _WIDTH // 2
    cut = text[start : start + _WIDTH + 20]
    before = "..." if start else ""
    after = "..." if start + len(cut) < len(text) else ""
    quoted = f"{head}{before}{printable(cut)}{after}"
    if column is None:
        return quoted
    indent = len(before) + len(printable(text[start : column - 1]))
    return f"{quoted}\n{' ' * 7}| {' ' * indent}^"
