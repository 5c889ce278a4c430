"""The table of batch keys: everything that lists the keys follows from it, and forgetting one is loud."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers.scripted import Script, Scripted, lowered_class, store
from jsonschema import Draft7Validator

import pflow_lower
from pflow_lower import lower
from pflow_lower.diagnostics.diagnostic import Diagnostic, LowerError
from pflow_lower.diagnostics.explanations import explanation
from pflow_lower.emit.source_map import maps_of
from pflow_lower.ir import batch_keys
from pflow_lower.ir.batch_keys import BATCH_KEYS, CONSUMERS, REQUIRED, BatchKey
from pflow_lower.ir.batch_schema import descriptions, markdown_table
from pflow_lower.ir.batch_spec import BatchSpec
from pflow_lower.ir.known_to_pflow import without_ours
from pflow_lower.load.load import from_data
from pflow_lower.node_types import run_tables
from pflow_lower.node_types.project_file import Table
from pflow_lower.pipeline import run
from pflow_lower.runtime import SequentialBatchNode, overrides, pace, streams
from pflow_lower.runtime.batch import Batch
from pflow_lower.runtime.batch_state import MOST_CONCURRENT
from pflow_lower.runtime.run import STATE_VARIABLE
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
    "graph": ["tools/lower/mermaid.py"],
}
"""Where each of these uses the keys."""

COMMON_WORDS = {"items", "key", "results", "timeout", "retry_backoff", "rate", "resume", "batch"}
"""Keys whose name, or one of whose values, is a word that code uses for other things, too."""

RUNTIME_NAMES = {"batch": "aliases", "key": "has_keys"}
"""What the runtime goes by where generated code says what the key does."""

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
    base: dict[str, Any] = {"items": [{"id": "a", "pages": ["p"]}], "parallel": True}
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
    """Whether code names the key, its field, or one of the values that it can have.

    What says no more than why a key cannot be set in Python does not use it.
    """
    files = [file for place in places for file in sorted((PACKAGE / place).rglob("*.py")) or [PACKAGE / place]]
    files = [file for file in files if file != PACKAGE / "runtime/overrides.py"]
    if row.key in COMMON_WORDS:
        name = RUNTIME_NAMES.get(row.key, row.field) if places == SOURCES["runtime"] else row.field
        used = re.compile(rf"\b(batch|spec|settings|node)\.{name}\b(?!\()")
        return any(used.search(file.read_text("utf-8")) for file in files)
    words = {row.key, row.field, *row.schema.get("enum", ())}
    for file in files:
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


@pytest.mark.parametrize(
    ("key", "file", "code", "expected"),
    [
        ("resume", "runtime/a.py", "node.resume", True),
        ("resume", "runtime/overrides.py", "node.resume", False),
        ("max_retries", "runtime/a.py", "x.max_retries", True),
        ("max_retries", "runtime/overrides.py", "{'max_retries': 'change it in the workflow'}", False),
        ("items", "runtime/a.py", "batch.items", True),
        ("items", "runtime/a.py", "x = {}.items() or node.items() or 'items'", False),
        ("batch", "runtime/a.py", "node.aliases", True),
        ("batch", "runtime/a.py", "node.inner, batch.inner", False),
        ("batch", "tools/plan/a.py", "node.batch.inner_batch", True),
        ("batch", "tools/plan/a.py", "node.inner, node.aliases", False),
        ("key", "runtime/a.py", "call.key, batch.keys", False),
    ],
)
def test_what_counts_as_use_of_a_key(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, key: str, file: str, code: str, expected: bool
) -> None:
    monkeypatch.setitem(globals(), "PACKAGE", tmp_path)
    (tmp_path / file).parent.mkdir(parents=True)
    (tmp_path / file).write_text(code)
    assert mentions(batch_keys.batch_key(key), SOURCES[file.split("/")[-2]][:1]) == expected


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
    assert tuple(streams.KINDS) == batch_keys.FILE_KINDS


def test_files_of_every_kind_are_taken_and_no_others() -> None:
    taken = Draft7Validator(batch_keys.FILE)
    for kind in (*batch_keys.FILE_KINDS, ".tsv", ".txt", ".json", "jsonl", "-jsonl"):
        assert taken.is_valid({"file": f"a{kind}"}) == (kind in batch_keys.FILE_KINDS), kind
    assert taken.is_valid({"file": "${made.file}"}) and not taken.is_valid({"file": "a.csv\n"})


def test_whoever_says_what_a_file_may_be_called_names_every_kind() -> None:
    guide = (PACKAGE / "tools/guide/durable.md").read_text("utf-8")
    told = descriptions()
    texts = [
        guide[guide.index("Items are read from a file") : guide.index("Downstream there are")],
        told["nodes.[].batch.items"]["description"],
        told["nodes.[].batch.results"]["description"],
        told["nodes.[].batch.results.file"]["description"],
        refusal({"items": {"file": "a.txt"}}).message,
        refusal({"items": ["a"], "results": {"file": "a.txt"}}).message,
    ]
    for text in texts:
        assert [kind for kind in batch_keys.FILE_KINDS if kind not in text] == [], text
    for kind in batch_keys.FILE_KINDS:
        assert refusal({"items": f"in{kind}"}).help == f'for a file of items, write {{"file": "in{kind}"}}'


def refusal(batch: dict[str, Any]) -> Diagnostic:
    """The one thing that is wrong with a batch."""
    with pytest.raises(LowerError) as caught:
        lower(workflow(batch))
    (found,) = caught.value.diagnostics
    return found


VALUES: list[Any] = [
    None, True, False, -1, 0, 1, 2.5, 5.0, 0.001, -0.001, 10**400, "", "auto", "AUTO", "1", "abc", "Abc", "a b", "5/s",
    "fail_fast", "fail-fast", "FAIL_FAST", "continue", "fixed", "exponential", "linear", "60/min", "60/week", "0/s",
    "999999999/day", "1000000000/day", "60/min\n", "0%", "9%", "100%", "101%", "007%", "5 %", "5%\n", "-1%", [], {},
]  # fmt: skip
"""What a setting may or may not be."""


def values_of(row: BatchKey) -> list[Any]:
    """What may be tried for the key: at each bound that its schema has, and beyond."""
    numbers = [bound for name, bound in row.schema.items() if name in ("minimum", "maximum", "exclusiveMinimum")]
    return [*VALUES, *(bound + more for bound in numbers for more in (-1, 0, 1)), *row.also, row.sample, row.default]


MORE_IN_PYTHON: dict[str, Callable[[Any], bool]] = {"max_concurrent": lambda value: value == 101}
"""Values that only a class may have: pflow's schema, which a workflow has to keep to, knows a limit."""


@pytest.mark.parametrize("row", [row for row in BATCH_KEYS if row.key in overrides.RULES], ids=lambda row: row.key)
def test_the_runtime_takes_the_values_that_the_schema_takes(row: BatchKey) -> None:
    schema = Draft7Validator(row.schema_of_ours())
    for value in values_of(row):
        valid = schema.is_valid(value)
        taken = overrides.RULES[row.key].holds(row.read(value) if valid else value)
        more = MORE_IN_PYTHON.get(row.key, lambda value: False)(value)
        assert taken == (valid or more or (value is None and row.default is None)), (value, taken)


def test_the_runtime_takes_the_budgets_that_a_table_takes() -> None:
    for most in (-1, 0, 1, run_tables.MOST_AT_ONCE, run_tables.MOST_AT_ONCE + 1, True, "3"):
        wrong = list(run_tables._wrong_in_budget("api", {"max_concurrent": most}, Table(Path("t"), "rates", {})))
        assert overrides.RULES["shared_max_concurrent"].holds(most) == (not wrong), most
    for rate in ("500/min", "500/week", "0/s", "500", 500):
        wrong = list(run_tables._wrong_in_budget("api", {"rate": rate}, Table(Path("t"), "rates", {})))
        assert overrides.RULES["shared_rate"].holds(rate) == (not wrong), rate


SEEN: dict[str, Callable[[Batch], Any]] = {
    "max_concurrent": lambda batch: batch.max_concurrent,
    "max_retries": lambda batch: batch.max_retries,
    "retry_wait": lambda batch: batch.retry_wait,
    "error_handling": lambda batch: "fail_fast" if batch.fail_fast else "continue",
    "rate": lambda batch: batch.controls and batch.controls.pacer and "60/min",
    "timeout": lambda batch: batch.controls and batch.controls.timeout,
    "retry_backoff": lambda batch: "exponential" if batch.controls and batch.controls.exponential else "fixed",
    "tolerated_failures": lambda batch: batch.tolerated,
    "resume": lambda batch: bool(batch.controls and batch.controls.journal),
}
"""What a run that has begun goes by, for every key that may be set otherwise in Python."""
ALSO_CALLED = {"as": ["alias"], "batch": ["aliases"]}
"""Attributes that say what a key says, beside the one of its name."""


def set_in_a_subclass(made: Any, name: str, value: Any) -> Any:
    return type("Mine", (made,), {name: value})(Scripted(Script([["ok"]])))


def set_in_an_instance(made: Any, name: str, value: Any) -> Any:
    node = type("Mine", (made,), {})(Scripted(Script([["ok"]])))
    setattr(node, name, value)
    return node


def begun(node: Any) -> Batch:
    batch: Batch = node.prep(store(["a"]))
    batch.next_call()
    batch.end(ended_well=True)
    return batch


def check_that_it_is_honoured_or_refused(row: BatchKey, set_it: Callable[[Any, str, Any], Any]) -> None:
    needed = {"error_handling": "continue"} if row.key == "tolerated_failures" else {}
    made = lowered_class(parallel=True, **needed)
    for name in (row.key, *ALSO_CALLED.get(row.key, ())):
        node = set_it(made, name, row.sample)
        if row.key in SEEN:
            assert SEEN[row.key](begun(made(Scripted(Script([["ok"]]))))) != row.sample
            assert SEEN[row.key](begun(node)) == row.sample
        else:
            with pytest.raises(ValueError, match=rf"^Mine\.{name} cannot be set: .* in the workflow"):
                node.prep(store(["a"]))


@pytest.mark.parametrize("set_it", [set_in_a_subclass, set_in_an_instance])
@pytest.mark.parametrize("row", BATCH_KEYS, ids=lambda row: row.key)
def test_what_python_says_otherwise_is_honoured_or_refused(
    row: BatchKey, set_it: Callable[[Any, str, Any], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(STATE_VARIABLE, str(tmp_path))
    check_that_it_is_honoured_or_refused(row, set_it)
    guide = (PACKAGE / "tools/guide/python.md").read_text("utf-8")
    assert f"`{row.key}`" in guide


def test_a_key_that_python_can_set_and_nobody_thought_of_is_noticed(made_up: BatchKey) -> None:
    with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE"):
        check_that_it_is_honoured_or_refused(made_up, set_in_a_subclass)


def test_a_row_is_found_by_its_key() -> None:
    assert batch_keys.batch_key("as").field == "alias" and batch_keys.default("max_concurrent") == 10
    with pytest.raises(KeyError):
        batch_keys.batch_key("max_concurent")
