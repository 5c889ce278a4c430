"""What node types take and give: a parameter that a type does not have, or needs; an output that it never writes.

Of pflow's own types this is known from the shipped records, so that the answer is the same with and without pflow. Of
another class in pflow's registry it is known which parameters it takes. A type of the author's table is the author's:
nothing is said about it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from ..ir.report import DiagnosticCollector, kind, nearest, shown
from ..ir.template import Reference
from ..ir.workflow import NODE_KEYS, SourceIR, SourceNode
from ..node_types.declared_type import JSON_TYPES
from ..node_types.lookup import NodeTypes, TypeSource
from ..node_types.pflow_types import STRAY_PARAM, WORKFLOW_PARAMS, WORKFLOW_TYPES, PflowType, pflow_type
from ..validate.rules import batch_inside_params
from .code_annotations import result_type
from .known_outputs import KINDS, SCALARS, Finding, added_outputs, output_named_by
from .written_values import values_of

_EVERYWHERE = frozenset({"inputs", STRAY_PARAM})
_KEYS = tuple(key for key in NODE_KEYS if key != "type")
"""Keys of a node that, misspelt, become a parameter in Markdown."""


class Interfaces:
    """The interfaces of the types that are pflow's own, as far as `types` does not say otherwise."""

    def __init__(self, types: NodeTypes | None) -> None:
        """Without `types`, nothing is known."""
        self._types = types

    def of(self, name: str) -> PflowType | None:
        """The record of a type; None where another class goes by that name, or nothing is known."""
        known = pflow_type(name)
        if known is None or self._types is None or self._types.names_a_class(name):
            return None
        found = self._types.resolve(name)
        is_pflows = found.origin is not TypeSource.REGISTRY or f"{found.module}:{found.class_name}" == known.path
        return known if is_pflows else None

    def parameters(self, name: str) -> Collection[str]:
        """All parameters that pflow lets a node of a type have; none where it lets it have any."""
        known = self.of(name)
        if name in WORKFLOW_TYPES and known is not None:
            return WORKFLOW_PARAMS
        if known is not None and known.declares_params:
            return known.params
        if self._types is None or self._types.names_a_class(name):
            return ()
        return self._types.resolve(name).declared

    def outputs(self, node: SourceNode) -> Mapping[str, str | None]:
        """The outputs that the type of `node` is known to have, or each item of a batch, with their JSON types.

        None for a type that JSON does not have. There may be others.
        """
        known = self.of(node.type)
        declared = {name: JSON_TYPES.get(kind) for name, kind in known.outputs.items()} if known is not None else {}
        result = result_type(node)
        return {**declared, "result": result} if result else declared


def check_parameters(ir: SourceIR, report: DiagnosticCollector, interfaces: Interfaces) -> None:
    """Report parameters that pflow refuses, since the node's type does not have them, and needed ones."""
    for node in ir.nodes:
        meant = set()
        if parameters := interfaces.parameters(node.type):
            names = {*parameters, *_EVERYWHERE}
            for key in node.params:
                if key in names or (key == "batch" and batch_inside_params(node) is not None):
                    continue
                guess = report.nearest(key, names - {STRAY_PARAM}, [name for name in _KEYS if name not in node.data])
                meant.add(guess)
                help = f"did you mean `{guess}`?" if guess else f"it has: {', '.join(sorted(parameters))}"
                message = f"`{key}` is not a parameter of {node.type}"
                report.error("PFL333", (*node.path, "params", key), message, key=True, help=help)
        known = interfaces.of(node.type)
        model = node.params.get("model", "")
        if known is not None and known.asks_a_model and not isinstance(model, str) and model is not None:
            path = (*node.path, "params", "model")
            report.error("PFL203", path, f"a model is named by a text, not {kind(model)}", help="write its name")
        if known is not None:
            _check_values(node, known, report)
        for key in _missing(node, known) if known is not None else ():
            if key not in meant:  # it is there, under a name that is misspelt
                what = "is empty" if key in node.params else "is not given"
                message = f"`{key}` {what}, and {node.type} needs it: the node fails whenever it runs"
                report.warn("PFL337", (*node.path, "params", key), message, help=f"give the node its `{key}`")


def _check_values(node: SourceNode, known: PflowType, report: DiagnosticCollector) -> None:
    """Report parameters whose value is known, and not one that the type takes."""
    for key, allowed in known.allowed.items():
        if key not in node.params or (node.batch is not None and node.batch.alias in node.inputs):
            continue
        empty = (None, "") if key in known.needs else ()  # of which it is said that it is needed
        given = [found for found in values_of(node, node.params[key]) if found[1] not in empty]
        wrong = next((found for found in given if not allowed.has(found[1])), None)
        if wrong is None:
            continue
        index, value = wrong
        guess = report.nearest(value, allowed.names) if isinstance(value, str) else None
        whose = "node" if index is None else "item"
        help = f"did you mean `{guess}`?" if guess else f"no run of the {whose} gets beyond it"
        made = "" if index is None else f" for items[{index}]"
        message = f"`{key}` is {shown(value)}{made}, and {node.type} takes {allowed.words}"
        # What a template gives pflow finds out when the item runs, which may be one of several that may fail.
        say = report.error if allowed.refused and index is None else report.warn
        say("PFL348", (*node.path, "params", key), message, help=help)


def _missing(node: SourceNode, known: PflowType) -> Iterator[str]:
    """The parameters that the node needs and that are not there, or say nothing."""
    for key in known.needs:
        value = node.params.get(key)
        if value is None or (value == "" and key not in known.may_be_empty):
            yield key


def check_output(interfaces: Interfaces, node: SourceNode, reference: Reference) -> Finding | None:
    """What is wrong with a path into the outputs of a node, or of one item of a batch node, if anything."""
    known, step = interfaces.of(node.type), output_named_by(node, reference)
    if known is None or not known.known_outputs or step is None:
        return None
    names = (*known.outputs, *added_outputs(node))
    if step.name in names:
        kind = interfaces.outputs(node).get(step.name)
        if kind not in SCALARS or reference.path[-1] is step:
            return None
        return Finding("PFL334", f"${{{reference.raw}}} is never there: `{step.name}` is {KINDS[kind]}")
    guess = nearest(step.name, names)
    listed = ", ".join(name for name in names if not name.startswith("_"))
    help = f"did you mean `{guess}`?" if guess else f"it gives: {listed}"
    if guess and node.batch is None:
        rest = reference.raw[len(reference.root) + 1 + len(step.name) :]
        help = f"did you mean ${{{node.id}.{guess}{rest}}}?"
    what = f"an item of `{node.id}`" if node.batch is not None else f"`{node.id}`"
    return Finding("PFL334", f"${{{reference.raw}}} is not an output of {what} ({node.type})", help)
