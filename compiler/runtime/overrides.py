"""Which settings a subclass or an instance of a generated class may change, and to which values.

The compiler has validated what it wrote; what is set in Python is checked when a run begins. The runtime cannot import
the table of batch keys: tests/test_batch_keys.py compares its schema with the rules here.
"""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable, Iterator, Mapping
from numbers import Integral, Real
from typing import Any, Final, NamedTuple

from .pace import is_rate
from .settings import BatchSettings, generated_class, names_items
from .value_text import short

MOST_RETRIES = 10
MOST_AT_ONCE = 1000
"""The limit of a budget's `max_concurrent`."""

_RATE_NAME = re.compile("[a-z][a-z0-9_-]*")
_SHARE = re.compile("(100|[1-9]?[0-9])%")
_RUNTIME = f"{__name__.rpartition('.')[0]}."


class Rule(NamedTuple):
    """What the value of a setting may be."""

    wanted: str
    """The same, for a message."""
    holds: Callable[[Any], bool]


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, Real):
        return False
    number: Any = value
    return bool(-math.inf < number < math.inf)


def _is_whole(value: Any, low: int, high: float = math.inf) -> bool:
    return not isinstance(value, bool) and isinstance(value, Integral) and low <= int(value) <= high


def _is_text(value: Any, *allowed: str) -> bool:
    return isinstance(value, str) and value in allowed


def _matches(value: Any, pattern: re.Pattern[str]) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None


def _up_to(most: int) -> str:
    return f"a whole number between 1 and {most}"


RULES: Final[Mapping[str, Rule]] = {
    "max_concurrent": Rule(
        f'{_up_to(MOST_AT_ONCE)}, or "auto"',  # a workflow may say 100 at most, as pflow has it
        lambda value: _is_whole(value, 1, MOST_AT_ONCE) or _is_text(value, "auto"),
    ),
    "max_retries": Rule(
        f"{_up_to(MOST_RETRIES)}; it counts the attempts, 1 means no retry",
        lambda value: _is_whole(value, 1, MOST_RETRIES),
    ),
    "retry_wait": Rule("a number of seconds, 0 or more", lambda value: _is_number(value) and value >= 0),
    "error_handling": Rule('"fail_fast" or "continue"', lambda value: _is_text(value, "fail_fast", "continue")),
    "rate": Rule(
        'a rate such as "60/min" (s, min, h, day), the name of a budget in small letters, or None',
        lambda value: value is None or is_rate(value) or _matches(value, _RATE_NAME),
    ),
    "shared_rate": Rule(
        'a rate such as "500/min" (s, min, h, day), or None', lambda value: value is None or is_rate(value)
    ),
    "shared_max_concurrent": Rule(
        f"{_up_to(MOST_AT_ONCE)}, or None",
        lambda value: value is None or _is_whole(value, 1, MOST_AT_ONCE),
    ),
    "timeout": Rule(
        "a number of seconds above 0, or None", lambda value: value is None or (_is_number(value) and value > 0)
    ),
    "retry_backoff": Rule('"fixed" or "exponential"', lambda value: _is_text(value, "fixed", "exponential")),
    "tolerated_failures": Rule(
        'a whole number, 0 or more, a share such as "10%", or None',
        # A workflow may well say 5.0.
        lambda value: value is None or _matches(value, _SHARE) or (_is_number(value) and value >= 0 == value % 1),
    ),
    "resume": Rule("True or False", lambda value: isinstance(value, bool)),
}
"""The settings that a subclass or an instance may say otherwise."""

_NAMED_IN_THE_CODE = "the code of `prep` and `exec` has that name in it; change `{key}` in the workflow"
INSTEAD: Final[Mapping[str, str]] = {
    "items": "`prep` reads the items; override that, or change `items` in the workflow",
    "results": "`prep` says where results go; override that and give `self.open` a ResultsFile, or change `results` "
    "in the workflow",
    "as": _NAMED_IN_THE_CODE.format(key="as"),
    "alias": _NAMED_IN_THE_CODE.format(key="as"),
    "aliases": _NAMED_IN_THE_CODE.format(key="as"),
    "batch": "`prep` goes through the batch inside; override that, or change `batch` in the workflow",
    "key": "`name_item` says what an item is called; override that, or change `key` in the workflow",
    "parallel": "it is what the base class does; change `parallel` in the workflow, or set max_concurrent to 1 for one "
    "item at a time",
    "wait": "its name is `retry_wait`",
}
"""What has no effect where it is set otherwise, and what to do instead."""

_ALIKE = 0.88  # max_concurrency is max_concurrent; min_concurrent is something else
_NOT_SHORT = 9  # a shorter name may well be a word of the author's own: `results`, `rates`, `resumed`
_HOOKS = frozenset(f"{hook}{suffix}" for hook in ("prep", "exec", "exec_fallback", "post") for suffix in ("", "_async"))
_OF_EVERY_NODE = frozenset(("params", "successors"))


def check_settings(node: BatchSettings) -> None:
    """Raises: ValueError, if a setting of `node` has a value that it cannot have, or one that would have no effect."""
    for owner in _owners(node):
        for name, value in owner.items():
            _check_name(node, name, value)
    for name, rule in RULES.items():
        value = getattr(node, name)
        if not rule.holds(value):
            raise ValueError(f"{_setting(node, name)} must be {rule.wanted}, not {short(value)}")
    _check_together(node)


def _owners(node: BatchSettings) -> Iterator[Mapping[str, Any]]:
    """Where what the generated class says may be said otherwise: the instance, and the classes derived from it."""
    yield vars(node)
    generated = generated_class(type(node))
    for cls in type(node).__mro__:
        if cls is generated:
            return
        if not cls.__module__.startswith(_RUNTIME):
            yield vars(cls)


def _check_name(node: BatchSettings, name: str, value: Any) -> None:
    # A program may well keep what `prep` gave as its `batch`.
    if name in INSTEAD and (name != "batch" or isinstance(value, Mapping)):
        raise ValueError(f"{_setting(node, name)} cannot be set: {INSTEAD[name]}")
    if name in _HOOKS:
        _check_hook(node, name, value)
    elif name in RULES or name in _OF_EVERY_NODE or name[:1] == "_" or len(name) < _NOT_SHORT:
        return
    if not (hasattr(generated_class(type(node)), name) or callable(value) or hasattr(value, "__get__")):
        _check_spelling(node, name)


def _check_hook(node: BatchSettings, name: str, value: Any) -> None:
    """A method of PocketFlow's that is never called here, or one whose coroutine nobody would wait for."""
    hook = name.removesuffix("_async")
    is_async = any("exec_async" in vars(cls) for cls in type(node).__mro__ if cls.__module__.startswith(_RUNTIME))
    called = f"{hook}_async" if is_async else hook
    if name not in (called, "prep"):  # `prep_async` calls `prep`
        if not any(called in owner for owner in _owners(node)):
            kind = "is asynchronous" if is_async else "is not asynchronous"
            raise ValueError(f"{_setting(node, name)} has no effect, as this batch {kind}: override `{called}`")
    elif name == hook and inspect.iscoroutinefunction(value):
        raise ValueError(f"{_setting(node, name)} must not be `async def`: nothing waits for its coroutine")


def _check_spelling(node: BatchSettings, name: str) -> None:
    from difflib import get_close_matches  # seldom needed

    known = [setting for setting in RULES if len(setting) >= _NOT_SHORT]
    for guess in get_close_matches(name, known, n=1, cutoff=_ALIKE):
        raise ValueError(f"{_setting(node, name)} is not a setting of a batch: did you mean `{guess}`?")


def _check_together(node: BatchSettings) -> None:
    """Settings that have an effect only beside others."""
    if node.tolerated_failures is not None and node.error_handling != "continue":
        raise ValueError(
            f"{_setting(node, 'tolerated_failures')} is {short(node.tolerated_failures)}, and with `fail_fast` none is "
            'tolerated: set error_handling to "continue", or tolerated_failures to None'
        )
    if node.key is not None and not names_items(node):
        raise ValueError(f"{_setting(node, 'key')} has no effect: {INSTEAD['key']}")
    is_a_name = node.rate is not None and not is_rate(node.rate)
    if is_a_name and node.shared_rate is None and node.shared_max_concurrent is None:
        raise ValueError(
            f"{_setting(node, 'rate')} is {short(node.rate)}, the name of a budget, and it says no limit: set "
            'shared_rate ("500/min") or shared_max_concurrent, too'
        )


def _setting(node: BatchSettings, name: str) -> str:
    return f"{type(node).__name__}.{name}"
