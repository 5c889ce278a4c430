"""`flow.py`: the whole workflow as a PocketFlow program, nodes without a batch and edges included."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ..ir import tree
from ..ir.lowered import MODULE, LoweredBatch, LoweredIR, LoweredStep, Parameter
from ..lowering.names import free, variable
from .class_body import functions, inputs_are_read, is_scope, written
from .emit import RUNTIME, Origin, beside_imports, header, import_lines, jinja
from .python_text import WIDTH, Call, Code, Entry, Keyword, Literal, Node, columns, docstring, lay_out
from .python_text import Mapping as Display
from .requirements import FILE as REQUIREMENTS
from .template_to_python import Variables, choice, parameter, value

_OURS = frozenset({"build_flow", "main", "outputs", "arguments", "INPUTS"})
_BUILTINS = frozenset(
    """
    all any bool bytes dict dir filter float format hash help id input int iter len list map max min next
    object open print range repr reversed round set slice sorted str sum tuple type vars zip
    """.split()
)
"""Builtins that a step may be named after: its variable gets an underscore (`list_`)."""


_UNTYPED_IMPORTS = (
    '# mypy: disable-error-code="import-untyped,import-not-found"',
    "# pyright: reportMissingTypeStubs=false",
)
"""The classes of nodes come from packages that need not be typed: pflow is not. And what stands beside the program is
found by mypy in one way where the folder is a package for it, and in another where it is not."""


class _Names:
    """The names at the top of one program, given out once each."""

    def __init__(self) -> None:
        self._taken = set(_OURS)

    def take(self, name: str) -> str:
        name = free(name, self._taken)
        self._taken.add(name)
        return name


def emit_program(lowered: LoweredIR, origin: Origin, *, runtime: str) -> dict[str, str]:
    """`flow.py` for the workflow."""
    names = _Names()
    for batch in lowered.batches:
        names.take(batch.class_name)
    classes = _Classes(names)
    variables = {step.id: names.take(_step_name(step.id)) for step in lowered.steps}
    flow = "AsyncWorkflow" if any(step.is_async for step in lowered.steps) else "Workflow"
    steps, makers, used = [], [], {"run_program", "Shared", "Params", flow}
    for step in lowered.steps:
        inner, uses = _inner(step, classes)
        used |= uses
        if step.batch is not None:
            built: Node = Call(step.batch.class_name, (inner,))
        else:
            kind = "AsyncStep" if step.is_async else "Step"
            used.add(kind)
            maker = None
            if step.parameters:
                maker = names.take(f"{variables[step.id].rstrip('_')}_params")
                lines, uses = _params_body(step.parameters, permissive=lowered.permissive)
                used |= uses
                said = docstring(f"The parameters of `{step.id}`.")
                makers.append({"head": _head(maker), "docstring": said, "body": lines})
            arguments = (Literal(step.id), inner, *([Code(maker)] if maker else []))
            built = Call(kind, arguments)
        steps.append(_assigned(variables[step.id], built))
    shown, uses = _outputs(lowered)
    used |= uses
    start = [Keyword("start", Code(variables[lowered.start]))]
    if origin.source:
        used.add("beside")
        start.append(Keyword("file", Call("beside", (Code("__file__"), Literal(origin.source)))))
    text = (
        jinja()
        .get_template("flow.py.jinja")
        .render(
            header=[*header(origin), *_UNTYPED_IMPORTS],
            docstring=docstring(f"The workflow of {origin.source or 'a file'} as a PocketFlow program."),
            imports=_imports(lowered.batches, classes, used, runtime, origin.class_folders),
            runtime=runtime,
            standalone=runtime != RUNTIME,
            missing="pflow-lower" if runtime == RUNTIME else f"-r {REQUIREMENTS}",
            flow=flow,
            makers=makers,
            steps=steps,
            edges=list(_edges(lowered, variables)),
            start=lay_out(Call(flow, tuple(start)), 1, "return "),
            inputs=lay_out(_inputs(lowered), 0, "INPUTS: dict[str, dict[str, Any]] = "),
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


def _inner(step: LoweredStep, classes: _Classes) -> tuple[Node, set[str]]:
    if step.runs is None:
        return Call("no_class", (Literal(step.id), Literal(step.type))), {"no_class"}
    built: Node = Call(classes.name(*step.runs), ())
    if step.retry is None or step.batch is not None:  # a batch's class says it itself
        return built, set()
    known = {"max": step.retry.max, "wait": step.retry.wait, "backoff": step.retry.backoff}
    words = {"max": "max_retries", "wait": "wait", "backoff": "backoff"}
    settings = (Keyword(words[key], Literal(known[key])) for key in step.retry.written)
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


def _params_body(parameters: tuple[Parameter, ...], *, permissive: bool) -> tuple[str, set[str]]:
    """The lines of a function that makes a node's parameters of the store."""
    store = Variables("shared")
    scope, lines, spelled = store, [], []
    inputs = next((p for p in parameters if p.key == "inputs"), None)
    if inputs is not None and (is_scope(inputs) or inputs_are_read(parameters)):
        spelled.append(parameter(inputs, store, permissive=permissive))
        lines += [lay_out(spelled[0], 1, "inputs = "), "    scope = {**shared, **inputs}"]
        scope = Variables("scope")
    entries = []
    for p in parameters:
        if p is inputs and lines:
            entries.append(Entry(p.key, Code("inputs")))
            continue
        value = parameter(p, store if p is inputs else scope, permissive=permissive)
        spelled.append(value)
        entries.append(Entry(p.key, value, written(p)))
    lines.append(lay_out(Display(tuple(entries)), 1, "return "))
    return "\n".join(lines), functions(*spelled)


def _outputs(lowered: LoweredIR) -> tuple[str, set[str]]:
    """What the program prints: the declared outputs or, without any, what the last steps gave."""
    store = Variables("shared")
    entries = []
    for name, found in lowered.outputs:
        if isinstance(found, tree.Choice):
            entries.append(Entry(name, Call("found_or", (choice(found, store, "peek"), Literal(None)))))
        else:
            entries.append(Entry(name, value(found, store, permissive=True)))
    if not lowered.outputs:
        left = {edge.source for edge in lowered.edges}
        last = [step.id for step in lowered.steps if step.id not in left]
        entries = [
            Entry(i, Call("found_or", (Call("peek", (Code("shared"), Literal(i))), Literal(None)))) for i in last
        ]
    return lay_out(Display(tuple(entries)), 1, "return "), functions(*(entry.value for entry in entries))


def _edges(lowered: LoweredIR, variables: Mapping[str, str]) -> Iterable[str]:
    for edge in lowered.edges:
        start, end = variables[edge.source], variables[edge.target]
        arguments = (Code(end),) if edge.name == "default" else (Code(end), Literal(edge.name))
        yield lay_out(Call(f"{start}.next", arguments), 1)


def _inputs(lowered: LoweredIR) -> Node:
    return Display(tuple(Entry(name, Literal(dict(spec))) for name, spec in lowered.inputs.items()))


def _imports(
    batches: Sequence[LoweredBatch], classes: _Classes, used: set[str], runtime: str, folders: Sequence[str]
) -> list[str]:
    """The runtime first: it says where the classes of steps are looked for. What stands beside `flow.py` comes last."""
    local = {MODULE: [batch.class_name for batch in batches]} if batches else {}
    theirs: dict[str, set[str]] = {}
    for module, name in classes.lines():
        theirs.setdefault(module, set()).add(name)
    used = used | ({"class_path"} if folders else set())
    if runtime == RUNTIME and not folders:
        theirs[RUNTIME] = used
        lines = []
    else:
        lines = [*(import_lines if runtime == RUNTIME else beside_imports)({runtime: used}), ""]
    if folders:
        call = Call("class_path", (Code("__file__"), *map(Literal, folders)))
        lines += [lay_out(call, 0, "sys.path[:] = "), ""]
    if theirs:
        lines += [*import_lines(theirs), ""]
    if local:
        lines += [*beside_imports(local), ""]
    return lines[:-1]
