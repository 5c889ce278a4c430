"""The workflows that stand beside one and are started by it, read as they are needed.

What is read is bounded: files below the repository, `_MOST_FILES` of them, `DEEPEST` deep.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ..diagnostics.diagnostic import Diagnostic, LowerError, Severity
from ..files import regular_files
from ..ir.workflow import SourceIR, SourceNode
from ..load import load
from ..validate import validate
from .child_calls import files_started, is_file_name
from .known_here_only import known_here_only
from .written_values import known_text

DEEPEST = 10
"""How deep workflows stand in workflows at most, as in pflow."""
_MOST_FILES = 200
"""How many files are looked at for one workflow; of more it is said that they were not."""
_MOST_BYTES = load.MAX_BYTES

Check = Callable[[SourceIR, "Children"], list[Diagnostic]]
"""What is wrong with a workflow whose nodes start those of `Children`."""


class Read(NamedTuple):
    """A file that a node names: its workflow, or why there is none."""

    ir: SourceIR | None = None
    problem: str = ""
    severity: Severity = Severity.ERROR
    help: str = ""


class _Seen:
    """What was read, from wherever in the tree."""

    def __init__(self) -> None:
        self.read: dict[Path, Read] = {}
        self.left = _MOST_BYTES


class Children:
    """The workflows that those of one file start. `check` says what is wrong with each of them in turn."""

    def __init__(self, file: Path, check: Check, above: tuple[Path, ...] = (), seen: _Seen | None = None) -> None:
        self.folder = file.parent
        """Where the one file stands."""
        self._check = check
        self._way = (*above, _real(file))
        self._seen = seen or _Seen()

    def read(self, name: str, shown_in: str) -> Read:
        """The workflow that a node calls `name`, in the workflow whose own name is `shown_in`."""
        file = self.folder / name
        if why := regular_files.why_not(file, self.folder):
            return Read(None, f"was not looked at: {why}", Severity.WARNING, regular_files.HELP)
        real = _real(file)
        if real in self._way:
            return Read(None, "starts itself: a run that comes here fails", Severity.WARNING, "a loop repeats a node")
        if real not in self._seen.read:
            if len(self._seen.read) >= _MOST_FILES or len(self._way) > DEEPEST:
                problem = f"was not looked at: more than {_MOST_FILES} files, or more than {DEEPEST} deep"
                return Read(None, problem, Severity.WARNING)
            self._seen.read[real] = Read()  # whoever comes here again meanwhile has come in a circle
            self._seen.read[real] = self._look(file, name, shown_in)
        return self._seen.read[real]

    def _look(self, file: Path, name: str, shown_in: str) -> Read:
        shown = os.path.normpath(os.path.join(os.path.dirname(shown_in), name))
        help = ""
        try:
            content = regular_files.read_beside(file, self.folder, most=self._seen.left)
            self._seen.left -= len(content)
            document = load.from_bytes(content, shown, folder=file.parent)
        except (OSError, ValueError) as error:
            beside = f"it is looked for beside the workflow, as {shown}"
            return Read(None, f"cannot be read: {regular_files.reason(error)}", help=beside)
        except LowerError as error:
            first = error.diagnostics[0]
            if first.code == "PFL112":
                return Read(None, f"was not looked at: {first.message}", Severity.WARNING, first.help)
            return Read(None, f"cannot be read: {_placed(first)}", help=first.help)
        ir, found = validate.validate(document)
        if ir is not None:
            below = Children(file, self._check, self._way, self._seen)
            found = [*found, *self._check(ir, below)]
        wrong = [one for one in found if one.severity is Severity.ERROR]
        if wrong:
            more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
            return Read(ir, f"is refused: {_placed(wrong[0])}{more}", help=wrong[0].help)
        doubtful = next((one for one in found if one.code == "PFL340"), None)
        if doubtful is not None:
            return Read(ir, f"starts another: {_placed(doubtful)}", Severity.WARNING, doubtful.help)
        if not document.is_markdown:
            help = "write it as .pflow.md"
            problem = "is JSON: pflow's `workflow` nodes read .pflow.md, so a run that comes here fails in pflow"
            return Read(ir, problem, Severity.WARNING, help)
        return Read(ir)

    def below(self, name: str, shown_in: str, seen: set[Path] | None = None) -> Iterator[SourceIR]:
        """The workflow `name` and those that it starts in turn, as far as they can be read, each file once.

        `seen` are the files that were looked at before.
        """
        file, seen = self.folder / name, set() if seen is None else seen
        ir = self.read(name, shown_in).ir
        if ir is None or _real(file) in seen:
            return
        seen.add(_real(file))
        yield ir
        theirs = Children(file, self._check, self._way, self._seen)
        for node in ir.nodes:
            for call in files_started(node):
                yield from theirs.below(call.name or "", ir.name, seen)

    def only_lowered(self, name: str, shown_in: str) -> str:
        """What pflow alone refuses, and where it stands: in the workflow `name`, or in one that it starts; or ""."""
        for ir in self.below(name, shown_in):
            for node in ir.nodes:
                if (refused := next(known_here_only(node, ir), None)) is not None:
                    return f"{refused.what} of `{node.id}` in {ir.name}"
        return ""

    def outputs_of(self, node: SourceNode, shown_in: str) -> Mapping[str, Any]:
        """The outputs that the workflow which `node` starts declares; nothing if that is not known here."""
        name = known_text(node.params.get("workflow"))
        if name is None or not is_file_name(name):
            return {}
        ir = self.read(name, shown_in).ir
        found = ir.data.get("outputs") if ir is not None else None
        return found if isinstance(found, dict) else {}


def _placed(finding: Diagnostic) -> str:
    place = f":{finding.position.line}:{finding.position.column}" if finding.position else ""
    return f"{finding.file}{place}: {finding.message}"


def _real(file: Path) -> Path:
    try:
        return Path(os.path.realpath(file))
    except ValueError:  # a NUL in the name: reading it says so
        return file
