"""`flow.py`: the whole workflow as a PocketFlow program, nodes without a batch and edges included."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..diagnostics.diagnostic import Diagnostic, LowerError, Severity
from ..ir.lowered import LoweredBatch, LoweredIR, Parameter
from ..ir.template import parse
from ..ir.workflow import SourceIR, SourceNode
from ..lowering.lower import parameter_of
from ..lowering.names import free, variable
from ..node_types.lookup import NodeType, NodeTypes
from .class_body import functions, inputs_are_read, is_scope, spell, written
from .emit import Origin, header, import_lines, jinja
from .python_text import WIDTH, Call, Code, Entry, Keyword, Literal, Node, columns, docstring, lay_out
from .python_text import Mapping as Display
from .template_to_python import StoreScope, expression

_WITHOUT = "leave out --program; the generated classes of the batch nodes do not need it"
_OURS = frozenset({"build_flow", "main", "outputs", "arguments", "INPUTS"})
_BUILTINS = frozenset(
    """
    all any bool bytes dict dir filter float format hash help id input int iter len list map max min next
    object open print range repr reversed round set slice sorted str sum tuple type vars zip
    """.split()
)
"""Builtins that a step may be named after: its variable gets an underscore (`list_`)."""


_UNTYPED_IMPORTS = ('# mypy: disable-error-code="import-untyped"', "# pyright: reportMissingTypeStubs=false")
"""The classes of nodes come from packages that need not be typed: pflow is not."""


class _Names:
    """The names at the top of one program, given out once each."""

    def __init__(self) -> None:
        self._taken = set(_OURS)

    def take(self, name: str) -> str:
        name = free(name, self._taken)
        self._taken.add(name)
        return name


def emit_program(
    source: SourceIR, lowered: LoweredIR, types: NodeTypes, origin: Origin, *, runtime: str
) -> dict[str, str]:
    """`flow.py` for the workflow. Raises: LowerError (PFL45x) for what a PocketFlow program cannot do."""
    _refuse_what_needs_an_engine(source)
    _refuse_classes_in_our_place(source, lowered, types, runtime)
    names = _Names()
    batches = {batch.node_id: batch for batch in lowered.batches}
    for batch in lowered.batches:
        names.take(batch.class_name)
    classes = _Classes(names)
    variables = {node.id: names.take(_step_name(node.id)) for node in source.nodes}
    steps, makers, used = [], [], {"run_program", "Shared", "Params", "Workflow"}
    for node in source.nodes:
        inner, uses = _inner(node, types.resolve(node.type), classes)
        used |= uses
        if node.id in batches:
            built: Node = Call(batches[node.id].class_name, (inner,))
        else:
            used.add("Step")
            maker = None
            if node.params:
                maker = names.take(f"{variables[node.id].rstrip('_')}_params")
                lines, uses = _params_body(source, node, types.resolve(node.type))
                used |= uses
                said = docstring(f"The parameters of `{node.id}`.")
                makers.append({"head": _head(maker), "docstring": said, "body": lines})
            arguments = (Literal(node.id), inner, *([Code(maker)] if maker else []))
            built = Call("Step", arguments)
        steps.append(_assigned(variables[node.id], built))
    shown, uses = _outputs(source)
    used |= uses
    text = (
        jinja()
        .get_template("flow.py.jinja")
        .render(
            header=[*header(origin), *_UNTYPED_IMPORTS],
            docstring=docstring(f"The workflow of {origin.source or 'a file'} as a PocketFlow program."),
            imports=_imports(lowered.batches, classes, used, runtime),
            makers=makers,
            steps=steps,
            edges=list(_edges(source, variables)),
            start=lay_out(Call("Workflow", (Keyword("start", Code(variables[_start(source)])),)), 1, "return "),
            inputs=lay_out(_inputs(source), 0, "INPUTS: dict[str, dict[str, Any]] = "),
            outputs=shown,
        )
    )
    return {"flow.py": text}


def _step_name(node_id: str) -> str:
    name = variable(node_id)
    return f"{name}_" if name in _BUILTINS else name


class _Classes:
    """The node classes that a program imports, under names of their own."""

    def __init__(self, names: _Names) -> None:
        self._names = names
        self.found: dict[tuple[str, str], str] = {}

    def name(self, module: str, class_name: str) -> str:
        key = (module, class_name)
        if key not in self.found:
            self.found[key] = self._names.take(class_name)
        return self.found[key]

    def lines(self) -> Iterable[tuple[str, str]]:
        """Each module with what is imported from it: `LLMNode`, or `Node as Node_2`."""
        for (module, class_name), name in self.found.items():
            yield module, class_name if class_name == name else f"{class_name} as {name}"


def _inner(node: SourceNode, node_type: NodeType, classes: _Classes) -> tuple[Node, set[str]]:
    if node_type.module is None or node_type.class_name is None:
        return Call("no_class", (Literal(node.id), Literal(node.type))), {"no_class"}
    built: Node = Call(classes.name(node_type.module, node_type.class_name), ())
    retry = node.data.get("retry")
    if not retry:
        return built, set()
    words = {"max": "max_retries", "wait": "wait", "backoff": "backoff"}
    settings = (Keyword(words[key], Literal(value)) for key, value in retry.items())
    return Call("retrying", (built, *settings)), {"retrying"}


def _assigned(name: str, built: Node) -> str:
    """The line that gives a step its name; in brackets where not even the start of the call fits beside it."""
    spread = lay_out(built, 1, f"{name} = ")
    inside = lay_out(built, 2)
    bracketed = f"    {name} = (\n{inside}\n    )"
    fits = columns(spread.partition("\n")[0]) <= WIDTH
    return spread if fits or any(columns(line) > WIDTH for line in bracketed.split("\n")) else bracketed


def _head(maker: str) -> str:
    """The first line of a function that makes parameters, or lines if its name is long."""
    flat = f"def {maker}(shared: Shared) -> Params:"
    return flat if columns(flat) <= WIDTH else f"def {maker}(\n    shared: Shared,\n) -> Params:"


def _params_body(source: SourceIR, node: SourceNode, node_type: NodeType) -> tuple[str, set[str]]:
    """The lines of a function that makes a node's parameters of the store."""
    parameters = tuple(parameter_of(node, node_type, key, value) for key, value in node.params.items())
    store = StoreScope("shared")
    scope, lines, spelled = store, [], []
    inputs = next((p for p in parameters if p.key == "inputs"), None)
    if inputs is not None and (is_scope(inputs) or inputs_are_read(parameters)):
        spelled.append(spell(inputs, store, permissive=source.permissive))
        lines += [lay_out(spelled[0], 1, "inputs = "), "    scope = {**shared, **inputs}"]
        scope = StoreScope("scope")
    entries = []
    for p in parameters:
        if p is inputs and lines:
            entries.append(Entry(p.key, Code("inputs")))
            continue
        value = spell(p, store if p is inputs else scope, permissive=source.permissive)
        spelled.append(value)
        entries.append(Entry(p.key, value, written(p)))
    lines.append(lay_out(Display(tuple(entries)), 1, "return "))
    return "\n".join(lines), functions(*spelled)


def _outputs(source: SourceIR) -> tuple[str, set[str]]:
    """What the program prints: the declared outputs or, without any, what the last steps gave."""
    store = StoreScope("shared")
    declared: Mapping[str, Any] = source.data.get("outputs") or {}
    entries = []
    for name, spec in declared.items():
        text = spec["source"] if "${" in spec["source"] else f"${{{spec['source']}}}"
        parsed = parse(text)
        if parsed.is_whole:
            value: Node = Call("found_or", (expression(parsed.expressions[0], store, "peek"), Literal(None)))
        else:
            value = spell(Parameter(key=name, value=text, declared=None, parse_json=False), store, permissive=True)
        entries.append(Entry(name, value))
    if not declared:
        left = {edge["from"] for edge in source.data.get("edges") or ()}
        last = [node.id for node in source.nodes if node.id not in left]
        entries = [
            Entry(i, Call("found_or", (Call("peek", (Code("shared"), Literal(i))), Literal(None)))) for i in last
        ]
    values = [entry.value for entry in entries]
    return lay_out(Display(tuple(entries)), 1, "return "), functions(*values)


def _edges(source: SourceIR, variables: Mapping[str, str]) -> Iterable[str]:
    for edge in source.data.get("edges") or ():
        action = edge.get("action", "default")
        start, end = variables[edge["from"]], variables[edge["to"]]
        arguments: tuple[Node, ...] = (Code(end),) if action == "default" else (Code(end), Literal(action))
        yield lay_out(Call(f"{start}.next", arguments), 1)


def _start(source: SourceIR) -> str:
    return str(source.data.get("start_node") or source.nodes[0].id)


def _inputs(source: SourceIR) -> Node:
    return Display(tuple(Entry(name, Literal(dict(spec))) for name, spec in source.inputs.items()))


def _imports(batches: Iterable[LoweredBatch], classes: _Classes, used: set[str], runtime: str) -> list[str]:
    local: dict[str, set[str]] = {}
    for batch in batches:
        local.setdefault(batch.module, set()).add(batch.class_name)
    found: dict[str, set[str]] = {runtime: used}
    for module, name in classes.lines():
        found.setdefault(module, set()).add(name)
    return [*import_lines(found), "", *import_lines(local)] if local else import_lines(found)


def _refuse_what_needs_an_engine(source: SourceIR) -> None:
    found = []
    for node in source.nodes:
        for key, why in (("loop", "repeat a step"), ("approval", "ask for approval")):
            if node.data.get(key):
                message = f"a program cannot {why}: {key} needs an engine"
                found.append(_refusal("PFL450", source, node, key, message, _WITHOUT))
        if node.data.get("prompt_cache"):
            message = "a program cannot send what prompt_cache names: its calls would lack that text"
            help = "put that text into the prompt, or run the workflow in pflow"
            found.append(_refusal("PFL450", source, node, "prompt_cache", message, help))
    if found:
        raise LowerError(found)


def _refuse_classes_in_our_place(source: SourceIR, lowered: LoweredIR, types: NodeTypes, runtime: str) -> None:
    """A class of the user's in a module `nodes` cannot be imported beside the generated `nodes.py`."""
    ours = {"nodes", "flow", *(batch.module for batch in lowered.batches), runtime}
    found = []
    for node in source.nodes:
        module = (types.resolve(node.type).module or "").partition(".")[0]
        if module in ours:
            message = f"the class is in a module `{module}`, and so is what pflow-lower makes: only one can be imported"
            found.append(_refusal("PFL451", source, node, "type", message, f"rename that module, or {_WITHOUT}"))
    if found:
        raise LowerError(found)


def _refusal(code: str, source: SourceIR, node: SourceNode, key: str, message: str, help: str) -> Diagnostic:
    return Diagnostic(
        code=code,
        severity=Severity.ERROR,
        message=message,
        where=f"{node.id}.{key}",
        file=source.name,
        position=source.position((*node.path, key)),
        help=help,
    )
