"""The keys of a batch annotation: one row each, from which everything that lists them follows.

These are the schema with its texts for editors, reading and defaults, the words of the graph, `diff`, the table in the
guide, and the source map. A new key is a row here, a field of `BatchSpec`, and whatever it means:
tests/test_batch_keys.py names every part of the compiler that neither uses a key nor is listed in the row's
`no_concern`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, Literal, NamedTuple

REQUIRED: Final = "required"
"""Stands where a default would: the key must be written."""

CONSUMERS = ("emit", "source map", "runtime", "diff", "lint", "plan", "graph")
"""The parts of the compiler that have to do something about a key, or say why not."""

NAME = re.compile("^[a-zA-Z_][a-zA-Z0-9_]*$")
"""What an item may be called."""

FILE_KINDS = (".jsonl", ".csv", ".parquet")
"""What a file of items or of results may be called, in the order in which people are told."""

_NONE: Mapping[str, Any] = MappingProxyType({})


class BatchKey(NamedTuple):
    """One key, as authors write it."""

    key: str
    field: str
    """What `BatchSpec` calls it."""
    schema: Mapping[str, Any]
    """The JSON Schema of its value."""
    default: Any
    """The value that holds where the key is not written; REQUIRED if it must be."""
    about: str
    """What it does, in one sentence of Markdown that names neither bounds nor default: those are in `schema`."""
    sample: Any
    """A value that differs from the default, for examples and tests."""
    shown_at: Literal["attribute", "base", "prep", "exec"]
    """Where the generated class shows it: as an attribute of that name, in the base class that it has, or in what a
    method does."""
    editor: Mapping[str, Any] = _NONE
    """What editors are told besides: `examples`, `enumDescriptions`."""
    ours: bool = False
    """Whether pflow does not know it, so that its validator must not see it."""
    also: tuple[Any, ...] = ()
    """Values that only pflow-lower knows, beside those of `schema`."""
    also_file: bool = False
    """Whether pflow-lower takes a file, too: an object as in `FILE`."""
    no_concern: Mapping[str, str] = _NONE
    """Why a part of CONSUMERS has nothing to do with it."""

    def read(self, value: Any) -> Any:
        """A valid `value` as the compiler works with it: JSON's 5.0 is the whole number 5."""
        return int(value) if self.schema.get("type") == "integer" and value not in self.also else value

    def schema_of_ours(self) -> dict[str, Any]:
        """The JSON Schema of its value, with the values that only pflow-lower knows."""
        if self.also_file:
            return {"oneOf": [*self.schema["oneOf"], dict(FILE)]}
        return {"anyOf": [dict(self.schema), {"enum": list(self.also)}]} if self.also else dict(self.schema)

    def is_ours(self, value: Any) -> bool:
        """Whether pflow does not know the key, or no such `value` of it."""
        return self.ours or value in self.also or (self.also_file and isinstance(value, Mapping))

    def bounds(self) -> str:
        """What values it takes, where the schema gives bounds: "1 to 100", "0 or more"."""
        low, high = self.schema.get("minimum"), self.schema.get("maximum")
        if low is None:
            return ""
        return f"{low} or more" if high is None else f"{low} to {high}"

    def default_text(self) -> str:
        """The default as a workflow would write it."""
        return str(self.default).lower() if isinstance(self.default, bool) else str(self.default)

    def values_text(self) -> str:
        """Default and bounds, in Markdown: "`10`, 1 to 100"; "required" for a key that must be written."""
        if self.default is REQUIRED:
            return REQUIRED
        parts = ["none" if self.default is None else f"`{self.default_text()}`", self.bounds()]
        parts += [f"or `{value}`" for value in self.also]
        return ", ".join(filter(None, parts))


_END = r"$(?!\n)"
"""Ends a pattern of ours: a `$` alone matches before a last newline, too, in Python. (pflow's patterns let that be.)"""

_ITEMS: Mapping[str, Any] = {"oneOf": [{"type": "string", "pattern": r"^\$\{.+\}$"}, {"type": "array", "minItems": 1}]}
_ALIAS: Mapping[str, Any] = {"type": "string", "pattern": NAME.pattern}
_ALSO = f"(also {', '.join(f'`{kind}`' for kind in FILE_KINDS[1:])})"
FILE: Mapping[str, Any] = {
    "type": "object",
    "required": ["file"],
    "additionalProperties": False,
    "properties": {"file": {"type": "string", "pattern": rf"({'|'.join(map(re.escape, FILE_KINDS))}|\}}){_END}"}},
}
"""The schema of a file of items or of results. A path that ends in a reference is looked at when it is known."""
DEEPEST = 5
"""How many batches may stand inside each other."""


def _inner(levels: int) -> dict[str, Any]:
    """The schema of a batch inside a batch: what it goes through, and what that is called."""
    properties: dict[str, Any] = {"items": dict(_ITEMS), "as": dict(_ALIAS)}
    if levels > 1:
        properties["batch"] = _inner(levels - 1)
    return {"type": "object", "required": ["items"], "additionalProperties": False, "properties": properties}


RATE = "[1-9][0-9]{0,8}/(s|min|h|day)"
RATE_NAME = "[a-z][a-z0-9_-]*"
"""What a rate looks like, and the name of one that stands in a table."""

_A_PAUSE = {"lint": "no pause is wrong by itself", "graph": "a picture says how often, not when"}

BATCH_KEYS: tuple[BatchKey, ...] = (
    BatchKey(
        key="items",
        field="items",
        schema=_ITEMS,
        default=REQUIRED,
        about="What to go through: one `${...}` reference to a list, a list with references in it at any depth, or a "
        f"file that is read as it is needed: `{{file: in{FILE_KINDS[0]}}}` {_ALSO}.",
        sample=["first", "second"],
        shown_at="prep",
        editor={"examples": ["${list.stdout}", ["first", "second"], {"file": "items.jsonl"}]},
        also_file=True,
    ),
    BatchKey(
        key="results",
        field="results",
        schema=FILE,
        default=None,
        about="A file that results are written to as they finish, instead of the list `results`: "
        f"`{{file: out{FILE_KINDS[0]}}}` {_ALSO}; other nodes read `${{node.file}}`.",
        sample={"file": "out.jsonl"},
        shown_at="attribute",
        editor={"examples": [{"file": "results.jsonl"}]},
        ours=True,
        no_concern={
            "lint": "one file is as good as another",
            "plan": "where results go costs nothing",
        },
    ),
    BatchKey(
        key="as",
        field="alias",
        schema=_ALIAS,
        default="item",
        about="What an item is called in the node's parameters: a name of letters, digits and `_`.",
        sample="issue",
        shown_at="exec",
    ),
    BatchKey(
        key="parallel",
        field="parallel",
        schema={"type": "boolean"},
        default=False,
        about="Whether several items run at once: in threads, or as tasks where the node is asynchronous.",
        sample=True,
        shown_at="base",
    ),
    BatchKey(
        key="max_concurrent",
        field="max_concurrent",
        schema={"type": "integer", "minimum": 1, "maximum": 100},
        default=10,
        about="How many items run at once, without effect unless `parallel` is true; `auto` finds out what the server "
        "allows, up to the most.",
        sample=5,
        shown_at="attribute",
        also=("auto",),
    ),
    BatchKey(
        key="max_retries",
        field="max_retries",
        schema={"type": "integer", "minimum": 1, "maximum": 10},
        default=1,
        about="How many attempts an item gets in all; only exceptions are tried again, and what `timeout` gave up; not "
        "results that say `error`.",
        sample=3,
        shown_at="attribute",
    ),
    BatchKey(
        key="retry_wait",
        field="retry_wait",
        schema={"type": "number", "minimum": 0},
        default=0,
        about="Seconds between two attempts of one item.",
        sample=1.5,
        shown_at="attribute",
        no_concern=_A_PAUSE,
    ),
    BatchKey(
        key="error_handling",
        field="error_handling",
        schema={"type": "string", "enum": ["fail_fast", "continue"]},
        default="fail_fast",
        about="`fail_fast` stops at the first item that fails; with `continue` all run, and `results` holds the "
        "successes only.",
        sample="continue",
        shown_at="attribute",
        editor={
            "enumDescriptions": [
                "The first failure ends the batch, and the workflow.",
                "All items run. `results` holds the successes only, `errors` the failures; if all fail, the "
                "workflow ends.",
            ]
        },
    ),
    BatchKey(
        key="key",
        field="key",
        schema={"type": "string", "pattern": r"\$\{.+\}"},
        default=None,
        about="What an item is called in results, errors, progress and journal: a template that tells all items apart.",
        sample="${item.id}",
        shown_at="attribute",
        editor={"examples": ["${issue.number}"]},
        ours=True,
        no_concern={
            "graph": "a picture shows the batch, not its items",
        },
    ),
    BatchKey(
        key="rate",
        field="rate",
        schema={"type": "string", "pattern": f"^({RATE}|{RATE_NAME}){_END}"},
        default=None,
        about="How often calls start, evenly spaced: `60/min` (also s, h, day), or the name of a budget under "
        "`[tool.pflow-lower.rates]` that all processes share.",
        sample="60/min",
        shown_at="attribute",
        editor={"examples": ["60/min", "5/s"]},
        ours=True,
        no_concern={"lint": "what a provider allows is not known"},
    ),
    BatchKey(
        key="timeout",
        field="timeout",
        schema={"type": "number", "exclusiveMinimum": 0},
        default=None,
        about="Seconds after which an attempt is given up: an asynchronous one is cancelled, a blocking one is no "
        "longer waited for.",
        sample=30,
        shown_at="attribute",
        ours=True,
        no_concern={"graph": "a picture says how often, not how long"},
    ),
    BatchKey(
        key="retry_backoff",
        field="retry_backoff",
        schema={"type": "string", "enum": ["fixed", "exponential"]},
        default="fixed",
        about="How the pause between attempts grows: `exponential` doubles `retry_wait` each time, up to a minute, and "
        "waits a random part of that.",
        sample="exponential",
        shown_at="attribute",
        ours=True,
        no_concern=_A_PAUSE,
    ),
    BatchKey(
        key="tolerated_failures",
        field="tolerated_failures",
        schema={
            "oneOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": "^(100|[1-9]?[0-9])%" + _END}]
        },
        default=None,
        about="How many items may fail under `continue`, a number or a share such as `10%`; the batch ends as soon as "
        "more have failed.",
        sample=3,
        shown_at="attribute",
        editor={"examples": [5, "10%"]},
        ours=True,
        no_concern={
            "lint": "how many failures are too many is the author's to say",
            "plan": "what fails is not known before",
        },
    ),
    BatchKey(
        key="resume",
        field="resume",
        schema={"type": "boolean"},
        default=False,
        about="Whether finished items are journalled, so that the next run after a failure does only what is left.",
        sample=True,
        shown_at="attribute",
        ours=True,
        no_concern={"graph": "a picture shows one whole run"},
    ),
    BatchKey(
        key="batch",
        field="inner_batch",
        schema=_inner(DEEPEST - 1),
        default=None,
        about="A batch inside the batch: `items` (of an item of the outer one, `${file.pages}`), `as`, and another "
        "`batch`; every innermost item is one item of this batch, under both names.",
        sample={"items": "${item.pages}", "as": "page"},
        shown_at="prep",
        editor={"examples": [{"items": "${file.pages}", "as": "page"}]},
        ours=True,
        no_concern={"lint": "what the inner items are is known at run time only"},
    ),
)
"""Every key, in the order in which people are told of them."""


def batch_key(key: str) -> BatchKey:
    """The row of `key`. Raises KeyError for what is not a key."""
    for row in BATCH_KEYS:
        if row.key == key:
            return row
    raise KeyError(key)


def default(key: str) -> Any:
    """The value of `key` where it is not written."""
    return batch_key(key).default


def file_kinds_text(mark: str = "") -> str:
    """The kinds of files as a list to read: .jsonl, .csv or .parquet; each with `mark` around it."""
    *first, last = (f"{mark}{kind}{mark}" for kind in FILE_KINDS)
    return f"{', '.join(first)} or {last}"


def keys_shown_at(place: str) -> tuple[str, ...]:
    """The keys that a place of the generated class shows: "attribute", "base", "prep" or "exec"."""
    return tuple(row.key for row in BATCH_KEYS if row.shown_at == place)
