"""What the names in a node's parameters stand for, and what of it is the same for every item."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pflow_lower.analyse.invariance import Bindings, Bound, batch_names
from pflow_lower.ir.template import Reference, parse
from pflow_lower.tools.explain.explain import line_in_words


def bindings(params: dict[str, Any], *declared: str, alias: str = "item") -> Bindings:
    return Bindings(batch_names([alias], declared), params)


def reference(text: str) -> Reference:
    return next(parse(f"${{{text}}}").references())


@pytest.mark.parametrize(
    ("name", "key", "bound"),
    [
        ("item", "prompt", Bound.ITEM),
        ("__index__", "prompt", Bound.INDEX),
        ("batch_index", "prompt", Bound.INDEX),
        ("batch_total", "prompt", Bound.TOTAL),
        ("style", "prompt", Bound.OWN),
        ("style", "inputs", Bound.OUTER),
        ("tone", "prompt", Bound.OUTER),
    ],
)
def test_what_a_name_stands_for(name: str, key: str, bound: Bound) -> None:
    assert bindings({"inputs": {"style": "x"}}).bound(name, key) is bound


@pytest.mark.parametrize("name", ["batch_index", "batch_total"])
def test_a_declared_name_is_the_author_s(name: str) -> None:
    assert bindings({}, name).bound(name, "prompt") is Bound.OUTER


@pytest.mark.parametrize("name", ["batch_index", "batch_total"])
def test_an_item_of_that_name_is_the_item(name: str) -> None:
    assert bindings({}, alias=name).bound(name, "prompt") is Bound.ITEM


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("style.name", "style.name"),
        ("item.name", None),
        ("own.name", None),
        ("pages[${__index__}].text", "pages"),
        ("pages[${own}].text", "pages"),
        ("pages[${n}].text", "pages[${n}].text"),
    ],
)
def test_the_part_that_is_the_same_for_every_item(text: str, part: str | None) -> None:
    found = bindings({"inputs": {"own": 1}}).invariant_part(reference(text), "prompt")
    assert (found and found.raw) == part


def test_what_is_captured_says_where_it_stands() -> None:
    texts = ["a", "b ${pages[${n}]}", "${pages[${first}].lines[${item}]}", "${pages[${item}].lines[${last}]}"]
    params = {"prompt": "${style} ${item}", "inputs": {"style": "very ${style}"}, "list": texts}
    found = [(h.reference.raw, h.path, h.offset) for h in bindings(params).hoisted()]
    assert found == [
        ("style", ("params", "inputs", "style"), 5),
        ("pages[${n}]", ("params", "list", 1), 2),
        ("pages[${first}].lines", ("params", "list", 2), 0),
        ("pages", ("params", "list", 3), 0),
        ("last", ("params", "list", 3), 0),
    ]


@pytest.mark.parametrize(
    ("params", "varies"),
    [
        ({"prompt": "${item}"}, True),
        ({"prompt": "${batch_index}"}, True),
        ({"prompt": "${batch_total}"}, False),
        ({"prompt": "${pages[${__index__}]}"}, True),
        ({"prompt": "${own}", "inputs": {"own": "${item}"}}, True),
        ({"prompt": "${own}", "inputs": {"own": "${other}"}}, False),
        ({"prompt": "${item}", "inputs": {"item": "${other}"}}, False),
        ({"prompt": "${any}", "inputs": "${elsewhere}"}, True),
        ({"prompt": "text", "inputs": "${elsewhere}"}, False),
    ],
)
def test_whether_a_parameter_varies_with_the_item(params: dict[str, Any], varies: bool) -> None:
    assert bindings(params).varies("prompt") is varies


def test_a_captured_value_is_explained_by_the_parameter_that_reads_it() -> None:
    case = Path(__file__).parents[1] / "golden" / "ok" / "inputs-hide-a-captured-name"
    lines = (case / "nodes.py").read_text(encoding="utf-8").split("\n")
    line = next(n for n, text in enumerate(lines, 1) if 'style=capture(shared, "style")' in text)
    assert "node `write`, params.inputs.style: the same for every item" in line_in_words(case / "nodes.py", line)
