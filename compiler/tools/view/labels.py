"""Names of nodes, cut so that they can still be told apart.

Names that are made by a pattern start alike and end alike: what tells `notify_images_1_of_all_regions` from
`notify_images_12_of_all_regions` stands in the middle. A label keeps the places where names part, and as much around
them as there is room for.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence

_LOOKED_AT = 120
"""How many letters of a name are compared."""
_CUT = "…"


def labels(names: Sequence[str], room: int) -> list[str]:
    """A label for each of `names`, no wider than `room` letters; different names have different labels.

    Wide characters count double, and those that cannot be seen are shown as such. Names of which `room` letters do
    not show the difference get a number.
    """
    parting = _parting(set(names))
    found = {name: _label(name, parting.get(name, ()), room) for name in dict.fromkeys(names)}
    shared = Counter(found.values())
    numbers = {name: number for number, name in reversed(list(enumerate(names, 1)))}
    for name, label in found.items():
        if shared[label] > 1:
            ending = f"{_CUT}#{numbers[name]}"
            found[name] = _start(label, room - len(ending)).removesuffix(_CUT) + ending
    return [found[name] for name in names]


def cut(text: str, room: int) -> str:
    """`text` on one line and no wider than `room` letters, cut at its end."""
    start = _start(text, room)
    return start if len(start) == len(text) else _start(text, room - 1) + _CUT


def _start(text: str, room: int) -> str:
    shown, left = "", room
    for character in text:
        left -= _width(character)
        if left < 0:
            break
        shown += character if character.isprintable() else "�"
    return shown


def _parting(names: Iterable[str]) -> dict[str, list[int]]:
    """By name the places at which some other name, the same until there, goes on differently."""
    after: dict[tuple[int, str], int] = {}
    ways: Counter[int] = Counter()
    walks: dict[str, list[int]] = {}
    for name in names:
        place, walk = 0, [0]
        for character in [*name[:_LOOKED_AT], ""]:
            if (place, character) not in after:
                ways[place] += 1
                after[place, character] = len(after) + 1
            place = after[place, character]
            walk.append(place)
        walks[name] = walk
    return {name: [at for at, place in enumerate(walk) if ways[place] > 1] for name, walk in walks.items()}


def _label(name: str, parting: Sequence[int], room: int) -> str:
    if sum(map(_width, name[: room + 1])) <= room:
        return _start(name, room)
    kept = {at for at in parting if at < len(name)}
    if not _fits(name, kept, room):
        return cut(name, room)
    # The start of a name says what it is; then comes what stands beside the places, the last place before the
    # others; then more of the start.
    places = sorted(kept, reverse=True)
    beside = [at + step for step in (1, -1, 2, -2) for at in places]
    for at in [0, 1, 2, *beside, *range(min(len(name), room))]:
        if 0 <= at < len(name) and at not in kept and _fits(name, kept | {at}, room):
            kept.add(at)
    return _joined(name, kept)


def _fits(name: str, kept: set[int], room: int) -> bool:
    return len(kept) <= room and sum(map(_width, _joined(name, kept))) <= room


def _joined(name: str, kept: Iterable[int]) -> str:
    """The kept letters of a name, with a mark for whatever is left out between, before and after them."""
    shown, last = "", -1
    for at in sorted(kept):
        character = name[at] if name[at].isprintable() else "�"
        shown += character if at == last + 1 else _CUT + character
        last = at
    return shown if last == len(name) - 1 else shown + _CUT


def _width(character: str) -> int:
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
