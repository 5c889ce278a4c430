"""Every name of a workflow, where it is declared and where it is read, with what it stands for.

Which of several things of one name a reference means is decided as in pflow: in the parameters of a batch node its
item comes first; a key of the node's own `inputs` hides both that and the rest; a node hides an input.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ...analyse.invariance import ITEM_NAME, Bindings, Bound
from ...analyse.references import COUNTERS
from ...analyse.template_sites import SiteKind, TemplateSite, template_sites
from ...ir.batch_spec import BatchSpec
from ...ir.paths import Path
from ...ir.template import DynamicIndex, Expression, Literal, Reference, parse
from ...ir.workflow import SourceIR, SourceNode
from .text import Place
from .text_places import Places, Spelling


class Symbol(NamedTuple):
    """What a name stands for. `kind` is node, input, item (of the batch `owner`), own (a key of the `inputs` of the
    node `owner`), counter or unknown. An owner is a node's number: two may have one id, until somebody says so."""

    kind: str
    name: str
    owner: int = -1


class Occurrence(NamedTuple):
    """A name in its place: `root` is the name itself, `place` the path that it begins, `whole` the `${...}`."""

    symbol: Symbol
    root: Place
    place: Place
    whole: Place
    reference: Reference | None = None
    site: TemplateSite | None = None


def parameter_of(site: TemplateSite) -> str:
    """The parameter that a template of a node's stands in, as `Bindings` asks for it."""
    return str(site.path[3]) if site.path[2] == "params" else ITEM_NAME


class Names:
    """What the names of a workflow stand for, and where they are declared."""

    def __init__(self, ir: SourceIR, places: Places) -> None:
        self.ir = ir
        self.nodes = {node.id: node for node in reversed(ir.nodes)}
        self.declared = ir.names
        self._places = places

    def symbol(self, root: str, node: SourceNode | None = None, site: TemplateSite | None = None) -> Symbol:
        """What `root` stands for at `site`, in `node`."""
        if node is not None and site is not None:
            if site.kind is SiteKind.PARAMETER:
                bound = Bindings.of(node, self.declared).bound(root, parameter_of(site))
                if bound is not Bound.OUTER:
                    kind = {Bound.OWN: "own", Bound.ITEM: "item", Bound.PART: "item"}.get(bound, "counter")
                    return Symbol(kind, root, node.number)
            if site.kind is SiteKind.INNER_ITEMS and node.batch is not None and root in node.batch.aliases:
                return Symbol("item", root, node.number)
            if root in COUNTERS:
                return Symbol("counter", root, node.number)
        if root in self.nodes:
            return Symbol("node", root)
        return Symbol("input" if root in self.ir.inputs else "unknown", root)

    def declaration(self, symbol: Symbol) -> Place | None:
        """Where what `symbol` stands for is declared."""
        if symbol.kind == "node":
            return self._places.name(self.nodes[symbol.name].path)
        if symbol.kind == "input":
            return self._places.name(("inputs", symbol.name))
        if symbol.kind == "own":
            return self._places.key((*self.ir.nodes[symbol.owner].path, "params", "inputs", symbol.name))
        if symbol.kind in ("item", "counter"):
            node = self.ir.nodes[symbol.owner]
            if node.batch is None:
                return None
            path = _path_of_level(node, node.batch, symbol.name)
            return self._places.bare((*path, "as"), symbol.name) or self._places.value((*path, "items"))
        return None

    def all(self) -> Iterator[Occurrence]:
        """Every reference, every end of an edge, and every declaration of a node, an input or an item."""
        for site in template_sites(self.ir):
            if site.kind is SiteKind.CHUNK:
                yield from self._bare(site)
            else:
                for expression, spelling in self._places.expressions(site.path, site.template):
                    yield from self._of(site, expression, spelling)
        for name, source in self.ir.outputs:
            if "${" not in source:
                whole = parse(f"${{{source}}}")
                yield from self._bare(TemplateSite(SiteKind.OUTPUT, None, ("outputs", name, "source"), whole))
        yield from self._edges()
        yield from self._declared()

    def _bare(self, site: TemplateSite) -> Iterator[Occurrence]:
        """The reference of a template that is written without its `${ }`."""
        place = self._places.bare(site.path, site.template.source[2:-1])
        if place is not None and site.template.is_whole:
            for found in self._of(site, site.template.expressions[0], Spelling(place.start - 2)):
                yield found._replace(whole=place)

    def _of(self, site: TemplateSite, expression: Expression, spelling: Spelling) -> Iterator[Occurrence]:
        whole = spelling.place(expression.start, expression.end)
        for reference, start in _located(expression):
            root = spelling.place(start, start + len(reference.root))
            place = spelling.place(start, start + len(reference.raw))
            symbol = self.symbol(reference.root, site.node, site)
            yield Occurrence(symbol, root, place, whole, reference, site)

    def _edges(self) -> Iterator[Occurrence]:
        paths: list[tuple[Path, str | None]] = [(("start_node",), self.ir.start_node)]
        for index, edge in enumerate(self.ir.edges):
            paths += [(("edges", index, "from"), edge.source), (("edges", index, "to"), edge.target)]
        for path, name in paths:
            place = self._places.bare(path, name) if name is not None and name in self.nodes else None
            if name is not None and place is not None:
                yield Occurrence(Symbol("node", name), place, place, place)

    def _declared(self) -> Iterator[Occurrence]:
        symbols = [Symbol("node", node) for node in self.nodes]
        symbols += [Symbol("input", name) for name in self.ir.inputs if name not in self.nodes]
        places = [(symbol, self.declaration(symbol)) for symbol in symbols]
        for node in self.ir.nodes:
            if node.batch is not None:
                for alias in node.batch.aliases:
                    place = self._places.bare((*_path_of_level(node, node.batch, alias), "as"), alias)
                    places.append((Symbol("item", alias, node.number), place))
        for symbol, place in places:
            if place is not None:
                yield Occurrence(symbol, place, place, place)


def _path_of_level(node: SourceNode, batch: BatchSpec, alias: str) -> Path:
    """The place of the batch whose items are called `alias`; of the outermost for what is not an item."""
    depth = batch.aliases.index(alias) if alias in batch.aliases else 0
    return (*node.path, *["batch"] * (depth + 1))


def at(found: list[Occurrence], offset: int) -> Occurrence | None:
    """The innermost name or reference under a cursor at `offset`; `${` and `}` count where there is only one."""
    touched = [occurrence for occurrence in found if occurrence.place.holds(offset)]
    touched = touched or [occurrence for occurrence in found if occurrence.whole.holds(offset)][:1]
    return min(touched, key=lambda occurrence: occurrence.place.end - occurrence.place.start, default=None)


def _located(expression: Expression) -> Iterator[tuple[Reference, int]]:
    """Every reference of an expression, and where in the template it starts."""
    source = "${" + expression.raw + "}"
    at = 2
    for operand in expression.operands:
        start = source.index(operand.raw, at)
        at = start + len(operand.raw)
        if isinstance(operand, Literal):
            continue
        yield operand, expression.start + start
        inner = start
        for step in operand.path:
            if isinstance(step, DynamicIndex):
                inner = source.index("[${" + step.ref.raw + "}]", inner) + 3
                yield step.ref, expression.start + inner
