"""Two workflows -> changes: which node became which, and what that means."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ...ir.workflow import SourceIR, SourceNode
from ...node_types.pflow_types import ASKED, DEARER, asks_a_model, is_cached
from .batches import batch_changes
from .canonical import Names, canonical, captured, depends_on_item, is_same_code, of_the_item
from .model import ABSENT, BEHAVIOUR, BREAKING, COSMETIC, COST, SCHEDULE, Change, Kind, Reader, kinds, readers_of
from .pair import Pair, listed
from .pairing import pair_up
from .tables import Tables, table_changes
from .workflow_level import workflow_changes

_ABSENT: dict[str, Any] = {"cache": None, "purpose": "", "params": {}}


def compare(old: SourceIR, new: SourceIR, tables: tuple[Tables, Tables] | None = None) -> tuple[Change, ...]:
    """Every change from `old` to `new`: of nodes in the order of `new`, then removed nodes, then the rest.

    With what the `tables` of each side say, changes of that, too.
    """
    pairs, removed = pair_up(old, new)
    before, after = readers_of(old), readers_of(new)
    renamed = {one.id: two.id for one, two in pairs if one.id != two.id}
    changes: list[Change] = []
    by_id = {two.id: one for one, two in pairs}
    for node in new.nodes:
        if node.id in by_id:
            one = by_id[node.id]
            before_names, after_names = Names.of(one, old.names, renamed), Names.of(node, new.names, {})
            pair = Pair(one, node, before_names, after_names, before, after)
            changes += _node(pair)
            if tables is not None:
                changes += table_changes(pair, *tables)
        else:
            changes.append(_added(node, after.get(node.id, ())))
    changes += [_removed(node, before.get(node.id, ())) for node in removed]
    changes += workflow_changes(old, new, pairs, renamed, before, after)
    return tuple(changes)


def _added(node: SourceNode, readers: tuple[Reader, ...]) -> Change:
    if node.batch is None:
        sentence = f"A new node of type `{node.type}`."
    else:
        sentence = f"A new batch: `{node.type}` once per item."
    batch = node.batch is not None
    return Change(kinds(COST), node.id, "", sentence, ABSENT, dict(node.data), node.path, readers, batch=batch)


def _removed(node: SourceNode, readers: tuple[Reader, ...]) -> Change:
    sentence = "The node is gone, and what it wrote with it."
    batch = node.batch is not None
    return Change(kinds(BREAKING), node.id, "", sentence, dict(node.data), ABSENT, node.path, readers, batch=batch)


def _node(pair: Pair) -> Iterator[Change]:
    old, new = pair.old, pair.new
    if old.id != new.id:
        sentence = (
            f"`{old.id}` is called `{new.id}` now. Who reads it in this workflow says so; programs, traces and "
            f"commands (`--only`) that name it must follow."
        )
        yield pair.change(kinds(BREAKING), "id", sentence, old.id, new.id, pair.readers())
    if old.type != new.type:
        each = "Each item" if pair.is_batch else "The node"
        sentence = f"{each} is handled by another node class: other parameters, and other fields in what it writes."
        yield pair.change(kinds(BREAKING), "type", sentence, old.type, new.type, pair.readers())
    yield from batch_changes(pair)
    yield from _parameters(pair)
    yield from _keys(pair)


def _parameters(pair: Pair) -> Iterator[Change]:
    old, new = pair.old.params, pair.new.params
    changed = False
    for key in [*new, *(key for key in old if key not in new)]:
        one, two = old.get(key, ABSENT), new.get(key, ABSENT)
        if one is ABSENT or two is ABSENT:
            changed = True
            found = [BEHAVIOUR, COST] if key in DEARER and asks_a_model(pair.new.type) else [BEHAVIOUR]
            sentence = "Parameter added." if one is ABSENT else "Parameter removed: the node type's default holds."
            yield pair.change(kinds(*found), f"params.{key}", sentence, one, two)
        elif canonical(one, pair.old_names.of_parameter(key)) != canonical(two, pair.new_names.of_parameter(key)):
            changed = True
            yield _parameter(pair, key, one, two)
        elif one != two and pair.old_names.spell_as(pair.new_names):
            yield pair.change(kinds(COSMETIC), f"params.{key}", "Same meaning, different spelling.", one, two)
    if list(old) != list(new) and set(old) == set(new) and not changed:
        yield pair.change(kinds(COSMETIC), "params", "The parameters stand in another order.", list(old), list(new))
    if pair.old.batch is not None and pair.new.batch is not None:
        yield from _captures(pair)
        yield from _identical_calls(pair)


def _parameter(pair: Pair, key: str, old: Any, new: Any) -> Change:
    if pair.new.type == "code" and key == "code" and is_same_code(old, new):
        return pair.change(kinds(COSMETIC), f"params.{key}", "Comments and layout only: the same code.", old, new)
    found = [BEHAVIOUR]
    each = " for every item" if pair.new.batch is not None else ""
    if asks_a_model(pair.new.type) and key in ASKED:
        sentence = f"The model is asked something else{each}."
    elif asks_a_model(pair.new.type) and key in DEARER:
        found.append(COST)
        sentence = f"A call{each} is answered differently, and may cost more or less."
    elif key in ("command", "code"):
        sentence = f"Other code runs{each}."
    else:
        sentence = f"The node gets another value{each}."
    if pair.old.batch is not None and pair.new.batch is not None:
        before, after = of_the_item(pair.old_names, key), of_the_item(pair.new_names, key)
        more = [text for meant, text in after.items() if meant not in before]
        less = [text for meant, text in before.items() if meant not in after]
        sentence += f" It now uses {listed(more)} of the item." if more else ""
        sentence += f" It no longer uses {listed(less)}." if less else ""
    return pair.change(kinds(*found), f"params.{key}", sentence, old, new, pair.readers())


def _captures(pair: Pair) -> Iterator[Change]:
    """What is hoisted: read once, before the loop, and a parameter of the lowered node."""
    before, after = captured(pair.old, pair.old_names), captured(pair.new, pair.new_names)
    more = [text for meant, text in after.items() if meant not in before]
    less = [text for meant, text in before.items() if meant not in after]
    if more or less:
        sentences = [f"The batch now depends on {listed(more)}, read once before the loop."] if more else []
        sentences += [f"It no longer depends on {listed(less)}."] if less else []
        yield pair.change(
            kinds(BEHAVIOUR), "params", " ".join(sentences), sorted(before.values()), sorted(after.values())
        )


def _identical_calls(pair: Pair) -> Iterator[Change]:
    if depends_on_item(pair.old, pair.old_names) and not depends_on_item(pair.new, pair.new_names):
        sentence = "No parameter uses the item any more: every call is the same."
        yield pair.change(kinds(BEHAVIOUR), "params", sentence, dict(pair.old.params), dict(pair.new.params))


def _keys(pair: Pair) -> Iterator[Change]:
    """What else a node can say."""
    told = {"id", "type", "params", "batch"}
    keys = [key for key in {**pair.new.data, **pair.old.data} if key not in told and not key.startswith("_")]
    for key in keys:
        one, two = pair.old.data.get(key, ABSENT), pair.new.data.get(key, ABSENT)
        if canonical(_value(key, one), pair.old_names) != canonical(_value(key, two), pair.new_names):
            found, sentence = _key(pair, key, one, two)
            yield pair.change(found, key, sentence, one, two)
    yield from _files(pair)


def _value(key: str, value: Any) -> Any:
    return _ABSENT.get(key) if value is ABSENT else value


def _key(pair: Pair, key: str, old: Any, new: Any) -> tuple[tuple[Kind, ...], str]:
    if key == "purpose":
        return kinds(COSMETIC), "What the node says about itself; nothing reads it."
    if key == "retry":
        before, after = _most(old), _most(new)
        so = f"One attempt makes up to {after} calls, not {before}"
        if after > before:
            return kinds(COST, BEHAVIOUR), f"{so}."
        if after < before:
            return kinds(BEHAVIOUR), f"{so}: it gives up sooner."
        return kinds(SCHEDULE), "The pauses between the node's own attempts change."
    if key == "cache":
        if (new is ABSENT and is_cached(pair.new.type)) or new is True:
            return kinds(BEHAVIOUR), "Results of an earlier run may be used again instead of new calls."
        return kinds(COST, BEHAVIOUR), "Every run makes its calls anew: no result of an earlier run is used."
    if key == "prompt_cache":
        return kinds(BEHAVIOUR, COST), "Another text is sent before the prompt."
    if key == "prewarm":
        return kinds(COST), "The calls share the provider's prompt cache in another way: same answers at another price."
    if key == "loop":
        return kinds(BEHAVIOUR, COST), "How often the node runs changes."
    if key == "approval":
        return kinds(BEHAVIOUR), "Whether somebody has to agree before the node runs changes."
    return kinds(BEHAVIOUR), "What the node says here changes."


def _most(retry: Any) -> Any:
    most = retry.get("max", 1) if isinstance(retry, Mapping) else 1
    return most if isinstance(most, int) else 1


def _files(pair: Pair) -> Iterator[Change]:
    """Content that stands in a file of its own, or no longer does: the same content is the same workflow."""
    one, two = pair.old.data.get("_source_files") or {}, pair.new.data.get("_source_files") or {}
    for key in sorted({*one, *two}):
        before, after = one.get(key, ABSENT), two.get(key, ABSENT)
        if before != after:
            field = f"params.{key}" if key in pair.new.params or key in pair.old.params else "batch"
            here = "It stands in the workflow itself now." if after is ABSENT else f"It stands in {after} now."
            yield pair.change(kinds(COSMETIC), field, here, before, after)
