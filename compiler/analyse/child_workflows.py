"""The workflows that nodes of type `workflow` start: are they there, and do inputs and outputs fit?

The rules are pflow's validator's. A workflow that is named as a file is read where it stands, beside the workflow that
names it; one that pflow has saved under a name is none of a file's business, nothing is said about it. What is read is
bounded: files below the repository, `_MOST_FILES` of them, `_DEEPEST` deep.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from .. import regular_files
from ..diagnostics.diagnostic import Diagnostic, LowerError, Severity
from ..ir.document import NOT_STDIN, STDIN
from ..ir.paths import Path as DataPath
from ..ir.report import DiagnosticCollector, kind, nearest
from ..ir.template import DynamicIndex, Expression, Field, Index, Reference, is_dynamic, parse, templates
from ..ir.workflow import SourceIR, SourceNode
from ..load import load
from ..node_types.pflow_types import WORKFLOW_TYPES
from ..validate import validate
from .known_here_only import known_here_only
from .known_outputs import Finding, added_outputs, output_named_by

_DEEPEST = 10
"""How deep workflows stand in workflows at most, as in pflow."""
_FAILS = "every run that comes here fails"
_MOST_FILES = 200
"""How many files are looked at for one workflow; of more it is said that they were not."""
_MOST_BYTES = load.MAX_BYTES

Check = Callable[[SourceIR, "Children"], list[Diagnostic]]
"""What is wrong with a workflow whose nodes start those of `Children`."""


class Call(NamedTuple):
    """One way in which a node starts a workflow. What is not known before a run is None."""

    name: str | None
    """The workflow, as it is written."""
    inputs: Any
    """What it is given: an object, or something else that stands in its place."""
    name_path: DataPath
    inputs_path: DataPath


class _Read(NamedTuple):
    """A file that a node names: its workflow, or why there is none."""

    ir: SourceIR | None = None
    problem: str = ""
    severity: Severity = Severity.ERROR
    help: str = ""


_BESIDE_STDIN = _Read(
    problem="was not looked at: this one came from standard input, and stands beside nothing",
    severity=Severity.WARNING,
    help=NOT_STDIN,
)


class _Seen:
    """What was read, from wherever in the tree."""

    def __init__(self) -> None:
        self.read: dict[Path, _Read] = {}
        self.left = _MOST_BYTES


class Children:
    """The workflows that those of one file start. `check` says what is wrong with each of them in turn."""

    def __init__(self, file: Path, check: Check, above: tuple[Path, ...] = (), seen: _Seen | None = None) -> None:
        self.folder = file.parent
        """Where the one file stands."""
        self._check = check
        self._way = (*above, _real(file))
        self._seen = seen or _Seen()

    def read(self, name: str, shown_in: str) -> _Read:
        """The workflow that a node calls `name`, in the workflow whose own name is `shown_in`."""
        file = self.folder / name
        if why := regular_files.why_not(file, self.folder):
            return _Read(None, f"was not looked at: {why}", Severity.WARNING, regular_files.HELP)
        real = _real(file)
        if real in self._way:
            return _Read(None, "starts itself: a run that comes here fails", Severity.WARNING, "a loop repeats a node")
        if real not in self._seen.read:
            if len(self._seen.read) >= _MOST_FILES or len(self._way) > _DEEPEST:
                problem = f"was not looked at: more than {_MOST_FILES} files, or more than {_DEEPEST} deep"
                return _Read(None, problem, Severity.WARNING)
            self._seen.read[real] = _Read()  # whoever comes here again meanwhile has come in a circle
            self._seen.read[real] = self._look(file, name, shown_in)
        return self._seen.read[real]

    def _look(self, file: Path, name: str, shown_in: str) -> _Read:
        shown = os.path.normpath(os.path.join(os.path.dirname(shown_in), name))
        help = ""
        try:
            content = regular_files.read_beside(file, self.folder, most=self._seen.left)
            self._seen.left -= len(content)
            document = load.from_bytes(content, shown, folder=file.parent)
        except (OSError, ValueError) as error:
            beside = f"it is looked for beside the workflow, as {shown}"
            return _Read(None, f"cannot be read: {regular_files.reason(error)}", help=beside)
        except LowerError as error:
            first = error.diagnostics[0]
            if first.code == "PFL112":
                return _Read(None, f"was not looked at: {first.message}", Severity.WARNING, first.help)
            return _Read(None, f"cannot be read: {_placed(first)}", help=first.help)
        ir, found = validate.validate(document)
        if ir is not None:
            below = Children(file, self._check, self._way, self._seen)
            found = [*found, *self._check(ir, below)]
        wrong = [one for one in found if one.severity is Severity.ERROR]
        if wrong:
            more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
            return _Read(ir, f"is refused: {_placed(wrong[0])}{more}", help=wrong[0].help)
        doubtful = next((one for one in found if one.code == "PFL340"), None)
        if doubtful is not None:
            return _Read(ir, f"starts another: {_placed(doubtful)}", Severity.WARNING, doubtful.help)
        if not document.is_markdown:
            help = "write it as .pflow.md"
            problem = "is JSON: pflow's `workflow` nodes read .pflow.md, so a run that comes here fails in pflow"
            return _Read(ir, problem, Severity.WARNING, help)
        return _Read(ir)

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
        name = _text(node.params.get("workflow"))
        if name is None or not is_file_name(name):
            return {}
        ir = self.read(name, shown_in).ir
        found = ir.data.get("outputs") if ir is not None else None
        return found if isinstance(found, dict) else {}


def check_children(ir: SourceIR, report: DiagnosticCollector, children: Children | None) -> None:
    """Report workflows that cannot be started, and inputs that they do not have or need."""
    for node in ir.nodes:
        if node.type not in WORKFLOW_TYPES:
            continue
        _check_depth(node, report)
        written = node.params.get("workflow")
        if written and not isinstance(written, str):
            message = f"a workflow is named by a text, and this is {kind(written)}: {_FAILS}"
            report.warn("PFL340", (*node.path, "params", "workflow"), message, help="write the path of its file")
            continue
        if not written:
            message = f"which workflow to start is not said: {_FAILS}"
            named = "- workflow: ./child.pflow.md" if ir.document.is_markdown else '"workflow": "./child.pflow.md"'
            report.warn("PFL340", (*node.path, "params"), message, help=f"name it: {named}")
            continue
        reported = set()
        for call in _calls(node):
            _check_inputs_are_an_object(call, report)
            if call.name is None or not is_file_name(call.name):
                continue
            if children is None:
                if ir.name == STDIN:
                    _check_call(call, _BESIDE_STDIN, report)
                continue
            keys = frozenset(call.inputs) if isinstance(call.inputs, dict) else None
            if (call.name, keys) not in reported:
                reported.add((call.name, keys))
                _check_call(call, children.read(call.name, ir.name), report)


def _check_depth(node: SourceNode, report: DiagnosticCollector) -> None:
    """Warn of a `max_depth` with which pflow starts no workflow at all: that of the first one has to be more than 0."""
    most = node.params.get("max_depth", _DEEPEST)
    if (isinstance(most, str) and is_dynamic(most)) or (isinstance(most, (int, float)) and most > 0):
        return
    wrong = f"is {most}" if isinstance(most, (int, float)) and not isinstance(most, bool) else f"is {kind(most)}"
    message = f"`max_depth` {wrong}: {_FAILS}"
    help = f"write a whole number, 1 or more, or leave it out: it is {_DEEPEST} then"
    report.warn("PFL340", (*node.path, "params", "max_depth"), message, help=help)


def check_children_of_program(ir: SourceIR, report: DiagnosticCollector, children: Children) -> None:
    """Warn of workflows that pflow runs for a program and does not understand by itself."""
    for node in ir.nodes:
        for call in files_started(node):
            if found := children.only_lowered(call.name or "", ir.name):
                message = f"a program has pflow run the workflow {call.name}, and pflow alone refuses {found}"
                help = "run `pflow-lower enable` in the Python that runs the program, or leave the key out"
                report.warn("PFL450", call.name_path, message, help=help)
                break


def files_started(node: SourceNode) -> Iterator[Call]:
    """The calls of a node that name a file: one, or one for each item that is written out."""
    if node.type in WORKFLOW_TYPES:
        yield from (call for call in _calls(node) if call.name is not None and is_file_name(call.name))


def check_child_output(
    children: Children | None, node: SourceNode, reference: Reference, shown_in: str
) -> Finding | None:
    """What is wrong with a path into what a node of type `workflow` gives, if anything."""
    if children is None or node.type not in WORKFLOW_TYPES:
        return None
    step = output_named_by(node, reference)
    outputs = children.outputs_of(node, shown_in) if step is not None else {}
    if step is None or not outputs or step.name in (*outputs, *added_outputs(node)):
        return None
    guess = nearest(step.name, outputs)
    help = f"did you mean `{guess}`?" if guess else f"it gives: {', '.join(sorted(outputs))}"
    message = f"{reference}: the workflow {node.params['workflow']} has no output `{step.name}`"
    return Finding("PFL343", message, help)


def is_file_name(name: str) -> bool:
    """Whether pflow takes the name of a workflow for a file, not for one that it has saved."""
    return "/" in name or "\\" in name or name.endswith(".pflow.md") or name.startswith(".")


def _check_call(call: Call, read: _Read, report: DiagnosticCollector) -> None:
    if read.problem:
        say = report.error if read.severity is Severity.ERROR else report.warn
        say("PFL340", call.name_path, f"the workflow {call.name} {read.problem}", help=read.help)
    given = {} if call.inputs is None else call.inputs
    if read.ir is None or not isinstance(given, dict):
        return
    declared = {one.name: one for one in read.ir.declared_inputs}
    for key in given:
        if key not in declared:
            guess = report.nearest(key, declared)
            names = f"it has: {', '.join(declared)}" if declared else "it has no inputs"
            help = f"did you mean `{guess}`?" if guess else names
            message = f"the workflow {call.name} has no input `{key}`"
            report.error("PFL341", (*call.inputs_path, key), message, key=True, help=help)
    for name, one in declared.items():
        if one.required and not one.has_default and name not in given:
            message = f"the workflow {call.name} needs the input `{name}`, which is not given"
            report.error("PFL342", call.inputs_path, message, help=f"add `{name}` to `inputs`")


def _check_inputs_are_an_object(call: Call, report: DiagnosticCollector) -> None:
    given = call.inputs
    if given is not None and not isinstance(given, (dict, _Unknown)):
        report.error("PFL341", call.inputs_path, f"the inputs of a workflow are an object, this is {kind(given)}")


class _Unknown:
    """A value that only a run knows."""


_UNKNOWN = _Unknown()


def _calls(node: SourceNode) -> Iterator[Call]:
    """The ways in which `node` starts a workflow: one, or one for each item that is written out and matters."""
    at: DataPath = (*node.path, "params")
    name, inputs = node.params.get("workflow"), node.params.get("inputs")
    items = node.batch.items if node.batch is not None else None
    if node.batch is None or not isinstance(items, list) or not _reads(node.batch.alias, name, inputs):
        yield Call(_text(name), _known(inputs), (*at, "workflow"), (*at, "inputs"))
        return
    for index, item in enumerate(items):
        found = _known(name, node.batch.alias, item)
        whole = _known(inputs, node.batch.alias, item)
        place: DataPath = (*at, "inputs")
        if isinstance(inputs, str) and whole is not _UNKNOWN:
            place = (*node.path, "batch", "items", index, *_steps(inputs))
        yield Call(found if isinstance(found, str) else None, whole, (*at, "workflow"), place)


def _reads(alias: str, *values: Any) -> bool:
    return any(ref.root == alias for value in values for _, found in templates(value) for ref in found.references())


def _steps(inputs: str) -> Iterator[str | int]:
    """The way that a reference goes into the item, as a path of the document."""
    template = parse(inputs)
    operand = template.expressions[0].operands[0] if template.is_whole else None
    for step in operand.path if isinstance(operand, Reference) else ():
        if isinstance(step, Field):
            yield step.name
        elif isinstance(step, Index):
            yield step.value


def _text(value: Any) -> str | None:
    found = _known(value)
    return found if isinstance(found, str) else None


def _known(value: Any, alias: str = "", item: Any = None) -> Any:
    """What a parameter comes to, as far as that needs nothing but the item; of an object only the keys count."""
    if not isinstance(value, str):
        return value
    template = parse(value)
    if template.is_whole:
        return _found(template.expressions[0], alias, item)
    made = []
    for part in template.parts:
        found = _found(part, alias, item) if isinstance(part, Expression) else part
        if not isinstance(found, str):
            return _UNKNOWN
        made.append(found)
    return "".join(made)


def _found(expression: Expression, alias: str, item: Any) -> Any:
    operand = expression.operands[0]
    if len(expression.operands) > 1 or not isinstance(operand, Reference) or operand.root != alias:
        return _UNKNOWN
    for step in operand.path:
        if isinstance(step, DynamicIndex):
            return _UNKNOWN
        key: Any = step.name if isinstance(step, Field) else step.value
        try:
            item = item[key]
        except (KeyError, IndexError, TypeError):
            return _UNKNOWN
    return _UNKNOWN if isinstance(item, str) and "${" in item else item


def _placed(finding: Diagnostic) -> str:
    place = f":{finding.position.line}:{finding.position.column}" if finding.position else ""
    return f"{finding.file}{place}: {finding.message}"


def _real(file: Path) -> Path:
    try:
        return Path(os.path.realpath(file))
    except ValueError:  # a NUL in the name: reading it says so
        return file
