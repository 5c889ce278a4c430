"""The workflows that nodes of type `workflow` start: are they there, and do inputs and outputs fit?

The rules are pflow's validator's. A workflow that is named as a file is read where it stands, beside the workflow that
names it (`child_files.py`); of one that pflow has saved under a name nothing is said.
"""

from __future__ import annotations

import posixpath

from ..diagnostics.diagnostic import Severity
from ..ir.document import NOT_STDIN, STDIN
from ..ir.report import DiagnosticCollector, kind, nearest
from ..ir.template import Reference, is_dynamic
from ..ir.workflow import SourceIR, SourceNode
from ..node_types.pflow_types import FILE_SUFFIXES, WORKFLOW_TYPES
from .child_calls import Call, calls_of, files_started, is_file_name
from .child_files import DEEPEST, Children, Read
from .known_outputs import Finding, added_outputs, output_named_by
from .written_values import Unknown

_FAILS = "every run that comes here fails"

_BESIDE_STDIN = Read(
    problem="was not looked at: this one came from standard input, and stands beside nothing",
    severity=Severity.WARNING,
    help=NOT_STDIN,
)


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
        reported: set[object] = set()
        for call in calls_of(node):
            _check_inputs_are_an_object(call, report)
            if call.name is None:
                continue
            if not is_file_name(call.name):
                if call.name not in reported:
                    _check_saved_name(call, call.name, report)
                reported.add(call.name)
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
    most = node.params.get("max_depth", DEEPEST)
    if (isinstance(most, str) and is_dynamic(most)) or (isinstance(most, (int, float)) and most > 0):
        return
    wrong = f"is {most}" if isinstance(most, (int, float)) and not isinstance(most, bool) else f"is {kind(most)}"
    message = f"`max_depth` {wrong}: {_FAILS}"
    help = f"write a whole number, 1 or more, or leave it out: it is {DEEPEST} then"
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


def _check_saved_name(call: Call, name: str, report: DiagnosticCollector) -> None:
    """Report the name of a file without its folder: pflow looks for a workflow saved by it, and none can be."""
    stem, suffix = posixpath.splitext(name)
    if not stem or suffix.lower() not in FILE_SUFFIXES:
        return
    message = f"pflow takes {name} for a workflow that it has saved by this name, not for a file"
    help = f"the path of a file has a folder in it: ./{name}"
    report.error("PFL340", call.name_path, message, help=help)


def _check_call(call: Call, read: Read, report: DiagnosticCollector) -> None:
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
    if given is not None and not isinstance(given, (dict, Unknown)):
        report.error("PFL341", call.inputs_path, f"the inputs of a workflow are an object, this is {kind(given)}")
