"""Random workflows, run by pflow's interpreter and as generated code: whatever a user can see must be equal.

    python tests/fuzz_pflow.py --minutes 30

A difference is shrunk and printed as a conformance case, ready for `tests/conformance/batch`, and the exit
status is 1. `tests/test_fuzz_pflow.py` runs the same for 500 workflows. Not compared are the deliberate
differences of the design, and the order in which parallel items happen to finish.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import copy
import functools
import itertools
import json
import logging
import os
import re
import shutil
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, wait
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

from conformance import observe
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

HERE = Path(__file__).resolve().parent

Json = dict[str, Any]
Names = tuple[str, ...]

# --- Workflows

FIELDS = ["a", "b", "i", "l", "m"]
MODES = [
    *("ok", "raise", "raise_key", "raise_empty", "nonretriable", "nonretriable_item", "flaky", "raise_post"),
    *("nothing", "none_action", "errkey", "errkey_empty", "erract", "erract_msg", "custom", "end", "itemkey", "empty"),
    *("root", "mutate", "usage", "sees"),
]
TEXTS = ["", "x", "é", "5", '{"a": 1, "l": [0, {"b": "y"}]}', '[1, {"a": 2}]', " [3] ", "{bad", "[]", "a\nb", "${item}"]
NOT_AN_ARRAY = re.compile(r"(batch items must be an array, got \w+\. Template '.*?' resolved to:).*", re.DOTALL)
SCALARS = st.one_of(
    st.sampled_from([None, True, False, 0, 1, 2, -1, 0.0, 1.5, 1e20]),
    st.sampled_from(TEXTS),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(FIELDS), inner, min_size=1, max_size=3)
    ),
    max_leaves=5,
)
MEMBERS = st.builds(
    lambda mode, rest: rest if mode is None else {**rest, "m": mode},
    st.one_of(st.none(), st.none(), st.sampled_from(MODES)),
    st.fixed_dictionaries(
        {"a": VALUES, "i": st.integers(0, 2), "l": st.lists(SCALARS, max_size=3)}, optional={"b": VALUES}
    ),
)
ITEMS = st.one_of(SCALARS, VALUES, MEMBERS)
LITERALS = ['"d"', '""', "null", "true", "7", "-1.5", "[]", "{}"]
INPUTS = {
    "xs": {"type": "array", "required": True},
    "o": {"type": "any", "required": True},
    "s": {"type": "string", "required": True},
    "n": {"type": "integer", "required": False, "default": 1},
    "never": {"type": "any", "required": False},
}
SOURCE = {"id": "src", "type": "conf-echo"}
SOURCE["params"] = {
    "value": {"xs": "${xs}", "o": "${o}", "s": "${s}", "n": "${n}", "never": "${never ?? null}"},
    "text": "${xs}",
    "obj": {"xs": "${xs}", "o": "${o}"},
}  # type: ignore[assignment]
CHILDREN = {
    "echo": ("conf-echo", "- value: ${v}\n- text: <${v}>", "${inner.text}", ""),
    "misc": ("conf-misc", '- mode: ${v.m ?? "ok"}\n- value: ${v.a ?? v}', "${inner.out}", ""),
    "batch": ("conf-misc", '- mode: ${item.m ?? "ok"}\n- value: ${item} of ${v}', "${inner.results}", "batch"),
    "deep": ("workflow", "- workflow: ./batch.pflow.md\n- inputs:\n    v: ${item}", "${inner.results}", "parallel"),
    "item": ("conf-echo", "- value: ${v}", "${inner.echo}", ""),
}


def child(kind: str) -> str:
    """The text of a sub-workflow."""
    node_type, params, output, batch = CHILDREN[kind]
    items = "\n```yaml batch\nitems:\n  - ${v}\n  - a\n  - 2\nerror_handling: continue\n" if batch else ""
    if batch:
        items += ("parallel: true\nmax_concurrent: 1\n" if batch == "parallel" else "") + "```\n"
    output_name = "item" if kind == "item" else "seen"
    return (
        f"# Child\n\nA child.\n\n## Inputs\n\n### v\n\nA value.\n\n- type: any\n- required: true\n\n"
        f"## Steps\n\n### inner\n\nIt works.\n\n- type: {node_type}\n{params}\n{items}\n"
        f"## Outputs\n\n### {output_name}\n\nWhat it gave.\n\n- type: any\n- source: {output}\n"
    )


INDEXES = ["", "", "", "[0]", "[1]", "[7]", "[${__index__}]", "[${ALIAS}]", "[${ALIAS.i}]", "[${n}]"]
EXACT = {"__index__", "never"}  # read as they are


@functools.cache
def paths(roots: Names, alias: str) -> st.SearchStrategy[str]:
    """A path as it stands between the braces."""
    index = st.sampled_from([found.replace("ALIAS", alias) for found in INDEXES])

    def joined(root: str, first: str, fields: list[tuple[str, str]]) -> str:
        if root in EXACT or (root.partition(".")[2] and not root.startswith("src.")):
            return root
        if first and not root.endswith("]"):
            root += first
        return root + "".join(f".{field}{index}" for field, index in fields)

    fields = st.tuples(st.sampled_from(FIELDS), index)
    return st.builds(
        joined,
        st.sampled_from(roots),
        st.one_of(st.just(""), st.just(""), index),
        st.one_of(st.just([]), fields.map(lambda one: [one]), st.lists(fields, max_size=2)),
    )


@functools.cache
def references(roots: Names, alias: str) -> st.SearchStrategy[str]:
    """An expression with its braces."""
    path = paths(roots, alias)
    chain = st.tuples(path, path, st.sampled_from(LITERALS))
    return st.one_of(
        st.sampled_from([f"${{{alias}}}", "${__index__}", "${o ?? 1}", "${src.text}", "${n}"]),
        path.map("${{{}}}".format),
        chain.map(lambda found: f"${{{found[0]} ?? {found[2]}}}"),
        chain.map(lambda found: f"${{{found[0]} ?? {found[1]} ?? {found[2]}}}"),
        chain.map(lambda found: f"${{{found[0]} ?? {found[2]} ?? {found[1]}}}"),
    )


@functools.cache
def texts(roots: Names, alias: str) -> st.SearchStrategy[str]:
    """Text with references in it, or one that is all of it."""
    reference = references(roots, alias)
    plain = ["t ", "-", "\n", " {x} ", "é", "$", "$$", "'\"", "$${item.a}", "\\n"]
    piece = st.one_of(reference, reference, st.sampled_from(plain))
    return st.one_of(
        reference,
        reference,
        st.lists(piece, min_size=1, max_size=4).map("".join),
        st.sampled_from(["plain", "$${o}", "${n}\n"]),
    )


@functools.cache
def params(roots: Names, alias: str) -> st.SearchStrategy[Any]:
    """The value of a parameter, templates at any depth."""
    text = texts(roots, alias)
    leaf = st.one_of(text, text, SCALARS.filter(lambda value: value != "${item}"))
    keys = st.sampled_from([*FIELDS, "${item}", "item"])
    flat = st.one_of(st.lists(leaf, max_size=3), st.dictionaries(keys, leaf, max_size=3))
    deep = st.one_of(st.lists(st.one_of(leaf, flat), max_size=2), st.dictionaries(keys, flat, max_size=2))
    return st.one_of(text, text, text, flat, deep)


@functools.cache
def items(roots: Names) -> st.SearchStrategy[Any]:
    """The `items` of a batch."""
    text = texts(roots, "n")
    known = ["${xs}", "${src.echo.xs}", "${src.obj.xs}", "${src.text}", "${o.l ?? xs}", "${xs[0].l ?? xs}"]
    odd = ["${o.l}", "${s}", "${xs[${n}].l ?? []}", "${xs}${xs}", "${never ?? xs}", "${o}"]
    results = [f"${{{root}}}" for root in roots if root.endswith(".results")]
    member = st.one_of(text, SCALARS, text.map(lambda one: {"a": one, "i": 0}), params(roots, "n"))
    inline = st.lists(member, min_size=1, max_size=3)
    usual = st.sampled_from(known + results * 4)
    kinds = {"usual": usual, "odd": st.sampled_from(odd), "inline": inline, "any": references(roots, "n")}
    return st.sampled_from(["usual"] * 12 + ["odd"] * 2 + ["inline"] * 4 + ["any"]).flatmap(kinds.__getitem__)


RUNNING = st.fixed_dictionaries(
    {},
    optional={
        "error_handling": st.sampled_from(["continue", "continue", "continue", "fail_fast"]),
        "max_retries": st.integers(1, 3),
        "retry_wait": st.sampled_from([0, 0.001]),
        "parallel": st.just(False),
    },
)
SIDE_BY_SIDE = st.builds(lambda most: {"parallel": True, "max_concurrent": most}, st.sampled_from([1, 2, 3, 10]))
BODIES = ["result: object = v", "result: object = [v, v]", "result: int = v + 1", "print(v)\nresult: str = str(v)"]
TYPES = ["object", "object", "int", "dict", "list", "str", "object | None"]
ALIASES = ["item"] * 24 + ["row"] * 4 + ["o", "src", "n", "SELF", "results", "class"]


@functools.cache
def inner(node_id: str, roots: Names, alias: str) -> st.SearchStrategy[Json]:
    """A node that can do without a batch: its type, parameters and whatever goes with them."""
    roots = (alias, alias, alias, alias, "__index__", *roots)
    value, text = params(roots, alias), texts(roots, alias)
    own_mode = f'${{{alias}.m ?? "ok"}}'
    echo = st.fixed_dictionaries({}, optional={"value": value, "text": value, "obj": value})
    misc = st.fixed_dictionaries(
        {"mode": st.one_of(st.just(own_mode), st.just(own_mode), st.sampled_from(MODES))}, optional={"value": value}
    )
    flaky = st.builds(
        lambda node, mode, fails: {**node, "mode": mode, "file": "{tmp}/" + node_id + "${__index__}", "fails": fails},
        misc, st.sampled_from([own_mode, "flaky"]), st.integers(0, 2),
    )  # fmt: skip
    code = st.builds(
        lambda v, kind, body: {"inputs": {"v": v}, "code": f"v: {kind}\n{body}"},
        value, st.sampled_from(TYPES), st.sampled_from(BODIES),
    )  # fmt: skip
    given_to_child = st.one_of(st.fixed_dictionaries({"v": value}), st.just({"v": f"${{{alias}}}"}), text)
    workflow = st.builds(
        lambda which, inputs, rest: {"workflow": "{children}/" + which + ".pflow.md", "inputs": inputs, **rest},
        st.sampled_from([*sorted(CHILDREN) * 3, "${s}"]), given_to_child,
        st.sampled_from([{}, {}, {}, {"error_action": "continue"}, {"error_action": "default"}]),
    )  # fmt: skip
    shell = st.builds(
        lambda stdin, command, rest: {"stdin": stdin, "command": command, **rest},
        value,
        st.sampled_from(["cat", "cat; echo e >&2", "cat; exit 3", 'printf "%s" "$E"; cat']),
        st.one_of(st.just({}), st.just({"ignore_errors": True}), value.map(lambda found: {"env": {"E": found}})),
    )
    typed = st.fixed_dictionaries(
        {},
        optional={
            **dict.fromkeys(("one", "other", "table", "either", "words", "count", "flag", "text"), value),
            "wanted": st.sampled_from(["nowhere", "item", "o", f"${{{alias}.a}}"]),
        },
    )
    write = st.builds(
        lambda content, more: {"file_path": "{tmp}/" + node_id + "${__index__}", "content": content, **more},
        value, st.sampled_from([{}, {"append": True}]),
    )  # fmt: skip
    read = st.builds(
        lambda name: {"file_path": "{tmp}/" + name}, st.sampled_from(["b${__index__}", f"${{{alias}}}", "no"])
    )
    llm = st.builds(
        lambda prompt, rest: {"prompt": prompt, **rest},
        st.one_of(text, st.sampled_from([f"${{{alias}}} refuse", "busy ${__index__}", "nothing ${__index__}"])),
        st.fixed_dictionaries(
            {},
            optional={
                "system": text,
                "model": st.sampled_from(["openai/gpt-4o", f'${{{alias}.b ?? "openai/gpt-4o"}}']),
                "temperature": st.just(0.5),
                "images": value,
                "output_schema": st.just({"type": "object", "required": ["n"]}),
            },
        ),
    )
    more = st.dictionaries(st.sampled_from(["item", "o", "extra", alias]), value, min_size=1, max_size=2)
    with_inputs = st.builds(lambda node, inputs: {**node, "inputs": inputs}, echo, more)
    retry = st.integers(1, 3).map(lambda most: {"retry": {"max": most, "wait": 0}})
    rest = st.one_of(st.just({}), st.just({}), st.just({}), st.sampled_from([{"cache": True}, {"cache": False}]), retry)

    def made(node_type: str, found: st.SearchStrategy[Json]) -> st.SearchStrategy[Json]:
        return st.builds(lambda given, rest: {"type": node_type, "params": given, **rest}, found, rest)

    echoes, miscs = made("conf-echo", echo), made("conf-misc", misc)
    return st.one_of(
        *(echoes, echoes, echoes, miscs, miscs, miscs, made("conf-misc", flaky), made("conf-echo", with_inputs)),
        *(
            made("code", code),
            made("code", code),
            made("workflow", workflow),
            made("workflow", workflow),
            made("shell", shell),
            made("fuzz-typed", typed),
            made("fuzz-typed", typed),
            made("write-file", write),
            made("read-file", read),
            made("llm", llm),
            made("llm", llm),
        ),
    )


@st.composite
def nodes(draw: Any, node_id: str, roots: Names) -> Json:
    """A batch node; `roots` is what can be read before it."""
    alias = draw(st.sampled_from(ALIASES)).replace("SELF", node_id)
    node: Json = {"id": node_id, **draw(inner(node_id, roots, alias))}
    batch: Json = {"items": draw(items(tuple(root for root in roots if root != alias)))}
    if alias != "item":
        batch["as"] = alias
    batch |= draw(RUNNING)
    if draw(st.integers(0, 2)) == 2:
        batch |= draw(SIDE_BY_SIDE)
    return {**node, "batch": batch}


ROOTS = ("o", "o", "s", "n", "xs", "src.echo.o", "src.echo.xs", "src.obj.o", "src.text", "never")
DATA = st.fixed_dictionaries(
    {
        "xs": st.one_of(
            st.lists(MEMBERS, max_size=5), st.lists(MEMBERS, min_size=1, max_size=5), st.lists(ITEMS, max_size=9)
        ),
        "o": st.one_of(
            st.fixed_dictionaries(
                {"a": VALUES, "b": VALUES, "i": st.integers(0, 2), "l": st.lists(VALUES, max_size=3)}
            ),
            VALUES.filter(lambda value: value not in (None, "", [], {})),
        ),
        "s": st.sampled_from([text for text in TEXTS if text]),
        "n": st.integers(0, 2),
    }
)


@st.composite
def workflows(draw: Any) -> tuple[Json, Json]:
    """A workflow and its inputs."""
    first = draw(st.sampled_from(["b"] * 8 + ["a-b", "class", "B_1"]))
    batched = [draw(nodes(first, ROOTS))]
    positions = batched[0]["batch"].get("error_handling") != "continue"
    if draw(st.integers(0, 2)) == 2:
        more = [f"{first}.{output}" for output in ("results", "results", "count", "errors", "batch_metadata.parallel")]
        more += [f"{first}.results[0].out"] if positions and batched[0]["type"] == "conf-misc" else []
        batched.append(draw(nodes("c", (*ROOTS, *more))))
    last = batched[-1]
    ir: Json = {"ir_version": "0.1.0", "inputs": INPUTS, "nodes": [copy.deepcopy(SOURCE), *batched]}
    ends = ["ID.count", "ID.results", "ID.errors", "ID.success_count ?? ID.count"]
    if last["batch"].get("error_handling") != "continue" and last["type"] == "conf-echo":
        ends += ["ID.results[0].echo", "ID.results[${n}].text ?? null"]
    end = "${" + draw(st.sampled_from(ends)).replace("ID", last["id"]) + "}"
    if draw(st.booleans()):
        ir["nodes"].append(
            {"id": "down", "type": "conf-echo", "params": {"value": draw(st.sampled_from([end, f"got {end}"]))}}
        )
    ids = [node["id"] for node in ir["nodes"]]
    ir["edges"] = [{"from": one, "to": other} for one, other in itertools.pairwise(ids)]
    if ids[-1] == "down" and draw(st.integers(0, 3)) == 3:
        ir["edges"].append({"from": ids[1], "to": "down", "action": draw(st.sampled_from(["error", "custom"]))})
    if draw(st.integers(0, 3)) >= 2:
        ir["template_resolution_mode"] = "permissive"
    if draw(st.integers(0, 11)) == 11:
        ir["enable_namespacing"] = False
    if draw(st.integers(0, 3)) == 3:
        ir["outputs"] = {"out": {"source": end, "description": "it", "type": "any"}}
    return ir, draw(DATA)


# --- Running them


class Bench:
    """pflow in a scratch home, made once for all workflows."""

    def __init__(self, scratch: Path) -> None:
        self.scratch = scratch
        self.children = scratch / "children"
        self.tmp = scratch / "tmp"
        self.seen: Counter[str] = Counter()
        self._calls: list[Any] = []
        self._logged: list[Any] = []
        self._interpreted = 0
        self._lock = threading.Lock()

    def set_up(self) -> None:
        """Write the children, and let pflow know the nodes of the conformance cases."""
        self.children.mkdir(parents=True)
        for kind in CHILDREN:
            (self.children / f"{kind}.pflow.md").write_text(child(kind))
        observe.register_conformance_nodes()
        from pflow.registry import Registry

        registry = Registry()
        nodes = registry.load(include_filtered=True)
        nodes |= {node.pop("name"): node for node in registry.scan_user_nodes(HERE / "fuzz_nodes")}
        registry.save(nodes)

    def run(self, ir: Json, inputs: Json, *, lowered: bool) -> Json:
        """What is seen of one run, including every call of a node."""
        import pflow_lower.pflow

        shutil.rmtree(self.tmp, ignore_errors=True)
        self.tmp.mkdir()
        text = json.dumps(ir).replace("{tmp}", str(self.tmp)).replace("{children}", str(self.children))
        text = text.replace("{files}", str(HERE / "conformance" / "files"))
        self._calls, self._interpreted = calls, _ = [], 0
        self._logged.clear()
        if lowered:
            pflow_lower.pflow.install()
        try:
            seen: Json = observe.observe(json.loads(text), copy.deepcopy(inputs))
        except RecursionError:  # the alias is the node's own id: results that hold themselves
            seen = {"endless": True, "status": "endless", "nodes": {}, "failures": {}, "progress": []}
        finally:
            pflow_lower.pflow.uninstall()
            for thread in threading.enumerate():  # pflow does not wait for what runs when a batch ends early
                if thread.name.startswith("ThreadPoolExecutor"):
                    thread.join()
        seen["calls"] = [] if "endless" in seen else list(calls)
        seen["logged"] = [] if "endless" in seen else list(self._logged)
        if lowered and self._interpreted:
            seen["interpreted although pflow-lower is on"] = self._interpreted
        return seen

    def note(self, node: Any, shared: Any) -> None:
        """A node is about to run."""
        params = {key: value for key, value in node.params.items() if not key.startswith("__")}
        try:
            keys = sorted(key for key in shared if key[:1] != "_")
        except TypeError:  # the alias is the node's own id, and the item a list: keys of any type
            keys = []
        seen = [type(node).__name__, observe.normalise(params), list(params), keys]
        with self._lock:
            self._calls.append(seen)

    @contextlib.contextmanager
    def patched(self) -> Iterator[None]:
        """Every call is noted; and pflow does not look at its own files and schemas again for every run."""
        from jsonschema import Draft7Validator
        from pflow.core import node as nodes
        from pflow.core.node import BaseNode
        from pflow.nodes.llm import llm
        from pflow.registry import Registry
        from pflow.runtime.engine import batch_executor, engine

        run = BaseNode._run
        known = {filtered: Registry().load(include_filtered=filtered) for filtered in (False, True)}

        def loaded(_: Any, include_filtered: bool = False) -> Any:
            return dict(known[include_filtered])

        def noted(node: Any, shared: Any) -> Any:
            self.note(node, shared)
            return run(node, shared)

        execute = engine.execute_batch
        parse, parsing = ast.parse, threading.Lock()

        def parsed_alone(*given: Any, **more: Any) -> Any:
            with parsing:  # Python 3.11 loses count of its depth when several threads parse
                return parse(*given, **more)

        def logged(message: str, *_: Any, **more: Any) -> None:
            # What an output called `item` is told with is ours: pflow's own words are under its licence.
            said = "an output called item" if "overwriting" in message else message
            self._logged.append([said, observe.normalise(more.get("extra"))])

        def interpreted(*given: Any) -> Any:
            self._interpreted += 1
            return execute(*given)

        with (
            mock.patch.object(engine, "execute_batch", interpreted),
            mock.patch.object(batch_executor, "execute_batch", interpreted),
            mock.patch.object(batch_executor, "as_completed", in_their_order),
            mock.patch.object(batch_executor.logger, "warning", logged),
            mock.patch.object(ast, "parse", parsed_alone),
            mock.patch.object(llm, "complete", answered),
            mock.patch.object(nodes, "time", SimpleNamespace(sleep=lambda seconds: None)),
            mock.patch.object(BaseNode, "_run", noted),
            mock.patch.object(Registry, "load", loaded),
            mock.patch.object(Draft7Validator, "check_schema"),
        ):
            yield

    def difference(self, ir: Json, inputs: Json) -> list[tuple[str, Any, Any]]:
        """Where the two ways of running a workflow differ: path, interpreted, lowered."""
        their, our = self.run(ir, inputs, lowered=False), self.run(ir, inputs, lowered=True)
        their, our = without_the_items_value(their), without_the_items_value(our)
        self.count(ir, their)
        stops_early = [node for node in ir["nodes"] if ends_somewhere(node, their, our)]
        if stops_early and "endless" in our:
            return []  # which items still ran is left to chance, and one that did holds itself: nothing can be seen
        if stops_early:
            return self.difference_of_an_early_end(ir, inputs, stops_early, our)
        if any(node.get("batch", {}).get("max_concurrent", 1) > 1 for node in ir["nodes"]):
            their, our = without_order(their), without_order(our)
        found = list(observe.differences(exact(their), exact(our)))
        return found or list(observe.differences(as_written(their), as_written(our)))

    def difference_of_an_early_end(
        self, ir: Json, inputs: Json, ended: list[Json], our: Json
    ) -> list[tuple[str, Any, Any]]:
        """A parallel batch that ends early is compared with the same batch in order.

        Its first failure is the one that counts here (in pflow, whichever is seen first), so it is the one
        that ends the batch in order.
        """
        ir = copy.deepcopy(ir)
        for node in ir["nodes"]:
            if node["id"] in [each["id"] for each in ended]:
                del node["batch"]["parallel"], node["batch"]["max_concurrent"]
        their = without_the_items_value(self.run(ir, inputs, lowered=False))
        return list(observe.differences(exact(essence(their)), exact(essence(our))))

    def count(self, ir: Json, seen: Json) -> None:
        """Keep the books of what was tried."""
        self.seen["workflows"] += 1
        self.seen[f"ended {seen['status']}"] += 1
        self.seen["refused by pflow's validator" if not seen["calls"] else "ran"] += 1
        for node in ir["nodes"]:
            if "batch" in node and node["id"] in {**seen["nodes"], **seen["failures"]}:
                self.seen["batches run"] += 1
                self.seen["parallel batches run"] += bool(node["batch"].get("parallel"))


def answered(*, model: str, prompt: str, **more: Any) -> Any:
    """What a provider says to `prompt`: always the same, and sometimes that it will not."""
    from pflow.core.exceptions import InvalidRequestError, LLMTransientError
    from pflow.core.llm_client import AdapterResponse

    if "refuse" in prompt:
        raise InvalidRequestError("no", model=model, provider_message="the provider says no")
    if "busy" in prompt:
        raise LLMTransientError("later", model=model, kind="rate_limit", provider_message="too many")
    text = "" if "nothing" in prompt else f"{prompt} {sorted(more)}"
    usage = {"model": model, "input_tokens": len(prompt), "output_tokens": 3, "total_tokens": len(prompt) + 3}
    return AdapterResponse(
        text='{"n": 1}' if more.get("schema") and len(prompt) % 3 else text,
        usage={**usage, "cost_usd": len(prompt) / 1000},
        model=model,
        has_schema=bool(more.get("schema")),
        warnings=[] if text else [{"kind": "llm_empty", "text": "nothing came"}],
    )


def ends_somewhere(node: Json, *runs: Json) -> bool:
    """Whether `node` is a parallel batch that ended before its last item, in any of `runs`."""
    if not node.get("batch", {}).get("parallel"):
        return False
    return any(node["id"] in run["failures"] for run in runs) and (
        node["batch"].get("error_handling") != "continue"
        or any(run["failures"][node["id"]]["data"] == {} for run in runs if node["id"] in run["failures"])
    )


def without_the_items_value(value: Any) -> Any:
    """`value` without what items were that are not an array: pflow prints all of it, a lowered batch its start."""
    if isinstance(value, dict):
        return {key: without_the_items_value(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [without_the_items_value(inner) for inner in value]
    return NOT_AN_ARRAY.sub(r"\1", value) if isinstance(value, str) else value


def exact(value: Any) -> Any:
    """`value` with numbers and truth values as text: 1, 1.0 and True are equal, and not the same to a user."""
    if isinstance(value, dict):
        return {key: exact(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [exact(inner) for inner in value]
    return f"<{value!r}>" if isinstance(value, (bool, int, float)) else value


def as_written(run: Json) -> Json:
    """What a user may print: here the order of keys counts."""
    return {key: json.dumps(run.get(key)) for key in ("nodes", "failures", "outputs")}


def essence(run: Json) -> Json:
    """What does not depend on when a batch ended."""
    failures = {
        node: {"error": failure.get("error"), "first": [e["error"] for e in (failure["data"].get("errors") or [])[:1]]}
        for node, failure in run["failures"].items()
    }
    return {
        **{key: run[key] for key in ("success", "status", "root_keys", "leftover_keys", "execution", "outputs")},
        "failures": failures,
        "errors": [error["title"] for error in run["errors"]],
    }


def without_order(run: Json) -> Json:
    """`run` with everything sorted that several workers do in whatever order."""
    run = copy.deepcopy(run)
    done = [entry for entry in run["progress"] if entry[1] == "batch_progress"]
    for node in {entry[0] for entry in done}:
        counts = [entry[2].pop("batch_current") for entry in done if entry[0] == node]
        run[f"progress of {node}"] = counts
    for warning in run.get("diag_warnings", []):  # pflow keeps one of several items' errors: whoever writes last
        warning["message"] = warning["message"].partition(": ${")[0]
    for name in ("calls", "progress", "logged", "llm_calls"):
        run[name] = sorted(run.get(name, []), key=lambda entry: json.dumps(entry, sort_keys=True, default=repr))
    return run


def in_their_order(futures: Iterable[Future[Any]]) -> Iterator[Future[Any]]:
    """`as_completed` in an order that it may well have: that in which the futures were made."""
    for future in list(futures):
        wait([future])
        yield future


# --- The search


def case_of(ir: Json, inputs: Json, expected: Json | None = None) -> str:
    """The text of a conformance case."""
    case = {"name": "found_by_fuzzing", "note": "", "racy": False, "pflow": "0.16.0", "ir": ir, "inputs": inputs}
    return json.dumps({**case, **({} if expected is None else {"expected": expected})}, ensure_ascii=False)


class Different(AssertionError):
    """A workflow that gives something else when it is lowered."""


def check(bench: Bench, ir: Json, inputs: Json) -> None:
    """Raises: Different."""
    found = bench.difference(ir, inputs)
    if found:
        said = "\n".join(
            f"  {path}\n    interpreted {json.dumps(one, ensure_ascii=False)[:400]}\n"
            f"    lowered     {json.dumps(other, ensure_ascii=False)[:400]}"
            for path, one, other in found[:6]
        )
        raise Different(f"{len(found)} differences\n{said}\n{case_of(ir, inputs)}")


def search(bench: Bench, **options: Any) -> Callable[[], None]:
    """The hypothesis test over `bench`."""

    @settings(
        deadline=None,
        database=None,
        print_blob=False,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
        **options,
    )
    @given(workflows())
    def run_both_ways(found: tuple[Json, Json]) -> None:
        check(bench, *found)

    return run_both_ways


@contextlib.contextmanager
def bench() -> Iterator[Bench]:
    """A bench in a home of its own."""
    logging.disable(logging.CRITICAL)
    with (
        tempfile.TemporaryDirectory() as folder,
        mock.patch.dict(os.environ, {"HOME": folder, "USERPROFILE": folder, "OPENAI_API_KEY": "none is needed"}),
    ):
        made = Bench(Path(folder))
        made.set_up()
        with made.patched():
            yield made
    logging.disable(logging.NOTSET)


def main() -> int:
    """Search for differences until the time is over; answers the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--seed", type=int, default=None, help="start here instead of at the time of day")
    parser.add_argument("--case", type=Path, help="only run this conformance case, both ways")
    arguments = parser.parse_args()
    end = time.monotonic() + arguments.minutes * 60
    number = int(time.time()) if arguments.seed is None else arguments.seed
    with bench() as made:
        if arguments.case:
            case = json.loads(arguments.case.read_text())
            check(made, case["ir"], case["inputs"])
            sys.stdout.write("equal\n")
            return 0
        while time.monotonic() < end:
            number += 1
            try:
                seed(number)(search(made, max_examples=300, phases=(Phase.generate, Phase.shrink)))()
            except Different as found:
                sys.stdout.write(f"--seed {number - 1}: {found}\n")
                return 1
            sys.stdout.write(f"{number}: {dict(made.seen)}\n")
            sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
