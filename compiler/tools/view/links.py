"""Which lines belong together: source maps -> links between a stretch of the workflow and what it became.

Pane 0 is the workflow, the others are the generated files. A line of any pane belongs to the narrowest links that
cover it; a link to a whole node stands around those to its fields.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from ...diagnostics.diagnostic import printable
from ...ir.document import Document
from ...ir.paths import Path

if TYPE_CHECKING:
    from ...emit.source_map import Mapped


class Region(NamedTuple):
    """Lines `first` to `last` of a pane, both counted from 1."""

    pane: int
    first: int
    last: int


class Link(NamedTuple):
    """One place of the workflow, and every stretch that has to do with it; the first is the workflow's."""

    label: str
    rule: str
    node: int | None
    """The link of the whole node: this one itself, or the one that it is a part of."""
    regions: tuple[Region, ...]
    path: Path = ()


class Links(NamedTuple):
    """All links, and by pane and line the numbers of those that the line belongs to."""

    links: Sequence[Link]
    lines: Sequence[Mapping[int, Sequence[int]]]
    nodes: Mapping[int, int]
    """By number of node, the link of the whole node."""

    def target(self, pane: int, line: int) -> Region | None:
        """Where a line leads: from the workflow to what became of it, from there back."""
        for number in self.lines[pane].get(line, ()):
            for region in self.links[number].regions:
                if (region.pane == 0) is (pane != 0):
                    return region
        return None


NONE = Links((), ({},), {})


def links_of(document: Document, maps: Sequence[Sequence[Mapped]]) -> Links:
    """The links that follow from `maps`, the source map of each generated pane."""
    found: dict[_Place, tuple[str, str, list[Region]]] = {}
    for pane, mapped in enumerate(maps, start=1):
        wholes: dict[Path, Mapped] = {}
        for entry in mapped:  # a stretch comes before what is inside it
            path = _path(entry)
            extent = document.positions.extent(path)
            if not path or extent is None:  # the header of a file: nothing to point at
                continue
            place = _Place(path, 0)
            whole = wholes.get(path)
            if whole is None or entry.first > whole.last:
                wholes[path] = entry
            elif extent[0] < extent[1] and entry.position and extent[0] <= entry.position.line <= extent[1]:
                place = _Place(path, entry.position.line)  # one line of a long text
                extent = entry.position.line, entry.position.line
            if place not in found:
                found[place] = (_label(entry), entry.rule, [Region(0, *extent)])
            found[place][2].append(Region(pane, entry.first, entry.last))
    numbers = {place: number for number, place in enumerate(found)}
    links = [
        Link(
            printable(label),
            rule,
            numbers.get(_Place(path[:2], 0)) if path[0] == "nodes" else None,
            tuple(_joined(regions)),
            path,
        )
        for (path, _), (label, rule, regions) in found.items()
    ]
    nodes = {
        place.path[1]: number
        for place, number in numbers.items()
        if len(place.path) == 2 and place.path[0] == "nodes" and isinstance(place.path[1], int)
    }
    paths = [place.path for place in found]
    return Links(links, [_narrowest(links, paths, pane) for pane in range(len(maps) + 1)], nodes)


class _Place(NamedTuple):
    path: Path
    line: int
    """The line of the workflow, or 0 for all that stands at the path."""


def _joined(regions: Sequence[Region]) -> Iterator[Region]:
    """`regions`, with those as one that touch; the workflow's comes first."""
    pane, first, last = regions[0]
    for region in sorted(regions[1:]):
        if region.pane == pane and region.first <= last + 1:
            last = max(last, region.last)
        else:
            yield Region(pane, first, last)
            pane, first, last = region
    yield Region(pane, first, last)


def _label(entry: Mapped) -> str:
    """A place as users know it: what starts with an underscore is the loader's own, and is said of the node."""
    field = "" if any(str(part).startswith("_") for part in entry.path) else entry.field
    return f"{entry.node}.{field}" if entry.node and field else entry.node or field


def _path(entry: Mapped) -> Path:
    """The place an entry is about: what is said of a node's id over several lines is said of the node."""
    is_node = entry.path[2:] == ("id",) and (entry.last > entry.first or entry.rule == "step")
    return entry.path[:2] if is_node else entry.path


def _narrowest(links: Sequence[Link], paths: Sequence[Path], pane: int) -> Mapping[int, Sequence[int]]:
    """By line, the links with the smallest stretch around it; of several, those that say most."""
    sizes: dict[int, int] = {}
    lines: dict[int, list[int]] = {}
    regions = [
        (r.last - r.first, number, r) for number, link in enumerate(links) for r in link.regions if r.pane == pane
    ]
    for size, number, region in sorted(regions):
        for line in range(region.first, region.last + 1):
            if sizes.setdefault(line, size) == size:
                lines.setdefault(line, []).append(number)
    return {line: _exact(numbers, paths) for line, numbers in lines.items()}


def _exact(numbers: Sequence[int], paths: Sequence[Path]) -> Sequence[int]:
    """`numbers` without those links whose place holds the place of another."""
    if len(numbers) == 1:
        return numbers
    held = {paths[number][:length] for number in numbers for length in range(len(paths[number]))}
    return [number for number in dict.fromkeys(numbers) if paths[number] not in held]
