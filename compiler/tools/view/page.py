"""What was explored -> one page of HTML that needs nothing else.

Text of a workflow reaches the page as escaped text only. Should an escape ever be forgotten, the page's policy still
lets nothing run and nothing load but the one style sheet and the one script that are ours, known by their hashes.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from importlib import resources
from typing import TYPE_CHECKING, NamedTuple

from ...diagnostics.diagnostic import Diagnostic, Severity, by_position, printable
from ...emit.emit import summary
from ...ir.document import Document
from ...ir.lowered import LoweredBatch
from ...ir.paths import Path
from ...write import PAGE_MARK
from .colour import lines
from .explore import Explored
from .graph import graph_of
from .links import NONE, Links, Region, links_of
from .shorten import Gap, Kept, generated, long_values, shortened, written

if TYPE_CHECKING:
    import jinja2

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
_LANGUAGES = {".py": "python", ".json": "json", ".md": "markdown"}
_CHUNK = 50
"""Lines that a browser lays out together, or leaves out while they are out of sight."""

_PROLOGUE = re.compile(r"^(?:@|class |def |async def )", re.MULTILINE)
"""Where the code of a module starts, after its header and imports."""
_FOLDED = 4
"""From how many lines on header and imports are folded."""
_WRAPS = 40
"""From this length on a line may be too long for a pane."""


class Note(NamedTuple):
    """A finding as it is shown."""

    number: int
    kind: str
    code: str
    where: str
    message: str
    help: str
    line: int


class Line(NamedTuple):
    """One line of a pane, with what stands below it."""

    number: int
    code: str
    """HTML already."""
    deep: str
    """The class for a line that may be wrapped: how deep it is indented."""
    links: str
    target: str
    facts: Sequence[tuple[str, str]]
    notes: Sequence[Note]
    left_out: int = 0
    """How many lines stand here that the page does not show; 0 for an ordinary line."""


class Pane(NamedTuple):
    """One text: the workflow, or a generated file."""

    number: int
    name: str
    folded: Sequence[Line]
    """Header and imports, which are seen when they are asked for."""
    chunks: Sequence[Sequence[Line]]
    first: int
    """The first line that leads anywhere: where the keyboard comes in."""
    loose: Sequence[Note]
    """Findings about no line in particular."""


def render(explored: Explored, findings: Iterable[Diagnostic] = (), plan: Plan | None = None, *, live: str = "") -> str:
    """The page. `findings` come besides the compiler's own; `plan` says what running would mean.

    With `live` (a word for this state of the workflow) the page asks its server for newer ones.
    """
    notes = _notes([*explored.findings, *findings])
    texts = [explored.text, *_files(explored).values()]
    names = [explored.name, *_files(explored)]
    values = long_values(explored.document) if explored.document else []
    links = _links(explored, names[1:], values)
    facts = _facts(explored, plan or {})
    kept = [_kept(number, text, explored.document, values, links) for number, text in enumerate(texts)]
    panes = [
        _pane(number, name, kept, links, notes if not number else (), facts if not number else {})
        for number, name in enumerate(names)
    ]
    style, script = _assets()
    graph = graph_of(explored.document.data, _batches(explored)) if explored.document else None
    return (
        _jinja()
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
            withheld=_notes(explored.withheld),
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
    return {name: files[name] for name in sorted(files, key=lambda n: (n.endswith(".json"), n == "flow.py", n))}


def _batches(explored: Explored) -> Sequence[LoweredBatch]:
    return explored.compiled.lowered.batches if explored.compiled else ()


def _kept(number: int, text: str, document: Document | None, values: Sequence[Path], links: Links) -> Kept:
    """What is shown of a pane's text: `values` of the workflow are long, and so is what became of them."""
    if document is None or not values:
        return shortened(text, ())
    if not number:
        return shortened(text, written(document, values))
    inside = {value[:length] for value in values for length in range(3, len(value) + 1)}
    regions = [r for link in links.links if link.path in inside for r in link.regions if r.pane == number]
    return shortened(text, generated(text, [(region.first, region.last) for region in regions]))


def _links(explored: Explored, names: Sequence[str], values: Sequence[Path]) -> Links:
    compiled = explored.compiled
    if compiled is None:
        return NONE
    from ...emit.source_map import maps_of

    maps = maps_of(compiled.lowered, compiled.files)
    return links_of(compiled.source.document, [maps.get(name, []) for name in names], values)


def _facts(explored: Explored, plan: Plan) -> dict[int, list[tuple[str, str]]]:
    """By line of the workflow what is said of the node that starts there: its class, how it runs, the plan."""
    if explored.compiled is None:
        return {}
    compiled = explored.compiled
    batches = {batch.node_id: batch for batch in compiled.lowered.batches}
    facts: dict[int, list[tuple[str, str]]] = {}
    for node in compiled.source.nodes:
        said = [("", f"{batches[node.id].class_name}: {summary(batches[node.id])}")] if node.id in batches else []
        said += [(key, str(value)) for key, value in plan.get(node.id, {}).items()]
        position = compiled.source.position((*node.path, "id"))
        if said and position is not None:
            facts[position.line] = [(printable(key), printable(value)) for key, value in said]
    return facts


def _pane(
    number: int,
    name: str,
    kept: Sequence[Kept],
    links: Links,
    notes: Iterable[Note],
    facts: Mapping[int, Sequence[tuple[str, str]]],
) -> Pane:
    text, numbers, gaps = kept[number]
    code = lines(text, _LANGUAGES.get("." + name.rpartition(".")[2]) or _guess(text)) if text else []
    if len(code) > 1 and not code[-1] and numbers[len(code) - 1 :]:
        code.pop()
    written = text.split("\n")
    below: dict[int, list[Note]] = {}
    for note in notes:
        below.setdefault(kept[number].shown(min(note.line, numbers[len(code) - 1] if code else 0)), []).append(note)
    done = [
        _line(at, html, _deep(wide), kept, links.lines[number].get(at, ()), links.target(number, at))._replace(
            facts=facts.get(at, ()), notes=below.get(at, ())
        )
        for at, html, wide in zip(numbers, code, written, strict=False)
    ]
    done += [
        _line(
            gap.first, "", "", kept, links.lines[number].get(gap.first, ()), links.target(number, gap.first)
        )._replace(left_out=gap.last - gap.first + 1, notes=below.get(gap.first, ()))
        for gap in gaps
    ]
    done.sort(key=lambda line: line.number)
    head = _head(text) if name.endswith(".py") else 0
    rest = done[head:]
    chunks = [rest[at : at + _CHUNK] for at in range(0, len(rest), _CHUNK)]
    first = min((line.number for line in rest if line.target), default=0)
    return Pane(number, name, done[:head], chunks, first, below.get(0, ()))


def _line(
    number: int, html: str, deep: str, kept: Sequence[Kept], linked: Sequence[int], target: Region | None
) -> Line:
    leads = f"#p{target.pane}-{kept[target.pane].shown(target.first)}" if target else ""
    return Line(number, html, deep, " ".join(map(str, linked)), leads, (), ())


def _head(text: str) -> int:
    """How many lines at the start of a module are header and imports; 0 if they are few, or nothing follows."""
    start = _PROLOGUE.search(text)
    count = text.count("\n", 0, start.start()) if start else 0
    return count if count >= _FOLDED else 0


def _deep(line: str) -> str:
    if len(line) < _WRAPS:
        return ""
    return f" i{min((len(line) - len(line.lstrip(' '))) // 2 * 2, 16)}"


def _guess(text: str) -> str:
    return "json" if text.lstrip()[:1] in ("{", "[") else "markdown"


def _notes(found: Iterable[Diagnostic]) -> list[Note]:
    return [
        Note(
            number,
            finding.severity.value,
            finding.code,
            printable(finding.where),
            printable(finding.message),
            "\n".join(printable(line) for line in finding.help.splitlines()),
            finding.position.line if finding.position else 0,
        )
        for number, finding in enumerate(by_position(found))
    ]


def _counts(explored: Explored) -> list[str]:
    if explored.document is None:
        return []
    nodes = explored.document.data.get("nodes")
    count = len(nodes) if isinstance(nodes, list) else 0
    said = [_plural(count, "node", "nodes")]
    if explored.compiled is not None:
        said.append(_plural(len(explored.compiled.lowered.batches), "batch", "batches"))
    return said


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


@functools.cache
def _jinja() -> jinja2.Environment:
    import jinja2

    return jinja2.Environment(
        loader=jinja2.PackageLoader("pflow_lower.templates", package_path="explorer"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=True,
    )
