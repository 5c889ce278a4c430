"""The inner nodes with which a batch is proved: scripts that say what happens, and the node that follows one."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pflow.core.node import Node

from .virtual_time import Clock

Script = list[list[str]]
"""What each attempt for each item does; an item's last step goes for all further attempts."""

_MANY = 20  # more items than that do not go through every script


class Refused(Exception):
    """A failure that another attempt cannot help."""

    retriable = False


class RefusedItem(Refused):
    """An error that the batch's retries and `continue` may handle."""

    batch_fatal = False


_RAISED: dict[str, Callable[[str], Exception]] = {"raise": ValueError, "refuse": Refused, "refuse item": RefusedItem}
_ANSWERED: dict[str, dict[str, Any]] = {
    "ok": {"out": "fine"},
    "slow": {"out": "at last"},
    "error": {"error": "went wrong", "out": 1},
    "empty": {"out": ""},
}


def scripts(items: int, attempts: int) -> Iterator[tuple[str, Script]]:
    """What `items` items can do in up to `attempts` attempts, one thing at a time and all of it together."""
    yield "all succeed", [["ok"]] * items
    if not items:
        return
    yield "later items are quicker", [["ok"]] * items
    yield "the first attempts raise", [["raise", "ok"]] * items
    yield "all but the last attempts raise", [["raise"] * (attempts - 1) + ["ok"]] * items
    mixed = [["ok"], ["error"], ["raise", "ok"], ["raise"], ["slow"], ["refuse item"], ["nothing"]]
    for turn in range(min(items, len(mixed))):
        yield f"each something else, {turn}", [mixed[(index + turn) % len(mixed)] for index in range(items)]
    if items > _MANY:
        return
    for step in ("raise", "error", "error action", "refuse", "refuse item", "slow", "empty", "nothing"):
        yield f"all: {step}", [[step]] * items
        for index in sorted({0, items // 2, items - 1} if items > 1 else ()):
            yield f"item {index}: {step}", [["ok"]] * index + [[step]] + [["ok"]] * (items - index - 1)
    yield "retries, then a refusal", [["raise", "ok"]] * (items - 1) + [["raise", "refuse"]]


class Scenario:
    """One run of a script: what the inner node does, and what it was asked."""

    def __init__(self, name: str, script: Script, clock: Clock) -> None:
        self.calls: list[tuple[float, int, int, str]] = []
        self.attempts: Counter[int] = Counter()
        self.most = 0
        self._backwards = name == "later items are quicker"
        self._script = script
        self._clock = clock
        self._under_way = 0
        self._lock = threading.Lock()

    def __deepcopy__(self, memo: object) -> Scenario:
        return self

    def run_step(self, index: int, params: Mapping[str, Any]) -> str:
        """Be under way for a while; answers the step that it ended in.

        Raises: what the script says.
        """
        asked = {key: value for key, value in params.items() if not key.startswith("__")}
        with self._lock:
            self.attempts[index] += 1
            attempt = self.attempts[index]
            self.calls.append((self._clock.now(), index, attempt, json.dumps(asked, default=repr)))
            self._under_way += 1
            self.most = max(self.most, self._under_way)
        steps = self._script[index] if index < len(self._script) else ["ok"]
        step = steps[min(attempt, len(steps)) - 1]
        place = len(self._script) - index if self._backwards else index
        self._clock.sleep((0.1 + 0.031 * place + 0.0007 * attempt) * (20 if step == "slow" else 1))
        with self._lock:
            self._under_way -= 1
        if step in _RAISED:
            raise _RAISED[step](f"item {index}, attempt {attempt}")
        return step


class StandIn(Node):  # type: ignore[misc]  # pflow is not typed for us
    """The class of a type that pflow does not know here; it never runs."""


class ScriptedNode(Node):  # type: ignore[misc]  # pflow is not typed for us
    """The inner node on stage: its parameters and its own `retry`, with the results of a script."""

    def __init__(self, node: Any, scenario: Scenario) -> None:
        super().__init__(
            **{key: getattr(node, key) for key in ("max_retries", "wait", "backoff") if hasattr(node, key)}
        )
        self.params = dict(node.params)
        self.node_id = node.node_id
        self.scenario = scenario

    def prep(self, shared: Any) -> Any:
        """The position of the item."""
        return shared["__index__"]

    def exec(self, prep_res: Any) -> Any:
        """The step that the script has for this attempt."""
        return self.scenario.run_step(prep_res, self.params)

    def post(self, shared: Any, prep_res: Any, exec_res: Any) -> str:
        """Write what belongs to the step."""
        for key, value in _ANSWERED.get(exec_res, {}).items():
            shared[key] = value
        return "error" if exec_res == "error action" else "default"
