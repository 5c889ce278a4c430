"""Scripted nodes: each item says what happens at each attempt, in PocketFlow and in pflow alike."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Callable, MutableMapping
from pathlib import Path
from typing import Any

import pocketflow

import pflow_lower

NODE_ID = "b"


class Refused(Exception):
    """A failure that another attempt cannot help."""

    retriable = False


class RefusedItem(Refused):
    """The same, but only for this item."""

    batch_fatal = False


class Cancelled(Refused):
    """Whoever runs the node has cancelled it."""

    cancelled = True


class Overloaded(Exception):
    """A failure with what the provider said."""

    provider_message = "429: slow down"


FAILURES: dict[str, Callable[[], Exception]] = {
    "raise": lambda: ValueError("bad value"),
    "raise nothing": RuntimeError,
    "raise key": lambda: KeyError("k"),
    "raise provider": lambda: Overloaded("busy"),
    "refuse item": lambda: RefusedItem("not this one"),
    "cancel": lambda: Cancelled("cancelled"),
}
ABORTS: dict[str, Callable[[], Exception]] = {"refuse": lambda: Refused("never")}
ANSWERS: dict[str, dict[str, Any]] = {
    "ok": {"out": "fine"},
    "nothing": {},
    "empty": {"out": "", "more": [], "_note": "x"},
    "private": {"_out": "x"},
    "error": {"error": "went wrong"},
    "error lines": {"error": "\n went wrong\n  because\n", "out": 1},
    "error object": {"error": {"code": 7}},
    "error empty": {"error": ""},
    "error provider": {"error": "busy", "_diagnostic_context": {"provider_message": "429"}},
    "error child": {"error": "child", "_pflow_child_failure": {"node": "c"}},
    "item": {"item": "mine", "original_index": "mine", "exception": "mine"},
    "warn": {"__warnings__": {"b": {"kind": "slow"}, "c": {"id": "odd"}, "d": "text"}, "out": 1},
    "seen": {"seen": True, "__seen__": True},
}
ACTIONS: dict[str, Any] = {"go on": "other", "end": None, "error action": "error", "error route": "error_x"}


class Script:
    """What happens: `steps[index][attempt]`, the last step of an item for ever."""

    def __init__(self, steps: list[list[str]]) -> None:
        self.steps = steps
        self.attempts: dict[int, int] = {}

    def act(self, index: int, shared: MutableMapping[str, Any]) -> Any:
        """Do what comes next for the item at `index`; answers the action."""
        attempt = self.attempts[index] = self.attempts.get(index, 0) + 1
        step = self.steps[index][min(attempt, len(self.steps[index])) - 1]
        shared["_attempt"] = attempt
        shared["_before"] = [shared.get("seen"), shared.get("__seen__"), shared.get("__warnings__")]
        if step in FAILURES or step in ABORTS:
            shared["seen"] = shared["__seen__"] = attempt
            raise {**FAILURES, **ABORTS}[step]()
        for key, value in ANSWERS.get(step, {}).items():
            shared[key] = value
        return ACTIONS.get(step, "default")

    def __deepcopy__(self, memo: object) -> Script:
        return self


class Scripted(pocketflow.Node):
    """For PocketFlow."""

    def __init__(self, script: Script) -> None:
        super().__init__()
        self.script = script

    def post(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:
        shared["_params"] = self.params
        return self.script.act(self.params["at"], shared)


class AsyncScripted(pocketflow.AsyncNode):
    """For PocketFlow's asynchronous flows."""

    def __init__(self, script: Script) -> None:
        super().__init__()
        self.script = script

    async def post_async(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:
        shared["_params"] = self.params
        return self.script.act(self.params["at"], shared)


# What every item's parameters are; `style` is captured, the others depend on the item.
PARAMS = {"at": "${__index__}", "it": "${item}", "text": "${style}: ${__index__}"}


@functools.lru_cache(maxsize=256)
def lowered_class(
    *,
    node: str = "Scripted",
    alias: str = "item",
    namespacing: bool = True,
    params: tuple[tuple[str, Any], ...] = tuple(PARAMS.items()),
    **batch: Any,
) -> Any:
    """The generated class of a batch over `${src.list}`, whose node type is `node`."""
    workflow = {
        "ir_version": "0.1.0",
        "enable_namespacing": namespacing,
        "inputs": {"style": {"type": "string", "required": True, "description": "how"}},
        "nodes": [
            {"id": "src", "type": "Scripted", "params": {}},
            {
                "id": NODE_ID, "type": node, "params": dict(params),
                "batch": {"items": "${src.list}", "as": alias, **batch},
            },
        ],
        "edges": [{"from": "src", "to": NODE_ID}],
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder, "nodes.toml")
        table.write_text(
            '[nodes]\nScripted = "helpers.scripted:Scripted"\n'
            'AsyncScripted = { class = "helpers.scripted:AsyncScripted", async = true }\n'
        )
        return pflow_lower.lower(workflow, nodes=table).load()[NODE_ID]


def store(items: list[Any], **more: Any) -> dict[str, Any]:
    """A shared store as it is before the batch."""
    return {"style": "terse", "src": {"list": items}, **more}
