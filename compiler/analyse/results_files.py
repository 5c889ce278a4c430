"""Results in place of others of the same run, whose counts would still speak of them: refused where that is known."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import NamedTuple

from ..ir.batch_spec import one_spelling
from ..ir.paths import Path
from ..ir.report import DiagnosticCollector
from ..ir.template import is_dynamic
from ..ir.workflow import SourceIR, SourceNode
from .child_workflows import Children
from .foreseen import ways_of
from .node_order import Order


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
        return "*" in self.path

    @property
    def found_by(self) -> tuple[str, str]:
        """By what others find it that may meet it: its path, or that it has a star; and its folder."""
        return (f"{self.folder}/*" if self.are_many else self.path, f"{self.folder}/")

    @property
    def asks(self) -> tuple[str, ...]:
        """Where to look for those that it may meet."""
        return (f"{self.folder}/",) if self.are_many else (self.path, f"{self.folder}/*")

    def meets(self, other: _Results) -> bool:
        """Whether the one begins anew what the other has written: a file, or the manifest that lists many."""
        if self.are_many and other.are_many:
            return self.folder == other.folder
        if not self.are_many and not other.are_many:
            return self.path == other.path
        return fnmatchcase(self.path, other.path) or fnmatchcase(other.path, self.path)


def check_results_files(ir: SourceIR, report: DiagnosticCollector, order: Order, children: Children | None) -> None:
    """Refuse results in place of those of an earlier batch of the same run, or of an earlier item of one batch.

    On a way that is taken because a batch has failed, another one may write its file anew.
    """
    written = {node.id: list(_written_by(node, ir, children)) for node in ir.nodes}
    for node in ir.nodes:
        _check_items(node, written[node.id], report)
    ways = ways_of(ir, order) if sum(map(len, written.values())) > 1 else None
    if ways is None:
        return
    place = {name: number for number, name in enumerate(ways.order())}
    earlier: dict[str, list[tuple[_Results, set[str]]]] = {}
    for node in sorted((node for node in ir.nodes if node.id in place), key=lambda node: place[node.id]):
        for one in written[node.id]:
            rivals = (other for key in one.asks for other, then in earlier.get(key, ()) if node.id in then)
            if (first := next(filter(one.meets, rivals), None)) is not None:
                _refuse(ir, report, one, first)
        then: set[str] = set()
        for edge in ir.edges if written[node.id] else ():
            if edge.source == node.id and edge.name == "default":
                ways.walk(edge.target, then)
        for one in written[node.id]:
            for key in one.found_by:
                earlier.setdefault(key, []).append((one, then))


def _written_by(node: SourceNode, ir: SourceIR, children: Children | None) -> Iterator[_Results]:
    """The results that `node` writes to paths that are known."""
    path = None if node.batch is None else node.batch.results_file
    if path is not None and "${" not in path:
        yield _Results(one_spelling(path), (*node.path, "batch", "results"), node)
    for name, inner, at in children.results_below(node, ir.name) if children is not None else ():
        shown = f'"{inner.id}" in {name}'
        yield _Results(one_spelling((inner.batch and inner.batch.results_file) or ""), at, node, shown)


def _check_items(node: SourceNode, written: list[_Results], report: DiagnosticCollector) -> None:
    """Refuse a batch whose items start workflows that write the same results."""
    if node.batch is None:
        return
    items, is_same_for_all = node.batch.items, not is_dynamic(node.params.get("workflow"))
    is_one = isinstance(items, list) and len(items) == 1 and node.batch.inner is None
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
    report.error("PFL219", one.at, message, help="give each batch a results file of its own")
