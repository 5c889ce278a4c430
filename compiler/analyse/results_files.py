"""Results in place of others of the same run, whose counts would still speak of them: refused where that is known."""

from __future__ import annotations

import posixpath
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from ..ir.batch_spec import one_spelling
from ..ir.file_patterns import are_many, meet
from ..ir.paths import Path
from ..ir.report import DiagnosticCollector
from ..ir.template import is_dynamic
from ..ir.workflow import SourceIR, SourceNode
from .child_calls import files_started
from .child_files import Children
from .node_order import Order
from .reachability import ways_of


class _Results(NamedTuple):
    """Results that a node writes, itself or in a workflow that it starts."""

    path: str
    at: Path
    node: SourceNode
    child: str = ""
    """The batch in the workflow that the node starts: `go` in child.pflow.md."""

    @property
    def folder(self) -> str:
        return posixpath.dirname(self.path)

    @property
    def are_many(self) -> bool:
        return are_many(self.path)

    @property
    def found_by(self) -> tuple[str, str]:
        """By what others find it that may meet it: its path, or that it has a star; and its folder."""
        return (f"{self.folder}/*" if self.are_many else self.path, f"{self.folder}/")

    @property
    def asks(self) -> tuple[str, ...]:
        """Where to look for those that it may meet."""
        return (f"{self.folder}/",) if self.are_many else (self.path, f"{self.folder}/*")

    def meets(self, other: _Results) -> bool:
        """Whether the one begins anew what the other has written."""
        return meet(self.path, other.path)


def check_results_files(ir: SourceIR, report: DiagnosticCollector, order: Order, children: Children | None) -> None:
    """Refuse results in place of those of an earlier batch of the same run, or of an earlier item of one batch.

    On a way that is taken because a node has failed, another one may write its file anew.
    """
    written = {node.id: list(_written_by(node, ir, children)) for node in ir.nodes}
    for node in ir.nodes:
        _check_items(node, written[node.id], report)
    ways = ways_of(ir, order) if sum(map(len, written.values())) > 1 else None
    if ways is None:
        return
    place = {name: number for number, name in enumerate(ways.order())}
    edges = ir.edges_taken
    earlier: dict[str, list[tuple[_Results, set[str]]]] = {}
    for node in sorted((node for node in ir.nodes if node.id in place), key=lambda node: place[node.id]):
        for one in written[node.id]:
            rivals = (other for key in one.asks for other, then in earlier.get(key, ()) if node.id in then)
            if (first := next(filter(one.meets, rivals), None)) is not None:
                _refuse(ir, report, one, first)
        then: set[str] = set()
        for edge in edges if written[node.id] else ():
            if edge.source == node.id and edge.name == "default":
                ways.walk(edge.target, then)
        for one in written[node.id]:
            for key in one.found_by:
                earlier.setdefault(key, []).append((one, then))


def _written_by(node: SourceNode, ir: SourceIR, children: Children | None) -> Iterator[_Results]:
    """The results that `node` writes to paths that are known."""
    if (path := _known_results(node)) is not None:
        yield _Results(path, (*node.path, "batch", "results"), node)
    for file, inner, at in _written_below(node, ir.name, children) if children is not None else ():
        shown = f'"{inner.id}" in {file}'
        yield _Results(_known_results(inner) or "", at, node, shown)


def _written_below(node: SourceNode, shown_in: str, children: Children) -> Iterator[tuple[str, SourceNode, Path]]:
    """The batches that write results to a path that is known, in the workflows that `node` starts and those below:
    the workflow's name, the batch, and where `node` names the workflow that leads there. Twice, where the items of
    `node` name the same workflow twice, or more often."""
    found: dict[str, list[tuple[str, SourceNode]]] = {}
    is_same_for_all = not is_dynamic(node.params.get("workflow"))
    times: Counter[str] = Counter()
    for call in files_started(node):
        name = call.name or ""
        times[name] += 1
        if times[name] > (1 if is_same_for_all else 2):
            continue
        if name not in found:
            inside = [(ir.name, inner) for ir in children.below(name, shown_in) for inner in ir.nodes]
            found[name] = [(file, inner) for file, inner in inside if _known_results(inner) is not None]
        yield from ((file, inner, call.name_path) for file, inner in found[name])


def _known_results(node: SourceNode) -> str | None:
    """The path that a batch writes its results to; None if it writes none, or that is known only when it runs."""
    path = node.batch.results_file if node.batch is not None else None
    return None if path is None or is_dynamic(path) else one_spelling(path)


def _check_items(node: SourceNode, written: list[_Results], report: DiagnosticCollector) -> None:
    """Refuse a batch whose items start workflows that write the same results."""
    if node.batch is None:
        return
    items, is_same_for_all = node.batch.items, not is_dynamic(node.params.get("workflow"))
    is_one = isinstance(items, list) and len(items) == 1 and node.batch.inner_batch is None
    seen: set[str] = set()
    for one in (one for one in written if one.child):
        if one.path in seen or (is_same_for_all and not is_one):
            both = f"{one.child} writes {one.path}"
            message = f"each item starts a workflow whose results replace those of the item before: {both}"
            help = "give that workflow an input that each item has another value for, and put it into the path"
            report.error("PFL219", one.at, message, help=help)
            return
        seen.add(one.path)


def _refuse(ir: SourceIR, report: DiagnosticCollector, one: _Results, first: _Results) -> None:
    line = ir.position(first.at)
    at = f" (line {line.line})" if line else ""
    both = f"both write {one.path}"
    if one.are_many and first.are_many:
        both = f"both list their files in {posixpath.join(one.folder, 'manifest.json')}"
    elif one.are_many or first.are_many:
        both = f"{first.path} is one of {one.path}" if one.are_many else f"{one.path} is one of {first.path}"
    whose = f" ({first.child})" if first.child else ""
    mine = f"of {one.child} " if one.child else ""
    message = f'the results {mine}would replace those of "{first.node.id}"{whose}{at}: {both}'
    own = "folder" if one.are_many or first.are_many else "file"
    report.error("PFL219", one.at, message, help=f"give each batch a {own} of its own for its results")
