"""Where the nodes of a graph stand and how its edges run: in layers, from left to right.

The usual four steps: edges that close a cycle are turned round, a node's layer is one more than that of the last
node before it, neighbours within a layer follow the mean of those before and after them, and then come coordinates.
An edge over several layers passes through a place of its own in each. Nothing here is random, and nothing recurses.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

WIDTH, HEIGHT = 150, 46
GAP, _GAP_Y, _MARGIN = 36, 12, 10
_BEND = 14
"""How high an edge's place is in a layer that it passes through."""
_ROUTED = 4
"""Up to how many places per node edges pass through on their way; with more, they run straight."""
_SWEEPS = 4
_ROW = 5
"""Up to how many nodes without edges stand in a row; more of them, three to a layer."""


class Laid(NamedTuple):
    """A graph with coordinates: each node's upper left corner, each edge's curve as an SVG path."""

    width: int
    height: int
    places: Sequence[tuple[int, int]]
    curves: Sequence[str]
    labels: Sequence[tuple[int, int]]
    """Where the word on an edge stands."""
    columns: Sequence[int]
    """Each node's layer."""


def lay_out(count: int, edges: Sequence[tuple[int, int]], gap: int = GAP, tall: int = HEIGHT) -> Laid:
    """Coordinates for the nodes 0 to `count` - 1 and for `edges`, pairs of them.

    There is `gap` between layers, and a node is `tall`.
    """
    forward = _without_cycles(count, edges)
    layer = _layers(count, forward)
    turned = [a != b and pair != (a, b) for pair, (a, b) in zip(forward, edges, strict=True)]
    routes, members = _routes(layer, forward, turned)
    onward = [route for route, back in zip(routes, turned, strict=True) if not back]
    rows = _ordered(members, onward)
    y = _heights(rows, onward, count, tall)
    top = min((y[p] - _tall(p, count, tall) // 2 for row in rows for p in row), default=0)
    middle = {place: value - top + _MARGIN for place, value in y.items()}
    x = {place: _MARGIN + number * (WIDTH + gap) for number, row in enumerate(rows) for place in row}
    height = max((middle[p] + _tall(p, count, tall) // 2 for p in middle), default=0) + _MARGIN
    width = len(rows) * (WIDTH + gap) - gap + 2 * _MARGIN if rows else 2 * _MARGIN
    points = [_points(route, x, middle, count) for route in routes]
    below = height - _MARGIN
    curves = []
    for (a, b), line, back in zip(edges, points, turned, strict=True):
        if a == b:
            left, y0 = x[a] + WIDTH - 30, middle[a] - tall // 2
            curves.append(f"M{left},{y0}C{left},{y0 - 9} {left + 20},{y0 - 9} {left + 20},{y0}")
        elif back:
            curves.append(_round(x[a], middle[a], x[b], middle[b], below, tall))
        else:
            curves.append(_curve(line))
    back_room = 16 if any(turned) else 0
    labels = [
        ((line[0][0] + line[-1][0]) // 2, below + 8) if back else _label(line, a == b, tall)
        for line, (a, b), back in zip(points, edges, turned, strict=True)
    ]
    places = [(x[node], middle[node] - tall // 2) for node in range(count)]
    return Laid(width, height + back_room, places, curves, labels, layer)


def _without_cycles(count: int, edges: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """`edges`, with those turned round that lead back to where a walk along the edges came from."""
    after: list[list[int]] = [[] for _ in range(count)]
    for number, (a, _) in enumerate(edges):
        after[a].append(number)
    back: set[int] = set()
    state = [0] * count  # 1: on the walk, 2: done
    for start in range(count):
        if state[start]:
            continue
        state[start] = 1
        walk = [(start, iter(after[start]))]
        while walk:
            node, rest = walk[-1]
            number = next(rest, -1)
            if number < 0:
                state[node] = 2
                walk.pop()
                continue
            target = edges[number][1]
            if state[target] == 1:
                back.add(number)
            elif not state[target]:
                state[target] = 1
                walk.append((target, iter(after[target])))
    return [(b, a) if number in back else (a, b) for number, (a, b) in enumerate(edges)]


def _layers(count: int, edges: Iterable[tuple[int, int]]) -> list[int]:
    """Each node's layer: one more than that of the last node before it. Nodes without edges come last."""
    after: list[list[int]] = [[] for _ in range(count)]
    waiting = [0] * count
    joined = [False] * count
    for a, b in edges:
        if a != b:
            after[a].append(b)
            waiting[b] += 1
            joined[a] = joined[b] = True
    layer = [0] * count
    ready = [node for node in range(count) if not waiting[node]]
    for node in ready:
        for target in after[node]:
            layer[target] = max(layer[target], layer[node] + 1)
            waiting[target] -= 1
            if not waiting[target]:
                ready.append(target)
    lonely = [node for node in range(count) if not joined[node]]
    free = max((layer[node] + 1 for node in range(count) if joined[node]), default=0)
    for number, node in enumerate(lonely):
        layer[node] = free + number // (1 if len(lonely) <= _ROW else 3)
    return layer


def _routes(
    layer: list[int], edges: Sequence[tuple[int, int]], turned: Sequence[bool]
) -> tuple[list[list[int]], list[list[int]]]:
    """The places that each edge passes through, ends included, and the places of each layer.

    An edge that was turned round runs below everything and passes through none.
    """
    members: list[list[int]] = [[] for _ in range(max(layer, default=-1) + 1)]
    for node, number in enumerate(layer):
        members[number].append(node)
    new = len(layer)
    passing = sum(max(layer[b] - layer[a] - 1, 0) for a, b in edges)
    routes = []
    for (a, b), back in zip(edges, turned, strict=True):
        between = range(layer[a] + 1, layer[b]) if passing <= _ROUTED * len(layer) + 40 and not back else ()
        route = [a]
        for number in between:
            members[number].append(new)
            route.append(new)
            new += 1
        routes.append([*route, b])
    return routes, members


def _ordered(members: list[list[int]], routes: Iterable[list[int]]) -> list[list[int]]:
    """The places of each layer in an order in which few edges cross."""
    before: dict[int, list[int]] = {}
    after: dict[int, list[int]] = {}
    for route in routes:
        for a, b in pairwise(route):
            if a != b:
                after.setdefault(a, []).append(b)
                before.setdefault(b, []).append(a)
    at = {place: float(number) for row in members for number, place in enumerate(row)}
    rows = [list(row) for row in members]
    for sweep in range(_SWEEPS):
        down = sweep % 2 == 0
        near = before if down else after
        for row in rows if down else reversed(rows):
            row.sort(key=lambda place: _mean([at[n] for n in near.get(place, ())], at[place]))
            at.update((place, float(number)) for number, place in enumerate(row))
    return rows


def _heights(rows: list[list[int]], routes: Iterable[list[int]], count: int, tall: int) -> dict[int, int]:
    """The middle of each place: as near to the middle of those before it as its neighbours in the layer allow."""
    before: dict[int, list[int]] = {}
    for route in routes:
        for a, b in pairwise(route):
            before.setdefault(b, []).append(a)
    y: dict[int, int] = {}
    for row in rows:
        wanted = [_mean([y[n] for n in before.get(place, ()) if n in y], 0.0) for place in row]
        packed: list[float] = []
        low = float("-inf")
        for place, want in zip(row, wanted, strict=True):
            half = _tall(place, count, tall) / 2
            packed.append(max(want, low + half))
            low = packed[-1] + half + _GAP_Y
        # Packing pushes down only: move the layer back up by what it was pushed on average.
        pushed = _mean([p - w for p, w in zip(packed, wanted, strict=True)], 0.0)
        y.update((place, round(value - pushed)) for place, value in zip(row, packed, strict=True))
    return y


def _tall(place: int, count: int, tall: int) -> int:
    return tall if place < count else _BEND


def _mean(values: Sequence[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise


def _points(route: list[int], x: dict[int, int], y: dict[int, int], count: int) -> list[tuple[int, int]]:
    """Where an edge leaves its first node, the two sides of what it passes, and where it arrives."""
    points = [(x[route[0]] + WIDTH, y[route[0]])]
    for place in route[1:-1]:
        points += [(x[place], y[place]), (x[place] + WIDTH, y[place])]
    return [*points, (x[route[-1]], y[route[-1]])]


def _curve(points: list[tuple[int, int]]) -> str:
    path = [f"M{points[0][0]},{points[0][1]}"]
    for (x0, y0), (x1, y1) in pairwise(points):
        bend = (x1 - x0) // 2
        path.append(f"L{x1},{y1}" if y0 == y1 else f"C{x0 + bend},{y0} {x1 - bend},{y1} {x1},{y1}")
    return "".join(path)


def _round(x0: int, y0: int, x1: int, y1: int, below: int, tall: int) -> str:
    """The way back to an earlier node: down, along below everything, and up again."""
    start, end, low = x0 + WIDTH // 2, x1 + WIDTH // 2, below + 12
    return (
        f"M{start},{y0 + tall // 2}C{start},{low} {start},{low} {start - 24},{low}"
        f"L{end + 24},{low}C{end},{low} {end},{low} {end},{y1 + tall // 2}"
    )


def _label(points: list[tuple[int, int]], loop: bool, tall: int) -> tuple[int, int]:
    (x0, y0), (x1, y1) = points[0], points[1]
    return (x0, y0 - tall // 2 - 4) if loop else ((x0 + x1) // 2, (y0 + y1) // 2 - 5)
