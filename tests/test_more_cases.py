"""Workflows that nobody recorded: run by pflow's interpreter and as generated code, whatever a user can see is equal.

What fuzzing reaches by chance is here by intention: a row per rule of pflow, in one table. How a workflow is run
twice and what is compared is in `fuzz_pflow.py`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import fuzz_pflow
import pytest

Json = dict[str, Any]

INPUTS: Json = {
    "xs": [
        {"a": 1, "i": 1, "l": [0, {"b": "y"}], "t": '{"k": [10, {"z": null}]}', "name": "first"},
        {"a": "é", "i": 0, "l": [[2]], "t": "[1, 2]", "name": ""},
        {"a": None, "i": 7, "l": [], "t": "plain", "m": "errkey"},
    ],
    "o": {"a": {"b": [5, 6]}, "i": 1, "l": ["p", "q", "r"], "m": '{"x": ["deep", {"y": 2}]}', "none": None},
    "s": '[{"a": "text one"}, {"a": 2.0}]',
    "n": 1,
}
CONTINUE: Json = {"error_handling": "continue"}
PARALLEL: Json = {"parallel": True, "max_concurrent": 3}
CHILD = "{children}/"


def node(
    node_type: str, items: Any = "${xs}", how: Json | None = None, rest: Json | None = None, **params: Any
) -> Json:
    """A node `b` with a batch over `items`; `how` goes into its batch, `rest` beside it."""
    batch = {"items": items, **(how or {})}
    return {"id": "b", "type": node_type, "params": params, "batch": batch, **(rest or {})}


def echo(value: Any, items: Any = "${xs}", how: Json | None = None, rest: Json | None = None, **params: Any) -> Json:
    return node("conf-echo", items, how, rest, value=value, **params)


def misc(mode: str, items: Any = "${xs}", how: Json | None = None, rest: Json | None = None, **params: Any) -> Json:
    return node("conf-misc", items, how, rest, mode=mode, **params)


def code(body: str, items: Any = "${xs}", how: Json | None = None, **inputs: Any) -> Json:
    return node("code", items, how, inputs=inputs, code=body)


def shell(command: str, items: Any = "${xs}", how: Json | None = None, **params: Any) -> Json:
    return node("shell", items, how, command=command, **params)


def child(name: str, items: Any = "${xs}", how: Json | None = None, **params: Any) -> Json:
    return node("workflow", items, how, workflow=f"{CHILD}{name}.pflow.md", **params)


def then(node_type: str, **params: Any) -> Json:
    """A node without a batch."""
    return {"id": "c", "type": node_type, "params": params}


MODES = ["raise", "raise_key", "raise_empty", "raise_post", "errkey", "errkey_empty", "erract", "erract_msg"]
MODES += ["nothing", "none_action", "custom", "end", "itemkey", "empty", "root", "usage", "sees", "ok"]
NO_NAMESPACES: Json = {"enable_namespacing": False}
PERMISSIVE: Json = {"template_resolution_mode": "permissive"}
OPTIONAL = "v: str | None\nresult: str = str(v)"

# Name -> the nodes after `src`, and what else the workflow says.
CASES: dict[str, tuple[list[Json], Json]] = {
    # Where items come from
    "items: text of JSON, from an input": ([echo("${item.a}", "${s}")], {}),
    "items: text of JSON, inside an object": ([echo("${item}", "${o.m.x}")], {}),
    "items: field of a member": ([echo("${item}", "${xs[0].l}")], {}),
    "items: dynamic index": ([echo("${item}", "${xs[${n}].l[0]}")], {}),
    "items: chain over what is not there": ([echo("${item}", "${o.zz ?? never ?? o.l}")], {}),
    "items: found null ends the chain": ([echo("${item}", "${o.none ?? xs}")], {}),
    "items: chain to an empty list": ([echo("${item.zzz}", "${o.zz ?? []}")], {}),
    "items: a number": ([echo("${item}", "${n}")], {}),
    "items: an object": ([echo("${item}", "${o}")], {}),
    "items: two references": ([echo("${item}", "${o.l}${o.l}")], {}),
    "items: a line break after": ([echo("${item}", "${o.l}\n")], {}),
    "items: text of an object": ([echo("${item}", "${o.m}")], {}),
    "inline: members of every kind": ([echo("<${item}>", [1, 1.0, True, None, "", "x", [], {}, [1], {"a": "é"}])], {}),
    "inline: references, deep": ([echo("${item}", ["${o.a}", {"k": ["${o.m}", "t ${o.m}"]}, "${s}"])], {}),
    "inline: not there, as it is written": ([echo("${item}", ["${o.zz}", "a ${o.zz} ${n}", "${o.zz ?? 3}"])], {}),
    "inline: escapes": ([echo("${item}", ["$${o}", "$${o} ${n}", {"$${k}": "$$"}])], {}),
    "inline: numbers as text": ([echo("${item}", ["1", "1.0", "true", "null", "[1]", '"q"', " {}"])], {}),
    # What the item is called
    "alias: an input": ([echo("${o.a}", how={"as": "o"}, text="${n}")], {}),
    "alias: a node, and its field": ([echo("${src.echo}", [{"echo": 1}, {"echo": None}], {"as": "src"})], {}),
    "alias: a field of the output": ([echo("${results.a} ${__index__}", how={"as": "results"})], {}),
    "alias: a word of Python": ([echo("${lambda.a}", how={"as": "lambda"})], {}),
    "alias: a name of generated code": ([echo("${self.a} ${n}", how={"as": "self"})], {}),
    "alias: a literal": ([echo('${true ?? "x"}', how={"as": "true"})], {}),
    "inputs shadow the alias": ([echo("${item}", inputs={"item": "${item.a}", "n": 9}, text="${n}")], {}),
    # Lookups
    "text of JSON in the item": ([echo("${item.t.k[1].z ?? item.t[0]}", how=CONTINUE)], {}),
    "text of JSON, not there": ([echo("${item.t.k}", how=CONTINUE)], {}),
    "text of JSON in a captured value": ([echo("${o.m.x[1].y}${item.i}", text="${o.m.x[0]}")], {}),
    "a whole text stays text": ([echo("${item}", ["[1]", '{"a": 1}'], obj={"in": "${item}", "text": "-${item}"})], {}),
    "dynamic index on an item": ([echo("${item.l[${item.i}].b}", how=CONTINUE)], {}),
    "dynamic index on a captured list": ([echo("${o.l[${item.i}]}", how=CONTINUE)], {}),
    "dynamic index: the position": ([echo("${xs[${__index__}].a}", text="${o.l[${__index__}]}")], {}),
    "dynamic index: text, truth, float": ([echo("${o.l[${item}]}", ["1", True, 1.0, 1, 0], CONTINUE)], {}),
    "dynamic index: chain after a miss": ([echo('${o.l[${item.i}] ?? item.a ?? "d"}')], {}),
    "dynamic index: one of an index": ([echo("${o.l[${xs[0].i}]} ${item.l[${o.i}].b ?? null}")], {}),
    "index out of the list": ([echo("${item.l[1]}", how=CONTINUE)], {}),
    "an index with zeros before": ([echo("${o.l[01]} ${item.l[00] ?? 5}")], {}),
    "chain: every literal": ([echo([f"${{item.zz ?? {one}}}" for one in fuzz_pflow.LITERALS])], {}),
    "chain: a literal first": ([echo('${"x" ?? item.a} ${null ?? item.a} ${0 ?? n}')], {}),
    "chain: null is found": ([echo("${item.a ?? n}", text='-${item.a ?? "d"}-')], {}),
    "chain: across null": ([echo("${item.a.b.c ?? o.none.x ?? o.a.b[1]}")], {}),
    "escapes in every place": ([echo("$${item} ${item.a} $$${n} $$", text="$${a", obj={"$${k}": "$${item.a}"})], {}),
    "text in text is not read again": ([echo("${item} ${o.i}", ["${o}", "$${o}", "${item}"], text="${item}")], {}),
    "keys are not templates": ([echo({"${item.a}": {"${n}": "${item.a}"}})], {}),
    "deep parameters": ([echo([["${item.t}", ["<${item.t}>", {"x": [1, "${item}"]}]], None, 1.5])], {}),
    "numbers in text": ([echo("${item}|${o.a.b[0]}", [0, -0.0, 1.0, 1e20, 1e-7, 10**20, True, False, None])], {}),
    "numbers as they are": ([echo("${item}", [0, -0.0, 1.0, 1e20, 10**20, True, None], obj={"f": "${item}"})], {}),
    "a line break after": ([echo("${item.a}\n", text="${item.name}\n\n")], {"xs": [{"a": 1, "name": "x"}]}),
    # Declared types
    "declared: a text": ([echo(0, [{"é": 1}, ["é"], 1, True, None, 1.5], text="${item}")], {}),
    "declared: a text that is written as data": ([echo(0, "${o.l}", text={"a": ["${item}", "é", 1]})], {}),
    "declared: a text that never changes": ([echo("${item}", "${o.l}", text=["é", {"a": 1}])], {}),
    "declared: an object": ([echo(0, ['{"a": 1}', " {} ", {"b": 2}, "x", 1, None], CONTINUE, obj="${item}")], {}),
    "declared: an object, a list comes": ([echo(0, ["[1]", "{bad", [1]], CONTINUE, obj="${item}")], {}),
    "declared: an object, captured": ([echo("${item}", "${o.l}", obj="${o.m}")], {}),
    "declared: an object, a list captured": ([echo("${item}", "${o.l}", CONTINUE, obj="${s}")], {}),
    "declared: lists": ([node("fuzz-typed", ["[1]", "{}", [2], "x"], CONTINUE, one="${item}", other="${item}")], {}),
    "declared: a number, a truth value": (
        [node("fuzz-typed", ["5", 5, "x", None], count="${item}", flag="${item}")], {}),
    "declared: one of two": ([node("fuzz-typed", ['{"a": 1}', "[1]", "x"], either="${item}", words="${item}")], {}),
    # What becomes of an item
    "every outcome, to the end": ([misc("${item}", list(MODES), CONTINUE, value="${__index__}")], {}),
    "every outcome, side by side": ([misc("${item}", list(MODES), CONTINUE | PARALLEL, value="v")], {}),
    **{f"stops at: {mode}": ([misc("${item}", ["ok", mode, "ok"], value="${item}")], {}) for mode in MODES[:8]},
    "all fail, in every way": ([misc("${item}", MODES[:5] + MODES[6:8], CONTINUE)], {}),
    "some outputs are empty": ([echo("${item}", ["", None, [], {}, 0, False, "x"])], {}),
    "all outputs are empty": ([misc("empty", "${o.l}")], {}),
    "empty results beside failures": ([misc("${item}", ["empty", "raise", "nothing", "ok"], CONTINUE)], {}),
    "not to be retried": ([misc("${item}", ["ok", "nonretriable", "ok"], CONTINUE | {"max_retries": 3})], {}),
    "not to be retried, side by side": ([misc("${item}", ["nonretriable"], CONTINUE | PARALLEL)], {}),
    "not to be retried, but one item": (
        [misc("${item}", ["ok", "nonretriable_item", "ok"], CONTINUE | {"max_retries": 3})], {}),
    "retried until it works": (
        [misc("flaky", "${o.l}", {"max_retries": 3}, file="{tmp}/f${__index__}", fails=2, value="${item}")], {}),
    "retried in vain": ([misc("flaky", "${o.l}", CONTINUE | {"max_retries": 2}, file="{tmp}/f${item}", fails=2)], {}),
    "the node's own retries": (
        [misc("flaky", "${o.l}", None, {"retry": {"max": 3, "wait": 0}}, file="{tmp}/f${__index__}", fails=2)], {}),
    "both kinds of retries": (
        [misc("flaky", "${o.l}", {"max_retries": 2}, {"retry": {"max": 2}}, file="{tmp}/f${__index__}", fails=3)], {}),
    "the node's own retries, in vain": (
        [misc("raise", "${o.l}", CONTINUE, {"retry": {"max": 2, "wait": 0, "backoff": "exponential"}})], {}),
    "items are changed in place": (
        [misc("mutate", how=PARALLEL, value="${item}"), then("conf-echo", value="${xs}")], {}),
    "cached": ([echo("${item.a} ${s}", rest={"cache": True})], {}),
    "an edge for errors": ([misc("${item}", ["erract"]), then("conf-echo", value="${b.count}")],
                           {"edges": [{"from": "b", "to": "c", "action": "error"}]}),
    # One batch after another
    "chain: results": (
        [echo("${item.a}"), echo("${item.item.name ?? 0} ${item.echo}", "${b.results}") | {"id": "c"}], {}),
    "chain: errors": ([misc("${item}", ["ok", "raise", "errkey"], CONTINUE),
                       echo("${item.index}: ${item.error}", "${b.errors}") | {"id": "c"}], {}),
    "chain: a captured result": (
        [echo("${item.a}"), echo("${b.results[0].echo} ${b.count} ${item}", "${o.l}") | {"id": "c"}], {}),
    "chain: a batch of nothing": ([echo("${item}", "${xs[2].l}"), echo("${item}", "${b.results}") | {"id": "c"}], {}),
    "chain: after an item warning": ([node("llm", ["a", "nothing"], prompt="${item}", model="openai/gpt-4o"),
                                      echo("${item.response}", "${b.results}") | {"id": "c"}], {}),
    "three batches": ([echo("${item.a}"), echo("${r.echo}", "${b.results}", {"as": "r"}) | {"id": "c"},
                       echo("${item.echo}${__index__}", "${c.results}", PARALLEL) | {"id": "d"}], {}),
    # Code
    "code: typed input": ([code("v: int\nresult: int = v + 1", [1, "2", 1.5, True, None], CONTINUE, v="${item}")], {}),
    "code: text input": ([code("v: str\nresult: str = v", ["x", 1, {"a": "é"}, ["[1]"]], CONTINUE, v="${item}")], {}),
    "code: containers as text": (
        [code("v: list\nresult: list = v", ["[1]", "{}", "x", [2]], CONTINUE, v="${item}")], {}),
    "code: an optional input": ([code(OPTIONAL, v="${never}")], {}),
    "code: an optional input that may be null": ([code(OPTIONAL, how=CONTINUE, v="${item.name}")], {}),
    "code: an optional input of text": ([code(OPTIONAL, v="a ${never} ${item.a}")], {}),
    "code: inputs stand for the alias": ([code("item: object\nresult: object = item", item="${item.a}")], {}),
    "code: fails": ([code("v: int\nresult: int = 1 // v", [1, 0], CONTINUE, v="${item}")], {}),
    "code: a result of another type": ([code("v: int\nresult: int = str(v)", [1], CONTINUE, v="${item}")], {}),
    "code: says which action": (
        [code('v: str\nresult: str = v\nnext_action: str = "error"', ["x"], CONTINUE, v="${item}")], {}),
    "code: a template in the code": ([code("v: int\nresult: str = 'a'  # ${item}", [1], v="${item}")], {}),
    # Shell
    "shell: what it is given": ([shell("cat", ["x", 1, 1.0, True, None, {"a": "é"}, [1], ""], stdin="${item}")], {}),
    "shell: given data": ([shell("cat", stdin={"a": "${item.a}", "l": ["${item.t}"]})], {}),
    "shell: environment": ([shell('printf "%s" "$A$B"', ["x", "[1]", "é"], env={"A": "${item}", "B": "${o.m}"})], {}),
    "shell: environment of other types": (
        [shell('printf "%s" "$A"', [1, True, None, {"a": 1}], CONTINUE, env={"A": "${item}"})], {}),
    "shell: words of the item": (
        [shell("echo ${item.name} '${item.i}'", [{"name": "a b", "i": 1}, {"name": "$(x)", "i": 2}], CONTINUE)], {}),
    "shell: some fail": ([shell("echo out; echo err >&2; exit ${item}", [0, 3, 0], CONTINUE)], {}),
    "shell: failures are ignored": ([shell("exit ${item}", [0, 3], ignore_errors=True)], {}),
    "shell: its output is the next items": (
        [then("shell", command="echo '[1, 2]'; echo e >&2"), echo("${item}", "${c.stdout}")], {}),
    "shell: its output is not a list": (
        [then("shell", command="echo no; echo e >&2"), echo("${item}", "${c.stdout}")], {}),
    # Workflows
    "workflow: some fail": (
        [child("misc", [{"m": "ok", "a": 1}, {"m": "raise"}, {"m": "errkey"}], CONTINUE, inputs={"v": "${item}"})], {}),
    "workflow: stops": ([child("misc", [{"m": "ok", "a": 1}, {"m": "raise", "a": 2}], inputs={"v": "${item}"})], {}),
    "workflow: fails, goes on": (
        [child("misc", [{"m": "raise", "a": 2}, {"a": 1}], inputs={"v": "${item}"}, error_action="continue")], {}),
    "workflow: a batch in it": ([child("batch", ["x", {"a": 1}], PARALLEL, inputs={"v": "${item}"})], {}),
    "workflow: two batches in it": ([child("deep", ["x"], inputs={"v": "${item}"})], {}),
    "workflow: an output named item": ([child("item", ["x", {"a": 1}], inputs={"v": "${item}"})], {}),
    "workflow: chosen by the item": (
        [node("workflow", ["echo", "misc"], CONTINUE, workflow=CHILD + "${item}.pflow.md", inputs={"v": "x"})], {}),
    # Modes of the workflow
    "permissive: not there": ([echo("a ${item.zz} ${item.a}", text="${o.zz}")], PERMISSIVE),
    "permissive: deep": ([echo({"a": ["${item.zz}", "${item.a}"]}, how=PARALLEL)], PERMISSIVE),
    "permissive: a bad dynamic index": ([echo("${o.l[${item.i}]}")], PERMISSIVE),
    "permissive: no items": ([echo("${item}", "${o.zz}")], PERMISSIVE),
    "permissive: code": ([code("v: str\nresult: str = v", how=CONTINUE, v="${item.zz}")], PERMISSIVE),
    "permissive: inline items": ([echo("${item}", ["${o.zz}", "${n}"])], PERMISSIVE),
    "one store: echo": ([echo("${item.a}"), then("conf-echo", value="${n}")], NO_NAMESPACES),
    "one store: outcomes": ([misc("${item}", ["ok", "errkey", "raise", "nothing"], CONTINUE)], NO_NAMESPACES),
    "one store: side by side": ([echo("${item.a}", how=PARALLEL)], NO_NAMESPACES),
    "outputs of the workflow": ([echo("${item.a}")], {"outputs": {
        "one": {"source": "${b.results[1].echo}", "description": "One.", "type": "any"},
        "all": {"source": "${b.results}", "description": "All.", "type": "array"}}}),
}  # fmt: skip


@pytest.fixture(scope="module")
def bench() -> Iterator[fuzz_pflow.Bench]:
    pytest.importorskip("pflow")
    with fuzz_pflow.bench() as made:
        yield made


def workflow(nodes: list[Json], more: Json) -> tuple[Json, Json]:
    """The workflow in which `nodes` come after `src`, and its inputs."""
    ids = ["src", *(each["id"] for each in nodes)]
    edges = [{"from": one, "to": other} for one, other in itertools.pairwise(ids)]
    more = dict(more)
    edges += more.pop("edges", [])
    inputs = {name: more.pop(name, value) for name, value in INPUTS.items()}
    ir = {"ir_version": "0.1.0", "inputs": fuzz_pflow.INPUTS, "nodes": [fuzz_pflow.SOURCE, *nodes], "edges": edges}
    return ir | more, inputs


@pytest.mark.parametrize("name", CASES)
def test_interpreted_and_lowered_are_equal(bench: fuzz_pflow.Bench, name: str) -> None:
    ir, inputs = workflow(*CASES[name])
    before = bench.seen["ran"], bench.seen["batches run"]
    fuzz_pflow.check(bench, ir, inputs)
    assert bench.seen["ran"] == before[0] + 1, "pflow's validator has refused it"
    assert bench.seen["batches run"] > before[1]
