"""The parts of a `.pflow.md` and the offsets at which they stand: sections, bullets, code blocks, YAML in both.

markdown-it-py finds headings, bullets and fences, PyYAML the marks inside of them; what is prose is neither. Where
pflow reads Markdown in a way of its own, that counts: indentation makes no code, HTML is text, a bullet ends at the
first line that is not deeper than it, and the text of a block scalar holds no headings and no fences.
"""

from __future__ import annotations

import bisect
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from ..ir.paths import Path
from .json_positions import Repeated, Span

if TYPE_CHECKING:
    from markdown_it.token import Token

_BLOCK_SCALAR = re.compile(r"[|>][-+0-9]*(?:[ \t]+#.*)?")
_TEMPLATE = re.compile(r"\$\{(?:[^${}\n]|\$\{[^${}\n]*\}|\$(?!\{))*\}")
_BREAK = re.compile(r"\r\n|\r|\n")
_MERGE = "tag:yaml.org,2002:merge"
"""The tag of the key `<<`, of which a mapping may have several."""
_UNUSED = ("blockquote", "code", "html_block", "lheading", "reference")
"""Rules of CommonMark that pflow does not have."""


class Part(NamedTuple):
    """The value of one key of a section."""

    name: str
    span: Span
    """Where the value stands; its `key` is where a bullet's key does."""
    tag: int | None = None
    """Where the key stands in the fence of a code block."""


class Section(NamedTuple):
    """What stands under one heading, up to the next one."""

    level: int
    name: str
    start: int
    """Where the heading's text starts."""
    end: int
    parts: tuple[Part, ...]
    """The keys of bullets and code blocks, in their order."""
    bullets: tuple[tuple[int, int], ...]
    """Where each bullet starts and ends."""
    repeated: tuple[Repeated, ...] = ()
    """The keys that stand twice, of its bullets or inside of what they hold; YAML keeps the last of them."""
    fences: tuple[tuple[int, str], ...] = ()
    """Where each code block starts, and what stands after its fence."""
    prose: tuple[tuple[int, int], ...] = ()
    """Where each line starts and ends that is neither part of a bullet nor of a code block, nor empty."""


class _Lines:
    """The lines of a text as markdown-it counts them."""

    def __init__(self, text: str) -> None:
        self.text = text
        breaks = list(_BREAK.finditer(text))
        self.starts = [0, *(found.end() for found in breaks)]
        self.ends = [*(found.start() for found in breaks), len(text)]

    def __getitem__(self, number: int) -> str:
        return self.text[self.starts[number] : self.ends[number]]

    def start(self, number: int) -> int:
        """Where a line starts; the end of the text for the line after the last one."""
        return self.starts[number] if number < len(self.starts) else len(self.text)


def sections(text: str) -> list[Section]:
    """Every `## section` and `### entity` of the text, in order."""
    lines = _Lines(text)
    fences, headings, bullets = _marks(lines)
    items = _items(lines, bullets, fences)
    parts: dict[int, list[Part]] = {}
    repeated: dict[int, list[Repeated]] = {}
    blocks: dict[int, list[tuple[int, int]]] = {}
    for first, last in items:
        at = bisect.bisect(headings, first) - 1
        blocks.setdefault(at, []).append((lines.start(first), lines.start(last)))
        parts.setdefault(at, []).extend(_bullet(lines, first, last, repeated.setdefault(at, [])))
    for first, (last, info) in fences.items():
        at = bisect.bisect(headings, first) - 1
        parts.setdefault(at, []).extend(_code_block(lines, first, last, info, repeated.setdefault(at, [])))
    covered = {number for first, last in items for number in range(first, last)}
    covered |= {number for first, (last, _) in fences.items() for number in range(first, last)}
    found: list[Section] = []
    for at, first in enumerate(headings):
        line = lines[first]
        after = headings[at + 1] if at + 1 < len(headings) else len(lines.starts)
        inner = range(first + 1, after)
        marks = line.strip().partition(" ")[0]
        if marks in ("##", "###"):
            name = line.strip().removeprefix(marks).strip()
            end = lines.start(after)
            start = lines.start(first) + line.index(marks) + len(marks)
            start += len(text[start:end]) - len(text[start:end].lstrip())
            inside = sorted(parts.get(at, ()), key=lambda part: part.span.start)
            twice = sorted([*repeated.get(at, ()), *_twice(inside)], key=lambda one: one.offset)
            infos = tuple((lines.start(number), fences[number][1]) for number in inner if number in fences)
            prose = tuple(
                (lines.start(number), lines.ends[number])
                for number in inner
                if number not in covered and lines[number].strip()
            )
            bullets_at = tuple(blocks.get(at, ()))
            found.append(Section(len(marks), name, start, end, tuple(inside), bullets_at, tuple(twice), infos, prose))
    return found


def repeated_at_the_top(text: str) -> list[Repeated]:
    """The keys that stand twice in the front matter."""
    lines = _Lines(text)
    repeated: list[Repeated] = []
    if (last := _frontmatter(lines)) > 0:
        composed(text[lines.start(1) : lines.start(last)], lines.start(1), repeated)
    return repeated


def _twice(parts: list[Part]) -> Iterator[Repeated]:
    """The keys of a section that several of its bullets have."""
    first: dict[str, Part] = {}
    for part in parts:
        earlier = first.setdefault(part.name, part)
        here, there = part.span.key, earlier.span.key
        if here is not None and there is not None and here != there:  # one value that two names stand for is one place
            yield Repeated((part.name,), here, there)


def _marks(lines: _Lines) -> tuple[dict[int, tuple[int, str]], list[int], list[int]]:
    """The lines of fences (first -> last and info string), of headings and of bullets."""
    from markdown_it import MarkdownIt

    tokens: list[Token] = MarkdownIt("commonmark").disable([*_UNUSED, "inline"]).parse(_as_commonmark(lines))
    fences: dict[int, tuple[int, str]] = {}
    headings: list[int] = []
    bullets: list[int] = []
    for token in tokens:
        if token.map is None:
            continue
        first, last = token.map
        if token.type == "fence":
            fences[first] = (last, token.info)
        elif token.type == "heading_open" and token.tag in ("h2", "h3"):  # to pflow, no other one ends a section
            headings.append(first)
        elif token.type == "list_item_open" and token.markup == "-" and lines[first].lstrip().startswith("- "):
            bullets.append(first)
    return fences, sorted(headings), sorted(set(bullets))


def _as_commonmark(lines: _Lines) -> str:
    """The text as CommonMark that has the structure that pflow sees, line for line.

    Front matter and the text of block scalars are left empty; headings and fences, which count wherever they are
    indented to, are not indented.
    """
    body = _frontmatter(lines) + 1
    made = ["" if number < body else lines[number] for number in range(len(lines.starts))]
    key: int | None = None  # the column of the key of an open block scalar, and that of its text, once it is known
    column = 0
    for number, line in enumerate(made):
        depth = _indentation(line)
        if key is not None:
            column = column or (depth if line.strip() and depth > key else 0)
            if not line.strip() or (column and depth >= column):
                made[number] = ""
                continue
            key = None
        if line.lstrip().startswith("- ") and _opens_scalar(line):
            key, column = depth + 2, 0
        elif line.lstrip().startswith(("#", "```", "~~~")):
            made[number] = line.lstrip()
    return "\n".join(made)


def _frontmatter(lines: _Lines) -> int:
    """The last line of what stands between two `---` at the beginning; -1 without such a thing."""
    if lines[0].rstrip() == "---":
        for number in range(1, len(lines.starts)):
            if lines[number].rstrip() == "---":
                return number
    return -1


def _items(lines: _Lines, bullets: list[int], fences: Mapping[int, object]) -> list[tuple[int, int]]:
    """The first line of every bullet and the line after its last one; a bullet inside of one is a part of it."""
    found: list[tuple[int, int]] = []
    for first in bullets:
        if found and first < found[-1][1]:
            continue
        line = lines[first]
        content = _indentation(line) + 2
        last = first + 1
        while last < len(lines.starts):
            line = lines[last]
            if line.strip() and (_indentation(line) < content or last in fences):
                break
            last += 1
        while last > first + 1 and not lines[last - 1].strip():
            last -= 1
        found.append((first, last))
    return found


def _indentation(line: str) -> int:
    return len(line) - len(line.lstrip())


def _opens_scalar(line: str) -> bool:
    """Whether the value of a bullet is a block scalar, `- key: |`: its lines are text, whatever they look like."""
    _, colon, value = line.partition(":")
    return bool(colon) and _BLOCK_SCALAR.fullmatch(value.strip()) is not None


def _bullet(lines: _Lines, first: int, last: int, repeated: list[Repeated]) -> Iterator[Part]:
    """The keys of one bullet, and where their values stand; what stands twice in it goes to `repeated`."""
    start, end = lines.start(first), lines.ends[last - 1]
    if last > first + 1:
        found: list[Repeated] = []
        root = composed(lines.text[start:end], start, found)
        repeated += [one._replace(path=one.path[1:]) for one in found]  # the bullets are a list to YAML
        for entry in root.items if root is not None else ():
            yield from (Part(name, span) for name, span in entry.members.items())
        if root is not None:
            return
    line = lines[first]
    name, colon, value = line.lstrip().removeprefix("- ").partition(":")
    if not colon or not name.strip() or " " in name.strip():
        return
    key = start + line.index(name.strip(), line.index("- ") + 2)
    at = start + len(line) - len(value)
    at += len(value) - len(value.lstrip())
    if last > first + 1:  # YAML that cannot be read part by part
        yield Part(name.strip(), Span(min(at, end), end, key))
        return
    value = value.strip()
    inside: list[Repeated] = []
    inner = composed(value, at, inside) if value[:1] in ("{", "[") else None
    repeated += [one._replace(path=(name.strip(), *one.path)) for one in inside]
    whole = inner or Span(at, at + len(value))
    whole.key = key
    yield Part(name.strip(), whole)


def _code_block(lines: _Lines, first: int, last: int, info: str, repeated: list[Repeated]) -> Iterator[Part]:
    words = info.split()
    if not words:
        return
    line = lines[first]
    start, end = lines.start(first + 1), lines.start(last - 1)
    found: list[Repeated] = []
    is_yaml = len(words) > 1 and words[0].lower() == "yaml"
    inner = composed(lines.text[start:end], start, found) if is_yaml else None
    repeated += [one._replace(path=(words[-1], *one.path)) for one in found]
    whole = Span(start, max(start, end))
    if inner is not None:
        whole.members, whole.items = inner.members, inner.items
    yield Part(words[-1], whole, lines.start(first) + line.rindex(words[-1]))


def composed(text: str, base: int, repeated: list[Repeated]) -> Span | None:
    """The parts of a YAML text that stands at `base`; None if it is not YAML. What stands twice goes to `repeated`."""
    import yaml

    # pflow, too, reads a template as text, whatever YAML would make of its braces.
    shielded = _TEMPLATE.sub(lambda template: "x" * len(template[0]), text)
    try:
        root = yaml.compose(shielded, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError, ValueError):
        return None
    return None if root is None else _span(root, text, base, repeated)


def _span(root: Any, text: str, base: int, repeated: list[Repeated]) -> Span:
    """The tree of spans of a YAML node. A node that is named twice, by an alias, gives one span."""
    import yaml

    made: dict[int, Span] = {}

    def of(node: Any, path: Path) -> Span:
        if id(node) not in made:
            start, end = node.start_mark.index, node.end_mark.index
            made[id(node)] = Span(base + start, base + start + len(text[start:end].rstrip()))
            todo.append((node, path))
        return made[id(node)]

    todo: list[tuple[Any, Path]] = []
    whole = of(root, ())
    while todo:
        node, above = todo.pop()
        span = made[id(node)]
        if isinstance(node, yaml.SequenceNode):
            span.items = [of(item, (*above, at)) for at, item in enumerate(node.value)]
        elif isinstance(node, yaml.MappingNode):
            first: dict[tuple[str, str], int] = {}
            for key, value in node.value:
                if isinstance(key, yaml.ScalarNode):
                    member = of(value, (*above, key.value))
                    at = base + key.start_mark.index
                    if member.key is None:
                        member.key = at
                    span.members[key.value] = member
                    spelling = text[key.start_mark.index : key.end_mark.index]
                    same = (key.tag, spelling if "${" in spelling else key.value)
                    if first.setdefault(same, at) != at and key.tag != _MERGE:
                        repeated.append(Repeated((*above, key.value), at, first[same]))
    return whole
