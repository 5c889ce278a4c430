"""The table of batch keys: everything that lists the keys follows from it, and forgetting one is loud."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import pflow_lower
from pflow_lower import lower
from pflow_lower.diagnostics.diagnostic import LowerError
from pflow_lower.diagnostics.explanations import explanation
from pflow_lower.emit.source_map import maps_of
from pflow_lower.ir import batch_keys
from pflow_lower.ir.batch_keys import BATCH_KEYS, CONSUMERS, REQUIRED, BatchKey
from pflow_lower.ir.batch_schema import markdown_table
from pflow_lower.ir.batch_spec import BatchSpec
from pflow_lower.ir.known_to_pflow import without_ours
from pflow_lower.load.load import from_data
from pflow_lower.pipeline import run
from pflow_lower.runtime import SequentialBatchNode, pace
from pflow_lower.runtime.batch import MOST_CONCURRENT
from pflow_lower.tools.diff.batches import MEANINGS
from pflow_lower.tools.diff.node_changes import compare
from pflow_lower.validate import validate as validation
from pflow_lower.validate.schema import workflow_schema
from pflow_lower.validate.validate import validate

ROOT = Path(__file__).parent.parent
PACKAGE = Path(pflow_lower.__file__).parent
GUIDES = sorted((PACKAGE / "tools/guide").rglob("*.md"))
SOURCES = {
    "runtime": ["runtime"],
    "lint": ["tools/lint"],
    "plan": ["tools/plan", "tools/shared/node_facts.py"],
    "graph": ["tools/shared/mermaid.py"],
}
"""Where each of these uses the keys."""

COMMON_WORDS = {"key", "results", "timeout", "retry_backoff", "rate", "resume", "batch"}
"""Keys whose name, or one of whose values, is a word that code uses for other things, too."""

MADE_UP = BatchKey(
    key="made_up",
    field="made_up",
    schema={"type": "integer", "minimum": 1, "maximum": 7},
    default=2,
    about="How often nothing happens.",
    sample=3,
    shown_at="attribute",
    ours=True,
)


@pytest.fixture
def made_up(monkeypatch: pytest.MonkeyPatch) -> Iterator[BatchKey]:
    """One more row, known to nobody but the table."""
    rows = (*BATCH_KEYS, MADE_UP)
    for name, module in list(sys.modules.items()):
        if name.startswith("pflow_lower") and getattr(module, "BATCH_KEYS", None) is BATCH_KEYS:
            monkeypatch.setattr(module, "BATCH_KEYS", rows)
    validation._schema.cache_clear()
    yield MADE_UP
    validation._schema.cache_clear()


def workflow(batch: dict[str, Any]) -> dict[str, Any]:
    alias = batch.get("as", "item")
    node = {"id": "say", "type": "shell", "params": {"command": f"echo ${{{alias}}}"}, "batch": batch}
    return {"ir_version": "0.1.0", "nodes": [node], "edges": []}


def complaints(row: BatchKey) -> list[str]:
    """Who has forgotten the key."""
    changed = changed_lines(row)
    found = {
        "emit": bool(changed),
        "source map": bool(changed & mapped_lines(row)),
        "diff": row.key in MEANINGS,
        **{consumer: mentions(row, places) for consumer, places in SOURCES.items()},
    }
    assert found.keys() == set(CONSUMERS) >= row.no_concern.keys()
    said = [f"{who} does not use it" for who, uses in found.items() if not uses and who not in row.no_concern]
    said += [f"{who} uses it, though it is of no concern" for who in row.no_concern if found[who]]
    said += [f"{who} gives no reason" for who, why in row.no_concern.items() if len(why.split()) < 3]
    if row.field not in BatchSpec._fields:
        said.append("BatchSpec has no field for it")
    if not any(f"| `{row.key}` | {row.values_text()} |" in guide.read_text("utf-8") for guide in GUIDES):
        said.append("guide does not list it")
    meaning = explanation("PFL204")
    assert meaning is not None
    if row.bounds() and f"`{row.key}` is {row.bounds()}" not in meaning.summary:
        said.append("PFL204 does not say its bounds")
    return said


def with_key(row: BatchKey, *, written: bool) -> dict[str, Any]:
    """An annotation in which the key has its sample or, if it is not to be written, another value."""
    base: dict[str, Any] = {"items": ["a"], "parallel": True}
    needed = {"tolerated_failures": {"error_handling": "continue"}, "retry_backoff": {"retry_wait": 1}}
    base |= needed.get(row.key, {})
    if written:
        return {**base, row.key: row.sample}
    if row.default is None:  # there is no way to write that
        return base
    return {**base, row.key: ["a"] if row.default is REQUIRED else row.default}


def changed_lines(row: BatchKey) -> set[int]:
    """The lines of the generated class, comments apart, that are other ones where the key is written."""
    lines = run(from_data(workflow(with_key(row, written=True)))).files["nodes.py"].splitlines()
    without = set(run(from_data(workflow(with_key(row, written=False)))).files["nodes.py"].splitlines())
    return {n for n, line in enumerate(lines, 1) if line not in without and not line.lstrip().startswith("#")}


def mapped_lines(row: BatchKey) -> set[int]:
    """The lines that come from the key, as the source map says."""
    compiled = run(from_data(workflow(with_key(row, written=True))))
    maps = maps_of(compiled.lowered, compiled.marked)["nodes.py"]
    return {
        number
        for line in maps
        if line.path[:4] == ("nodes", 0, "batch", row.key)
        for number in range(line.first, line.last + 1)
    }


def mentions(row: BatchKey, places: list[str]) -> bool:
    """Whether code names the key, its field, or one of the values that it can have."""
    words = {row.key, row.field, *row.schema.get("enum", ())}
    if row.key in COMMON_WORDS:
        return any(
            re.search(rf"\b(batch|spec|settings|node)\.{row.field}\b", file.read_text("utf-8"))
            for place in places
            for file in sorted((PACKAGE / place).rglob("*.py")) or [PACKAGE / place]
        )
    for place in places:
        for file in sorted((PACKAGE / place).rglob("*.py")) or [PACKAGE / place]:
            for part in ast.walk(ast.parse(file.read_bytes())):
                name = getattr(part, "attr", None) or getattr(part, "arg", None) or getattr(part, "value", None)
                if isinstance(name, str) and name in words:
                    return True
    return False


@pytest.mark.parametrize("row", BATCH_KEYS, ids=lambda row: row.key)
def test_nobody_has_forgotten_a_key(row: BatchKey) -> None:
    said = complaints(row)
    assert not said, "; ".join(said)


def test_a_key_that_only_the_table_knows_is_noticed_everywhere(made_up: BatchKey) -> None:
    expected = {f"{who} does not use it" for who in CONSUMERS}
    expected |= {"BatchSpec has no field for it", "guide does not list it", "PFL204 does not say its bounds"}
    assert set(complaints(made_up)) == expected


@pytest.mark.parametrize(("old", "new"), [(30, 5), (None, 5), (5, None)])
def test_a_key_without_a_meaning_is_a_change_all_the_same(made_up: BatchKey, old: object, new: object) -> None:
    one, two = (workflow({"items": ["a"], **({} if value is None else {"made_up": value})}) for value in (old, new))
    (change,) = compare(validation.source_of(from_data(one)), validation.source_of(from_data(two)))
    assert change.field == "batch.made_up" and change.kind.value == "behaviour"
    assert change.sentence == "`made_up` says something else. How often nothing happens."


def test_a_key_written_out_with_its_default_is_cosmetic_without_anybody_s_help(made_up: BatchKey) -> None:
    one, two = workflow({"items": ["a"]}), workflow({"items": ["a"], "made_up": 2})
    (change,) = compare(validation.source_of(from_data(one)), validation.source_of(from_data(two)))
    assert (change.field, change.kind.value) == ("batch.made_up", "cosmetic")


def test_the_schema_takes_a_key_of_ours_and_pflow_s_part_does_not(made_up: BatchKey) -> None:
    batch = {"items": ["a"], "made_up": 3}
    lower(workflow(batch))
    with pytest.raises(LowerError, match="must be between 1 and 7, not 8"):
        lower(workflow({"items": ["a"], "made_up": 8}))
    node = workflow_schema(ours=False)["properties"]["nodes"]["items"]
    assert "made_up" not in node["properties"]["batch"]["properties"]
    assert without_ours(batch) == {"items": ["a"]}


def test_rows_are_in_order() -> None:
    keys = [row.key for row in BATCH_KEYS]
    assert len(set(keys)) == len(keys)
    assert [row.field for row in BATCH_KEYS] == [field for field in BatchSpec._fields if field != "written"]
    for row in BATCH_KEYS:
        assert row.about.endswith(".") and row.sample != row.default
        validator = validation._schema()
        assert validator.is_valid(workflow({"items": ["a"], row.key: row.sample})), row.key


def test_what_is_not_written_has_the_default_of_the_table() -> None:
    source, _ = validate(from_data(workflow({"items": ["a"]})))
    assert source is not None and source.nodes[0].batch is not None
    spec = source.nodes[0].batch
    for row in BATCH_KEYS:
        if row.default is not REQUIRED:
            value = getattr(spec, row.field)
            assert getattr(value, "value", value) == row.default


@pytest.mark.parametrize(
    "row",
    # A batch inside is read as far as it can be: its names are known though something else is wrong with it.
    [row for row in BATCH_KEYS if row.default is not REQUIRED and row.key != "batch"],
    ids=lambda row: row.key,
)
def test_what_the_schema_refuses_counts_as_not_written(row: BatchKey) -> None:
    source, found = validate(from_data(workflow({"items": ["a"], row.key: {}})))
    assert any(finding.where == f"say.batch.{row.key}" for finding in found)
    if source is not None:
        assert source.nodes[0].batch == BatchSpec.of({"items": ["a"]})._replace(written=frozenset({"items", row.key}))


def test_the_tables_for_people_are_the_table() -> None:
    there = {}
    for file in [ROOT / "README.md", *GUIDES]:
        for table in re.findall(
            r"^\| key \| default \|.*?(?=\n\n|\Z)", file.read_text("utf-8"), re.DOTALL | re.MULTILINE
        ):
            there[file.name] = table
    assert there
    for name, table in there.items():
        assert table == markdown_table(), name


def test_the_base_classes_have_the_defaults_of_the_table() -> None:
    for row in BATCH_KEYS:
        if row.shown_at == "attribute":
            assert getattr(SequentialBatchNode, row.key) == row.default
    assert SequentialBatchNode.parallel == batch_keys.default("parallel")
    assert SequentialBatchNode.alias == batch_keys.default("as")


def test_the_runtime_s_copies_of_what_the_table_says() -> None:
    """It imports nothing of the compiler, since a program may have a copy of it beside itself."""
    assert batch_keys.batch_key("max_concurrent").schema["maximum"] == MOST_CONCURRENT
    assert pace._RATE.pattern == batch_keys.RATE.replace("[1-9][0-9]{0,8}", "([1-9][0-9]{0,8})")
    for number in (1, 999_999_999):
        for unit in pace._SECONDS:
            assert re.fullmatch(batch_keys.RATE, f"{number}/{unit}")


def test_a_row_is_found_by_its_key() -> None:
    assert batch_keys.batch_key("as").field == "alias" and batch_keys.default("max_concurrent") == 10
    with pytest.raises(KeyError):
        batch_keys.batch_key("max_concurent")
