"""References: does every `${...}` name something that is there when it is read?

The rules are pflow's: what it refuses is an error, what it accepts and then fails at is a warning.
`${batch_index}`, `${batch_total}` and `${__previous__}` are ours; any name the author declares wins.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..diagnostics.diagnostic import Diagnostic, by_position
from ..ir.batch_keys import default
from ..ir.item_alias import RENAME_ITEM, is_name, name_like
from ..ir.report import DiagnosticCollector
from ..ir.template import Expression, Field, Reference, parse
from ..ir.workflow import SourceIR, SourceNode
from ..node_types.lookup import NodeTypes
from ..node_types.pflow_types import declares_params
from ..validate.rules import batch_inside_params
from .batch_name_references import check_batch_name
from .child_files import Children
from .child_workflows import check_child_output, check_children
from .code_nodes import check_code
from .declared_names import check_aliases, check_cycle, check_unused
from .edges_never_taken import check_edges
from .foreseen import check_items, check_unreachable
from .invariance import BATCH_NAMES, INDEX, ITERATION, PREVIOUS
from .item_names import check_item_names
from .item_references import ItemReferences
from .known_outputs import check_loops, check_output_key, check_results, check_shell
from .node_order import Order, order
from .other_items import OtherItems
from .pflow_interfaces import Interfaces, check_output, check_parameters
from .prompt_cache import check_cache
from .reference_findings import ReferenceUse
from .results_files import check_results_files
from .sentences import LIST_INDEX, is_a_number, names_nothing, only_in_batches, respelled, shells_variable
from .template_sites import SiteKind, TemplateSite, template_sites
from .template_syntax import check_syntax

COUNTERS = (INDEX, ITERATION)


def check_references(
    ir: SourceIR, types: NodeTypes | None = None, children: Children | None = None
) -> list[Diagnostic]:
    """Every PFL3xx finding (and the PFL2xx ones that need references) about `ir`, by position.

    Without `types`, nothing is said about the parameters and outputs of node types; without `children`, nothing about
    the workflows that its nodes start.
    """
    report = DiagnosticCollector(ir.document)
    interfaces = Interfaces(types)
    check_parameters(ir, report, interfaces)
    check_children(ir, report, children)
    _Checker(ir, report, interfaces, children).run()
    return list(by_position(report.found))


class _Checker:
    def __init__(
        self, ir: SourceIR, report: DiagnosticCollector, interfaces: Interfaces, children: Children | None
    ) -> None:
        self.ir = ir
        self.children = children
        self.interfaces = interfaces
        self.report = report
        self.nodes = {node.id: node for node in ir.nodes}
        self.inputs = frozenset(ir.inputs)
        self.order: Order = order(ir)
        self.edges = frozenset((edge.source, edge.target) for edge in ir.edges)
        self.items = ItemReferences(ir, interfaces, self.order, children)
        self.other_items = OtherItems(ir, self.order)
        self.aliases = self.other_items.names
        # Names that may stand alone; node ids may not.
        self.names = self.inputs | self.aliases
        if self.aliases:
            self.names |= {INDEX}
        if any(node.loop for node in ir.nodes):
            self.names |= {ITERATION}

    def run(self) -> None:
        used: set[str] = set()
        malformed = False
        for site in template_sites(self.ir):
            malformed = check_syntax(site, self.report) or malformed
            if site.node is not None:
                used |= self._node_site(site, site.node)
            elif site.kind is SiteKind.CHUNK:
                used |= {ref.root for ref in site.template.references()}
        used |= self._outputs()
        check_aliases(self.ir, self.report, self.nodes)
        check_loops(self.ir, self.report, self.nodes)
        check_shell(self.ir, self.report, self.nodes)
        check_code(self.ir, self.report, self.nodes)
        check_cache(self.ir, self.report, self.nodes.keys() | self.inputs, self.aliases)
        check_cycle(self.ir, self.report, self.order)
        check_unreachable(self.ir, self.report, self.order)
        check_results_files(self.ir, self.report, self.order, self.children)
        check_items(self.ir, self.report, self.nodes, self.items.values)
        check_item_names(self.ir, self.report)
        check_edges(self.ir, self.report, self.order, self.interfaces)
        if not malformed:  # a misspelled template may be the one that uses it
            check_unused(self.ir, self.report, self.nodes, used)

    def _node_site(self, site: TemplateSite, node: SourceNode) -> set[str]:
        roots: set[str] = set()
        for expression in site.template.expressions:
            for reference in _read(site, expression):
                roots.add(reference.root)
                use = ReferenceUse(self.report, site, expression, reference)
                if self._is_in_file(use):
                    continue
                if self._exists(use, node) and (use.has_fallback or self._output_key(use)):
                    self._fails(use, node)
        return roots

    def _exists(self, use: ReferenceUse, node: SourceNode) -> bool:
        """Report a reference that pflow refuses for its root. Returns whether it is fine."""
        site, reference = use.site, use.reference
        root, own = reference.root, node.inputs
        if root.startswith("__") and root.endswith("__") and root not in (*COUNTERS, PREVIOUS):
            help = "of these only ${__index__} (in a batch) and ${__iteration__} (in a loop) can be read"
            return use.error("PFL306", f"{reference} has a name that is pflow's own", help)
        if root in COUNTERS and reference.path:
            return use.error("PFL307", is_a_number(f"{reference}: {root}"))
        if root in BATCH_NAMES and not any(root in names for names in (self.names, self.nodes, own)):
            return check_batch_name(use, node)
        if node.batch is not None and not is_name(node.batch.alias) and root in ("item", name_like(node.batch.alias)):
            return True  # what the item will be called is not settled: its name is refused
        if root in self.names or root in own:
            return not reference.path or self._in_time(use, node)
        if root in self.nodes:
            if reference.path:
                return self._in_time(use, node)
            return self._bare_node(use)
        old = batch_inside_params(node)
        help = self._meant(node, reference, own)
        if old is not None and root in (old.get("as", default("as")), INDEX):
            if declares_params(node.type):
                return False  # the batch itself is refused: no need to say it again
            help = "the node's `batch` is one of its params, so it does not run as a batch"
        if shell := shells_variable(site, reference.raw):
            help = f"{help}\n{shell}" if help else shell
        return use.error("PFL301", names_nothing(reference), help)

    def _in_time(self, use: ReferenceUse, node: SourceNode) -> bool:
        reference = use.reference
        root = reference.root
        if self.order.runs_before(root, node.id) or (root == node.id and node.loop):
            return True
        if root == node.id:
            what = f"{reference} is this node's own output, which is not there yet"
            return use.error("PFL304", what, "only a `loop` node can read it")
        what = f"{reference} is read before `{root}` runs"
        return use.error("PFL303", what, self._earlier(root, node.id))

    def _earlier(self, first: str, then: str) -> str:
        """What makes `first` run before `then`: its place in the file only where steps are edges, as in Markdown."""
        is_markdown = self.ir.document.is_markdown
        if is_markdown and self.nodes[first].number > self.nodes[then].number:
            return f"move `{first}` before `{then}`"
        if not is_markdown and (then, first) in self.edges:
            return f"turn the edge between them round: from `{first}` to `{then}`"
        edges = "routes" if is_markdown else "edges"
        return f"let the {edges} lead from `{first}` to `{then}`, and not from `{then}` to `{first}`"

    def _output_key(self, use: ReferenceUse) -> bool:
        """A reference without a fallback must name an output, where one can know its name here. Returns whether it
        is not refused."""
        site, reference = use.site, use.reference
        node = self.nodes.get(reference.root)
        if site.node is not None:
            finding = self.items.check_field(site, site.node, reference)
            if finding is not None:
                return use.error(*finding)
        if node is None:
            return True
        if not self.ir.namespaced:
            if site.node is None or (reference.root not in self.names and reference.root not in site.node.inputs):
                what = f"{reference} is not found without namespaces: nodes write to the top level"
                help = "remove `enable_namespacing: false`"
                use.warn("PFL322", what, help)
            return True
        if not reference.path or not isinstance(reference.path[0], Field):
            return self._bare_node(use)
        finding = check_output_key(node, reference) if node.batch is not None else None
        finding = finding or check_output(self.interfaces, node, reference)
        finding = finding or check_child_output(self.children, node, reference, self.ir.name)
        if finding is not None:
            return use.error(*finding)
        if lost := self.items.never_there(site, reference):
            use.warn("PFL322", lost)
        return True

    def _is_in_file(self, use: ReferenceUse) -> bool:
        """Report a reference to results that went to a file: with something to fall back on, too."""
        node = self.nodes.get(use.reference.root) if self.ir.namespaced else None
        finding = check_results(node, use.reference, as_items=use.site.kind is SiteKind.ITEMS)
        if finding is not None:
            use.error(*finding)
        return finding is not None

    def _fails(self, use: ReferenceUse, node: SourceNode) -> None:
        """Report a reference that will not be found when the node runs: a warning, where pflow accepts it."""
        site, reference = use.site, use.reference
        root = reference.root
        if root in self.inputs or root in self.nodes:
            return
        if site.kind is SiteKind.INNER_ITEMS and root in node.aliases:
            outer = node.aliases[: site.path.count("batch") - 1]
            if root not in outer:
                what = f"{reference} is read before there is such an item: only those of the batches around it exist"
                use.error("PFL327", what)
            elif missing := self.items.missing(use, node, "there is nothing to go through"):
                use.fails(*missing)
            return
        if root in node.inputs and root not in node.aliases:
            in_inputs = site.kind is SiteKind.PARAMETER and site.path[3:4] == ("inputs",)
            of_the_batch = site.path[2:3] == ("batch",)
            if of_the_batch or (in_inputs and root not in self.aliases):
                what = f"{reference} is a key of `inputs`, which is filled in only after this is read"
                use.fails("PFL322", what)
            return
        if root in node.aliases or (root == INDEX and node.batch is not None):
            then = "it has no name" if site.is_ours else "the item fails"
            if site.kind in (SiteKind.ITEMS, SiteKind.FILE):
                why = "`items` makes the list of them" if site.kind is SiteKind.ITEMS else "the file is opened once"
                what = f"{reference} is read before there is an item: {why}"
                use.fails("PFL321", what)
            elif missing := self.items.missing(use, node, then):
                use.fails(*missing)
        elif root == ITERATION:
            if not node.loop:
                use.fails("PFL321", f"{reference} only exists in a loop node")
        elif root == INDEX:
            use.fails("PFL321", only_in_batches(reference))
        elif root in self.aliases:
            batch, help = self.other_items.advice(site, node, reference)
            what = f"{reference} is the item of `{batch}`; outside of that batch it does not exist"
            use.fails("PFL321", what, help)

    def _bare_node(self, use: ReferenceUse) -> bool:
        reference = use.reference
        root = reference.root
        if root in self.aliases:
            what = f"{reference} is taken for the node of that name, not for the item"
            return use.error("PFL308", what, RENAME_ITEM)
        node = self.nodes[root]
        example = f"${{{root}.results}}" if node.batch is not None else f"${{{root}.NAME}}"
        return use.error(
            "PFL308",
            f"{reference} is a node, not one of its outputs",
            f"name the output: {example}",
        )

    def _outputs(self) -> set[str]:
        """Check the sources of the workflow's outputs; returns the roots that they read."""
        known = self.nodes.keys() | self.inputs
        roots: set[str] = set()
        for name, source in self.ir.outputs:
            path = ("outputs", name, "source")
            wrapped, template = parse("${" + source + "}"), parse(source)
            if wrapped.is_whole or not template.is_dynamic:
                template = wrapped
            site = TemplateSite(SiteKind.OUTPUT, None, path, template)
            if not source.strip():
                self.report.error("PFL312", path, "is empty", help="name a value: ${node.output}")
            elif not template.expressions and not template.issues:
                what = "has no reference in it, so the output would be this text"
                self.report.error("PFL312", path, what, help="name a value: ${node.output}")
            elif "${" not in source:
                root = source.replace("[", ".").partition(".")[0]
                if root not in known:
                    guess = self.report.nearest(root, known)
                    help = f"did you mean {guess}?" if guess else ""
                    self.report.error("PFL301", path, names_nothing(source), help=help)
                elif not template.expressions:
                    what = f"{source} is not a reference, so the output stays empty"
                    self.report.warn("PFL322", path, what, help=LIST_INDEX)
            for expression in template.expressions:
                for reference in expression.references():
                    roots.add(reference.root)
                    use = ReferenceUse(self.report, site, expression, reference)
                    if self._is_in_file(use):
                        continue
                    if reference.root not in known:
                        if "${" in source:
                            guess = self.report.nearest(reference.root, known)
                            use.error("PFL301", names_nothing(reference), respelled(reference, guess))
                    elif not use.has_fallback and reference.path:
                        self._output_key(use)
        return roots

    def _meant(self, node: SourceNode, reference: Reference, own: Mapping[str, Any]) -> str:
        near = {*self.inputs, *own}
        if node.batch is not None:
            near |= {*map(name_like, node.aliases), INDEX, *BATCH_NAMES}
        guess = self.report.nearest(reference.root, near, self.nodes.keys())
        if guess is None:
            return ""
        if guess in near or reference.path:
            return respelled(reference, guess)
        return f"did you mean an output of the node `{guess}`?"


def _read(site: TemplateSite, expression: Expression) -> Iterator[Reference]:
    """The references to check. What a loop carries is checked elsewhere, but for its indexes."""
    for operand in expression.operands:
        if isinstance(operand, Reference):
            for reference in operand.references():
                if site.kind is not SiteKind.CARRY or reference is not operand:
                    yield reference
