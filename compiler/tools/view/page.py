"""What was explored -> one page of HTML that needs nothing else.

Text of a workflow reaches the page as escaped text only. Should an escape ever be forgotten, the page's policy still
lets nothing run and nothing load but the one style sheet and the one script that are ours, known by their hashes.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from importlib import resources

from ...diagnostics.diagnostic import Diagnostic, Severity, printable
from ...emit.emit import jinja, summary
from ...files.generated_names import PROGRAM
from ...ir.lowered import LoweredBatch
from ...ir.paths import Path
from ...write.in_the_way import PAGE_MARK
from .explore import Explored
from .graph import graph_of
from .links import NONE, Links, links_of
from .panes import Note, kept_of, notes_of, pane_of
from .shorten import Gap, Kept, long_values

Plan = Mapping[str, Mapping[str, object]]
"""By node id what is known of its run, in the order in which it is shown: {"items": "40", "calls": "40 to 120"}."""

_STYLES = ("page.css", "code.css", "graph.css", "narrow.css", "print.css")
_SCRIPTS = (
    "lines.js",
    "links.js",
    "keys.js",
    "graph.js",
    "search.js",
    "ribbon.js",
    "tabs.js",
    "split.js",
    "theme.js",
    "live.js",
)


def render(explored: Explored, findings: Iterable[Diagnostic] = (), plan: Plan | None = None, *, live: str = "") -> str:
    """The page. `findings` come besides the compiler's own; `plan` says what running would mean.

    With `live` (a word for this state of the workflow) the page asks its server for newer ones.
    """
    notes = notes_of([*explored.findings, *findings])
    texts = [explored.text, *_files(explored).values()]
    names = [explored.name, *_files(explored)]
    values = long_values(explored.document) if explored.document else []
    links = _links(explored, names[1:], values)
    facts = _facts(explored, plan or {})
    kept = [kept_of(number, text, explored.document, values, links) for number, text in enumerate(texts)]
    panes = [
        pane_of(number, name, kept, links, notes if not number else (), facts if not number else {})
        for number, name in enumerate(names)
    ]
    style, script = _assets()
    graph = graph_of(explored.document.data, _batches(explored)) if explored.document else None
    return (
        jinja("explorer", html=True)
        .get_template("page.html.jinja")
        .render(
            mark=PAGE_MARK,
            policy=_policy(style, script, live),
            style=style,
            script=script,
            live=live,
            name=explored.name,
            counts=_counts(explored),
            notes=notes,
            tally=_tally(notes),
            withheld=notes_of(explored.withheld),
            lowered=explored.compiled is not None,
            source=panes[0],
            files=panes[1:],
            graph=graph,
            starts=_starts(explored, links, kept),
            data=_data(links, names, [text.gaps for text in kept]),
        )
    )


def _files(explored: Explored) -> Mapping[str, str]:
    """The generated files in the order of their tabs: code first."""
    files = explored.compiled.files if explored.compiled else {}
    return {name: files[name] for name in sorted(files, key=lambda n: (n.endswith(".json"), n == PROGRAM, n))}


def _batches(explored: Explored) -> Sequence[LoweredBatch]:
    return explored.compiled.lowered.batches if explored.compiled else ()


def _links(explored: Explored, names: Sequence[str], values: Sequence[Path]) -> Links:
    compiled = explored.compiled
    if compiled is None:
        return NONE
    from ...emit.source_map import maps_of

    # Long values are not told apart: their parts would be most of the work, and most of the links.
    maps = maps_of(compiled.lowered, compiled.marked, frozenset(values))
    return links_of(compiled.source.document, [maps.get(name, []) for name in names])


def _facts(explored: Explored, plan: Plan) -> dict[int, list[tuple[str, str]]]:
    """By line of the workflow what is said of the node that starts there: its class, how it runs, the plan."""
    if explored.compiled is None:
        return {}
    compiled = explored.compiled
    batches = {batch.node_id: batch for batch in compiled.lowered.batches}
    facts: dict[int, list[tuple[str, str]]] = {}
    for node in compiled.source.nodes:
        shown = [("", f"{batches[node.id].class_name}: {summary(batches[node.id])}")] if node.id in batches else []
        shown += [(key, str(value)) for key, value in plan.get(node.id, {}).items()]
        position = compiled.source.position((*node.path, "id"))
        if shown and position is not None:
            facts[position.line] = [(printable(key), printable(value)) for key, value in shown]
    return facts


def _counts(explored: Explored) -> list[str]:
    if explored.document is None:
        return []
    nodes = explored.document.data.get("nodes")
    count = len(nodes) if isinstance(nodes, list) else 0
    shown = [_plural(count, "node", "nodes")]
    if explored.compiled is not None:
        shown.append(_plural(len(explored.compiled.lowered.batches), "batch", "batches"))
    return shown


def _tally(notes: Iterable[Note]) -> str:
    kinds = [note.kind for note in notes]
    order = dict.fromkeys([*(severity.value for severity in Severity), *kinds])
    return ", ".join(_plural(kinds.count(kind), kind, f"{kind}s") for kind in order if kind in kinds)


def _plural(count: int, one: str, more: str) -> str:
    return f"{count:,} {one if count == 1 else more}"


def _starts(explored: Explored, links: Links, kept: Sequence[Kept]) -> list[tuple[str, str]]:
    """By number of node: where it stands in the workflow, and its link."""
    if explored.document is None:
        return []
    nodes = explored.document.data.get("nodes")
    found = []
    for number in range(len(nodes) if isinstance(nodes, list) else 0):
        extent = explored.document.positions.extent(("nodes", number))
        before = f"#p0-{kept[0].shown(extent[0])}" if extent else ""
        link = links.nodes.get(number)
        found.append((before, "" if link is None else str(link)))
    return found


def _data(links: Links, names: Sequence[str], gaps: Sequence[Sequence[Gap]]) -> str:
    """The links as JSON that can stand inside a `script` element."""
    rows = [[link.label, link.rule, -1 if link.node is None else link.node, link.regions] for link in links.links]
    text = json.dumps({"names": names, "links": rows, "gaps": gaps}, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _policy(style: str, script: str, live: str) -> str:
    rules = [
        "default-src 'none'",
        f"style-src '{_hash(style)}'",
        f"script-src '{_hash(script)}'",
        *(["connect-src 'self'"] if live else []),
        "base-uri 'none'",
        "form-action 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    ]
    return "; ".join(rules)


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")


@functools.cache
def _assets() -> tuple[str, str]:
    """The style sheet and the script: files of ours, put together."""
    folder = resources.files("pflow_lower.templates") / "explorer"

    def read(name: str) -> str:
        return (folder / name).read_text(encoding="utf-8")

    script = "".join(read(name) for name in _SCRIPTS)
    return "\n" + "".join(read(name) for name in _STYLES), f'\n"use strict";\n(() => {{\n{script}}})();\n'
