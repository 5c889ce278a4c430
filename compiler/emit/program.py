"""`flow.py`: the whole workflow as a PocketFlow program, nodes without a batch and edges included."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ..files.generated_names import PROGRAM, REQUIREMENTS
from ..ir.edges import followers, taken, walk
from ..ir.lowered import MODULE, LoweredBatch, LoweredIR, LoweredStep, Parameter
from ..ir.paths import Path
from ..lowering.names import unused_name, variable
from ..node_types.class_search import MODULES_OF_NODES
from .class_body import functions, inputs_are_read, is_reference, written
from .emit import (
    HEADER,
    IN_A_PACKAGE,
    RUNTIME,
    SourceHeader,
    beside_imports,
    header,
    import_lines,
    jinja,
    type_checker_lines,
)
from .marks import Origin, mark, marked
from .python_text import WIDTH, columns, docstring, lay_out
from .python_tree import PyCall, PyDict, PyEntry, PyExpr, PyKeyword, PyLiteral, PyName
from .template_to_python import Variables, output, parameter

_TOP_LEVEL_NAMES = frozenset({"build_flow", "main", "outputs", "arguments", "INPUTS"})
_BUILTINS = frozenset(
    """
    all any bool bytes dict dir filter float format hash help id input int iter len list map max min next
    object open print range repr reversed round set slice sorted str sum tuple type vars zip
    """.split()
)
"""Builtins that a step may be named after: its variable gets an underscore (`list_`)."""


_UNTYPED_IMPORTS = ("import-untyped", "import-not-found")
"""The classes of nodes come from packages that need not be typed: pflow is not. And what stands beside the program is
found by mypy in one way where the folder is a package for it, and in another where it is not."""


_UNTYPED_FOR_PYRIGHT = "# pyright: reportMissingTypeStubs=false"

_WRITES_IT = "pflow-lower check --update"
"""The command that writes a generated file that is missing."""


class _Names:
    """The names at the top of one program, given out once each."""

    def __init__(self) -> None:
        self._taken = set(_TOP_LEVEL_NAMES)

    def take(self, name: str) -> str:
        name = unused_name(name, self._taken)
        self._taken.add(name)
        return name


def emit_program(lowered: LoweredIR, source: SourceHeader, *, runtime: str) -> dict[str, str]:
    """`flow.py` for the workflow, marked with where its lines come from."""
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
            built: PyExpr = PyCall(step.batch.class_name, (inner,))
        else:
            kind = "AsyncStep" if step.is_async else "Step"
            used.add(kind)
            maker = None
            if step.parameters:
                maker = names.take(f"{variables[step.id].rstrip('_')}_params")
                origin = Origin((*step.path, "params"), "parameter")
                lines, uses = _params_body(step.parameters, origin, permissive=lowered.permissive)
                used |= uses
                first, about = _head(maker), docstring(f"The parameters of `{step.id}`.")
                length = "\n".join((first, about, lines)).count("\n")
                makers.append({"head": mark(origin, length) + first, "docstring": about, "body": lines})
            arguments = (PyLiteral(step.id), inner, *([PyName(maker)] if maker else []))
            built = PyCall(kind, arguments)
        steps.append(marked(_assigned(variables[step.id], built), Origin((*step.path, "id"), "step")))
    shown, uses = _outputs(lowered)
    used |= uses
    if source.source:
        used.add("beside")
    head = [*header(source), *type_checker_lines(runtime, *_UNTYPED_IMPORTS), _UNTYPED_FOR_PYRIGHT]
    imports = _imports(lowered.batches, classes, used, runtime, source.class_folders)
    text = (
        jinja()
        .get_template("flow.py.jinja")
        .render(
            header=[mark(HEADER, len(head)) + head[0], *head[1:]],
            docstring=docstring(f"The workflow of {source.source or 'a file'} as a PocketFlow program."),
            typing="TYPE_CHECKING, Any" if IN_A_PACKAGE in imports else "Any",
            imports=imports,
            runtime=runtime,
            standalone=runtime != RUNTIME,
            remedy="install pflow-lower, or use --standalone"
            if runtime == RUNTIME
            else f"pip install -r {REQUIREMENTS}, or, for a piece of the runtime, {_WRITES_IT}",
            flow=flow,
            makers=makers,
            steps=steps,
            edges=list(_edges(lowered, variables)),
            start=_start(lowered, variables, flow, source),
            inputs=lay_out(_inputs(lowered), 0, "INPUTS: dict[str, dict[str, Any]] = "),
            outputs=shown,
        )
    )
    return {PROGRAM: text}


def _start(lowered: LoweredIR, variables: Mapping[str, str], flow: str, source: SourceHeader) -> str:
    arguments = [PyKeyword("start", PyName(variables[lowered.start]))]
    if source.source:
        arguments.append(PyKeyword("file", PyCall("beside", (PyName("__file__"), PyLiteral(source.source)))))
    if source.journals:
        arguments.append(PyKeyword("journals", PyCall("beside", (PyName("__file__"), PyLiteral(source.journals)))))
    if lowered.inputs:
        arguments.append(PyKeyword("inputs", PyName("INPUTS")))
    built = PyCall(flow, tuple(arguments))
    path: Path = ("start_node",) if "start_node" in lowered.document else ("nodes", 0, "id")
    return marked(lay_out(built, 1, "return "), Origin(path, "start"))


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


def _inner(step: LoweredStep, classes: _Classes) -> tuple[PyExpr, set[str]]:
    if step.runs is None:
        return PyCall("no_class", (PyLiteral(step.id), PyLiteral(step.type))), {"no_class"}
    built: PyExpr = PyCall(classes.name(*step.runs), ())
    if step.retry is None or step.batch is not None:  # a batch's class says it itself
        return built, set()
    known = {"max": step.retry.max, "wait": step.retry.wait, "backoff": step.retry.backoff}
    words = {"max": "max_retries", "wait": "wait", "backoff": "backoff"}
    settings = (PyKeyword(words[key], PyLiteral(known[key])) for key in step.retry.written)
    return PyCall("retrying", (built, *settings)), {"retrying"}


def _assigned(name: str, built: PyExpr) -> str:
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


def _params_body(parameters: tuple[Parameter, ...], origin: Origin, *, permissive: bool) -> tuple[str, set[str]]:
    """The lines of a function that makes a node's parameters of the store."""
    store = Variables("shared")
    scope, lines, expressions = store, [], []
    uses: set[str] = set()
    inputs = next((p for p in parameters if p.key == "inputs"), None)
    if inputs is not None and (is_reference(inputs) or inputs_are_read(parameters)):
        own = origin.part("inputs")
        expressions.append(parameter(inputs, store, permissive=permissive, origin=own))
        lines.append(marked(lay_out(expressions[0], 1, "inputs = "), own))
        # A reference may find anything: only an object has keys that come before the names of the store.
        added = "with_inputs(shared, inputs)" if is_reference(inputs) else "{**shared, **inputs}"
        uses = {"with_inputs"} if is_reference(inputs) else set()
        lines.append(marked(f"    scope = {added}", own))
        scope = Variables("scope")
    entries = []
    for p in parameters:
        if p is inputs and lines:
            entries.append(PyEntry(p.key, PyName("inputs")))
            continue
        made = parameter(p, store if p is inputs else scope, permissive=permissive, origin=origin.part(p.key))
        expressions.append(made)
        entries.append(PyEntry(p.key, made, written(p)))
    lines.append(lay_out(PyDict(tuple(entries), origin), 1, "return "))
    return "\n".join(lines), functions(*expressions) | uses


def _outputs(lowered: LoweredIR) -> tuple[str, set[str]]:
    """What the program prints: the declared outputs or, without any, what the last steps gave."""
    store = Variables("shared")
    if lowered.outputs:
        entries = tuple(PyEntry(name, output(found, store)) for name, found in lowered.outputs)
        shown: PyExpr = PyCall("all_found", (PyDict(entries, Origin(("outputs",), "output")),))
    else:
        shown = PyDict(tuple(PyEntry(step, _or_none(step)) for step in _ends(lowered)))
    return lay_out(shown, 1, "return "), functions(shown)


def _ends(lowered: LoweredIR) -> Iterable[str]:
    """The steps that a run comes to and that lead nowhere."""
    after = followers(taken(lowered.edges, {batch.node_id for batch in lowered.batches}))
    reached: set[str] = set()
    walk(after, lowered.start, reached)
    return (step.id for step in lowered.steps if step.id in reached and step.id not in after)


def _or_none(step: str) -> PyExpr:
    """What a step has given; None where it has not run."""
    return PyCall("found_or", (PyCall("peek", (PyName("shared"), PyLiteral(step))), PyLiteral(None)))


def _edges(lowered: LoweredIR, variables: Mapping[str, str]) -> Iterable[str]:
    for edge in lowered.edges:
        start, end = variables[edge.source], variables[edge.target]
        arguments = (PyName(end),) if edge.name == "default" else (PyName(end), PyLiteral(edge.name))
        yield marked(lay_out(PyCall(f"{start}.next", arguments), 1), Origin(edge.path, "edge"))


def _inputs(lowered: LoweredIR) -> PyExpr:
    origin = Origin(("inputs",), "input")
    entries = (PyEntry(name, PyLiteral(dict(spec), origin.part(name))) for name, spec in lowered.inputs.items())
    return PyDict(tuple(entries), origin)


def _imports(
    batches: Sequence[LoweredBatch], classes: _Classes, used: set[str], runtime: str, folders: Sequence[str]
) -> list[str]:
    """The runtime first: it says where the classes of steps are looked for. What stands beside `flow.py` comes last."""
    local = {MODULE: [batch.class_name for batch in batches]} if batches else {}
    theirs: dict[str, set[str]] = {}
    for module, name in classes.lines():
        theirs.setdefault(module, set()).add(name)
    used = used | ({"class_path"} if folders else set()) | ({"own_path"} if local else set())
    if runtime == RUNTIME and not folders:
        theirs[RUNTIME] = used
        lines = []
    else:
        lines = [*(import_lines if runtime == RUNTIME else beside_imports)({runtime: used}), ""]
    if folders:
        modules = PyLiteral(sorted({module.partition(".")[0] for module in theirs} - MODULES_OF_NODES))
        call = PyCall("class_path", (PyName("__file__"), *map(PyLiteral, folders), PyKeyword("modules", modules)))
        lines += [lay_out(call, 0, "sys.path[:] = "), ""]
    if theirs:
        lines += [*import_lines(theirs), ""]
    if local:
        lines += [*beside_imports(local, f'sys.path[:] = own_path(__file__, "{MODULE}")'), ""]
    return lines[:-1]
