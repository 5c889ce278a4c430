"""`pflow-lower diff` besides its goldens: revisions of git, exit status, findings, and what counts as the same."""

from __future__ import annotations

import copy
import json
import subprocess
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from helpers.command import Result, Run
from hypothesis import given
from hypothesis import strategies as st

from pflow_lower.load.load import from_data
from pflow_lower.tools.diff.model import Change, Comparison, Kind
from pflow_lower.tools.diff.node_changes import compare
from pflow_lower.tools.diff.show_markdown import LIMIT, as_markdown, code, sentence
from pflow_lower.tools.shared.recognise import is_workflow
from pflow_lower.validate.validate import source_of

WORKFLOW: dict[str, Any] = {
    "ir_version": "0.1.0",
    "inputs": {"people": {"type": "array"}},
    "nodes": [
        {
            "id": "greet",
            "type": "llm",
            "params": {"prompt": "Greet ${who}"},
            "batch": {"items": "${people}", "as": "who"},
        },
        {"id": "send", "type": "shell", "params": {"command": "send", "stdin": "${greet.results}"}},
    ],
    "edges": [{"from": "greet", "to": "send"}],
}


BATCH = WORKFLOW["nodes"][0]["batch"]


@pytest.fixture
def diff(run: Run) -> Run:
    return partial(run, "diff")


@pytest.fixture
def repository(diff: Run) -> Path:
    """A repository with a workflow, its prompt in a file, and a generated folder."""
    git("init", "-q", "-b", "main")
    flow = copy.deepcopy(WORKFLOW)
    flow["nodes"][0]["params"]["prompt"] = "./prompts/greet.md"
    write("flows/greet.json", flow)
    Path("flows/prompts").mkdir()
    Path("flows/prompts/greet.md").write_text("Greet ${who}\n")
    Path("package.json").write_text('{"name": "x", "nodes": 3}')
    Path("flows/lowered.json").write_text(json.dumps(WORKFLOW))
    commit()
    return Path()


def git(*arguments: str) -> str:
    identity = ["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    return subprocess.run(["git", *identity, *arguments], check=True, capture_output=True, text=True).stdout


def commit() -> None:
    git("add", "-A")
    git("commit", "-q", "-m", "x", "--no-verify")


def write(path: str, data: dict[str, Any]) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(json.dumps(data, indent=2), encoding="utf-8")


def with_batch(**keys: Any) -> dict[str, Any]:
    flow = copy.deepcopy(WORKFLOW)
    flow["nodes"][0]["batch"].update(keys)
    return flow


def changes(old: dict[str, Any], new: dict[str, Any]) -> tuple[Change, ...]:
    return compare(source_of(from_data(old)), source_of(from_data(new)))


# --- What a key of a batch means


RETRIES = {"max_retries": 2}
PAUSES = {**RETRIES, "retry_wait": 2}
GROWING = {"retry_backoff": "exponential"}


PAGES = {"items": "${who.pages}", "as": "page"}
LINES = {"items": "${page.lines}", "as": "line"}


def at_once(number: int | str) -> dict[str, Any]:
    return {"parallel": True, "max_concurrent": number}


@pytest.mark.parametrize(
    ("old", "new", "kinds", "sentence"),
    [
        ({}, {"timeout": 5}, "behaviour", "5 s. A blocking one is left to itself: what it is doing goes on,"),
        (RETRIES, {**RETRIES, "timeout": 5}, "behaviour cost", "has failed when it has taken 5 s."),
        ({"timeout": 5}, {}, "behaviour", "may take as long as it likes."),
        ({**RETRIES, "timeout": 5}, RETRIES, "behaviour", "may take as long as it likes."),
        (
            {"tolerated_failures": 1},
            {"tolerated_failures": 2},
            "behaviour",
            "failures are more than 2; before, after more than 1.",
        ),
        (
            {"tolerated_failures": 1},
            {"tolerated_failures": "5%"},
            "behaviour",
            "failures are more than 5% of the items;",
        ),
        ({}, {"tolerated_failures": 2}, "behaviour", "before, it went on after any number."),
        ({"tolerated_failures": 2}, {}, "behaviour", "any number of failures; only if all items fail, the run ends."),
        ({"resume": False}, {"resume": True}, "behaviour", "what was paid for is kept."),
        (
            {"resume": False},
            {"resume": True},
            "behaviour",
            "when a run was ended starts again, whether it had done its",
        ),
        ({"resume": True}, {"resume": False}, "behaviour cost", "the next run does every item again."),
        ({}, {"key": "${who.id}"}, "behaviour", "Items have a name in results"),
        ({}, {"key": "${who.id}"}, "behaviour", "same key, or one has none, the run ends before the first call."),
        (
            {"items": {"file": "a.csv"}},
            {"items": {"file": "a.csv"}, "key": "${who.id}"},
            "behaviour",
            "or one has none, the run ends when that item is read from the file.",
        ),
        (
            {"key": "${who.id}"},
            {"key": "${who.name}"},
            "behaviour",
            "If two have the same key, or one has none, the run ends before the first call.",
        ),
        ({"key": "${who.id}"}, {}, "behaviour", "Items have no name any more"),
        ({"key": "${who.id}"}, {"key": "${who.name}"}, "behaviour", "Items are called something else"),
        (at_once(5), at_once(3), "schedule", "Fewer items run at once"),
        (at_once(3), at_once(5), "schedule", "Mind the provider's rate limit."),
        (at_once(3), at_once("auto"), "behaviour schedule", "is found out by asking now"),
        (at_once(3), at_once("auto"), "behaviour schedule", "429 or 503 is waited for, which uses up no attempt."),
        (at_once("auto"), at_once(3), "behaviour schedule", "3 items run at once, whatever the server allows"),
        (at_once("auto"), at_once(3), "behaviour schedule", "is not waited for any more: the attempt has failed."),
        (
            {"max_concurrent": "auto"},
            at_once("auto"),
            "behaviour schedule",
            "As many items as the server allows run at once instead of one after the other. A server that answers 429",
        ),
        (at_once("auto"), {"max_concurrent": "auto"}, "behaviour schedule", "instead of as many at once as the server"),
        ({"retry_wait": 2}, {"retry_wait": 1}, "cosmetic", "there is one attempt only"),
        ({**RETRIES, "retry_wait": 2}, {**RETRIES, "retry_wait": 1}, "schedule", "by the next after 1 s."),
        ({}, {"rate": "60/min"}, "behaviour schedule", "start at most as often as `60/min` says"),
        ({}, {"rate": "60/min"}, "behaviour schedule", "429 or 503 is waited for, which uses up no attempt."),
        ({"rate": "60/min"}, {}, "behaviour schedule", "start as fast as items are done."),
        ({"rate": "60/min"}, {}, "behaviour schedule", "is not waited for any more: the attempt has failed."),
        ({"rate": "60/min"}, {"rate": "5/s"}, "schedule", "start at most as often as `5/s` says, evenly spaced."),
        ({"rate": "60/min"}, {"rate": "openai"}, "schedule", "which all nodes and processes that name it share."),
        (PAUSES, {**PAUSES, **GROWING}, "behaviour schedule", "which doubles each time from 2 s to a minute."),
        ({**PAUSES, "rate": "1/s"}, {**PAUSES, "rate": "1/s", **GROWING}, "schedule", "which doubles each time from"),
        ({**PAUSES, **GROWING}, PAUSES, "behaviour schedule", "is always 2 s. A server that answers 429 or 503 is not"),
        (
            {"retry_wait": 2},
            {"retry_wait": 2, **GROWING},
            "behaviour",
            "one attempt only, and no pause to grow. A server",
        ),
        (
            {"retry_wait": 2, "rate": "1/s"},
            {"retry_wait": 2, "rate": "1/s", **GROWING},
            "cosmetic",
            "There is one attempt only, and no pause to grow.",
        ),
        (
            {"batch": PAGES},
            {"batch": {**PAGES, "items": "${who.notes}"}},
            "breaking cost",
            "Other inner items: how many",
        ),
        (
            {"batch": PAGES},
            {"batch": {**PAGES, "as": "sheet"}},
            "breaking",
            "`item` holds it as sheet, no longer as page.",
        ),
        (
            {"batch": {**PAGES, "batch": LINES}},
            {"batch": {**PAGES, "batch": {**LINES, "as": "row"}}},
            "breaking",
            "holds it as row, no longer as line.",
        ),
        (
            {"batch": {**PAGES, "batch": LINES}},
            {"batch": {"items": "${who.pages}", "as": "sheet", "batch": {**LINES, "items": "${sheet.lines}"}}},
            "breaking",
            "holds it as sheet, no longer as page.",
        ),
        (
            {"batch": PAGES},
            {"batch": {**PAGES, "batch": LINES}},
            "breaking cost",
            "Each page is gone through in turn: there is a result per inner item, whose `item` holds who, page and",
        ),
        (
            {"batch": {**PAGES, "batch": LINES}},
            {"batch": PAGES},
            "breaking cost",
            "No page is gone through in turn any more: there is one result for each, whose `item` holds who and page.",
        ),
        ({"items": [1, 2]}, {"items": [1, 2, 3]}, "behaviour cost", "3 items instead of 2, added at the end"),
        ({"items": [1, 2, 3]}, {"items": [1, 2]}, "behaviour", "2 items instead of 3: the last ones are gone"),
        ({"items": [1, 2]}, {"items": [2, 1]}, "breaking", "The same items in another order"),
        (
            {"items": [1, 2]},
            {"items": [0, 1, 2]},
            "behaviour breaking cost",
            "3 items instead of 2, and not at the end",
        ),
        ({"items": [1, 2]}, {"items": [1, 3]}, "behaviour", "Other items."),
        ({"items": [1, 2]}, {"items": "${people}"}, "behaviour cost", "Another list is worked through"),
        ({"items": "${people}"}, {"items": [1, 2]}, "behaviour cost", "Another list is worked through"),
        (
            {"items": {"file": "a.csv"}},
            {"items": {"file": "b.csv"}},
            "behaviour cost",
            "Another file is worked through",
        ),
        ({"items": {"file": "a.csv"}}, {"items": [1]}, "behaviour cost", "Another list is worked through"),
    ],
)
def test_what_a_key_means(old: dict[str, Any], new: dict[str, Any], kinds: str, sentence: str) -> None:
    shared = {"error_handling": "continue"}
    (change,) = changes(with_batch(**shared, **old), with_batch(**shared, **new))
    assert sorted(kind.value for kind in change.kinds) == kinds.split()
    assert sentence in change.sentence


@pytest.mark.parametrize(
    ("old", "new", "kinds", "sentence"),
    [
        ("priced.jsonl", "others.jsonl", "behaviour", "Results go to another file."),
        ("priced.JSONL", "${folder}/priced.jsonl", "behaviour", "Results go to another file."),
        ("p/*.jsonl", "q/*.jsonl", "behaviour", "Results go to another file."),
        ("priced.jsonl", "${path}", "behaviour", "Results go to another file."),
        ("${path}", "p/*.csv", "behaviour", "Results go to another file."),
        ("priced.jsonl", "priced.csv", "breaking", "Results are written as .csv, not as .jsonl: who opens"),
        ("priced.csv", "priced.jsonl", "breaking", "Results are written as .jsonl, not as .csv: who opens"),
        ("p-${day}.csv", "p-${day}.parquet", "breaking", "Results are written as .parquet, not as .csv"),
        (
            "priced.jsonl",
            "p/*.jsonl",
            "breaking",
            "and a manifest beside them: ${greet.file} is the path with the star.",
        ),
        ("p/*.jsonl", "priced.jsonl", "breaking", "Results go to one file instead of many: there is no manifest"),
        ("priced.jsonl", "p/*.csv", "breaking", "is the path with the star. Results are written as .csv"),
    ],
)
def test_files_of_results_of_another_shape_are_breaking(old: str, new: str, kinds: str, sentence: str) -> None:
    (change,) = changes(with_batch(results={"file": old}), with_batch(results={"file": new}))
    assert sorted(kind.value for kind in change.kinds) == kinds.split()
    assert sentence in change.sentence


def test_a_batch_that_comes_into_another_one_and_goes() -> None:
    nested = with_batch(batch=PAGES)
    for old, new, said in (
        (WORKFLOW, nested, "Each item is gone through in turn"),
        (nested, WORKFLOW, "Items are not gone through in turn any more"),
    ):
        (change,) = changes(old, new)  # and none of the prompt, which says the same of the same item
        assert change.field == "batch.batch"
        assert sorted(kind.value for kind in change.kinds) == ["breaking", "cost"] and said in change.sentence


@pytest.mark.parametrize(
    ("inner", "new_inner"),
    [
        (None, None),
        (PAGES, {**PAGES, "items": "${person.pages}"}),
        (None, {**PAGES, "items": "${person.pages}"}),
        (PAGES, None),
    ],
)
def test_an_item_that_is_called_otherwise_is_the_same_item(
    inner: dict[str, str] | None, new_inner: dict[str, str] | None
) -> None:
    """Also in the item's name, in the items of the batch inside, and where that comes or goes."""
    old, new = with_batch(key="${who.id}"), with_batch(key="${person.id}", **{"as": "person"})
    for flow, batch in ((old, inner), (new, new_inner)):
        flow["nodes"][0]["batch"].update({"batch": batch} if batch else {})
    new["nodes"][0]["params"]["prompt"] = "Greet ${person}"
    comes_or_goes = ["batch.batch"] if (inner is None) != (new_inner is None) else []
    found = changes(old, new)
    assert [change.field for change in found] == ["batch.as", *comes_or_goes]
    assert found[0].kinds[0].value == ("breaking" if inner and new_inner else "cosmetic")
    assert ("results" in found[0].sentence) == (not comes_or_goes)


def test_a_key_that_goes_is_breaking_where_somebody_reads_it() -> None:
    old, new = with_batch(key="${who.id}"), with_batch()
    for flow in (old, new):
        flow["nodes"][1]["params"]["stdin"] = "${greet.results[0].key}"
    (change,) = changes(old, new)
    assert [kind.value for kind in change.kinds] == ["breaking"]
    assert [reader.where for reader in change.readers] == ["send.params.stdin"]


AGAIN = {"while": "${send.exit_code}", "max_iterations": 3}


@pytest.mark.parametrize(
    ("old", "new", "kinds", "sentence"),
    [
        ({}, {"retry": {"max": 3}}, "behaviour cost", "makes up to 3 calls, not 1."),
        ({"retry": {"max": 3}}, {"retry": {"max": 2}}, "behaviour", "up to 2 calls, not 3: it gives up sooner."),
        ({"retry": {"max": 3}}, {}, "behaviour", "up to 1 calls, not 3: it gives up sooner."),
        ({"retry": {"max": 3}}, {"retry": {"max": 3, "wait": 2}}, "schedule", "The pauses between"),
        ({}, {"approval": "required"}, "behaviour", "somebody has to agree"),
        ({}, {"loop": AGAIN}, "behaviour cost", "How often the node runs changes."),
        ({"loop": AGAIN}, {"loop": {**AGAIN, "max_iterations": 4}}, "behaviour cost", "How often the node runs"),
        ({"cache": False}, {"cache": True}, "behaviour", "may be used again instead of new calls."),
        ({"cache": True}, {"cache": False}, "behaviour cost", "makes its calls anew"),
    ],
)
def test_what_a_key_of_a_node_means(old: dict[str, Any], new: dict[str, Any], kinds: str, sentence: str) -> None:
    node = {"id": "send", "type": "shell", "params": {"command": "true"}}
    (change,) = changes({"nodes": [{**node, **old}]}, {"nodes": [{**node, **new}]})
    assert sorted(kind.value for kind in change.kinds) == kinds.split()
    assert sentence in change.sentence


@pytest.mark.parametrize(
    ("kind", "key", "old", "new", "kinds", "sentence"),
    [
        ("llm", "prompt", "a", "b", "behaviour", "The model is asked something else."),
        ("llm", "max_tokens", 10, 20, "behaviour cost", "A call is answered differently"),
        ("shell", "max_tokens", 10, 20, "behaviour", "The node gets another value."),
        ("llm", "temperature", 0, 1, "behaviour", "The node gets another value."),
        ("shell", "command", "a", "b", "behaviour", "Other code runs."),
        ("shell", "timeout", 1, 2, "behaviour", "The node gets another value."),
    ],
)
def test_what_a_parameter_means(kind: str, key: str, old: Any, new: Any, kinds: str, sentence: str) -> None:
    (change,) = changes(*({"nodes": [{"id": "a", "type": kind, "params": {key: value}}]} for value in (old, new)))
    assert sorted(kind.value for kind in change.kinds) == kinds.split()
    assert sentence in change.sentence


# --- Exit status and forms


@pytest.mark.parametrize(
    ("kind", "old", "new", "kinds", "sentence"),
    [
        ("llm", {"prompt": "a"}, {"prompt": "a", "model": "m"}, "behaviour cost", "Parameter added."),
        ("llm", {"prompt": "a", "model": "m"}, {"prompt": "a"}, "behaviour cost", "the node type's default holds."),
        ("llm", {"prompt": "a"}, {"prompt": "a", "temperature": 0}, "behaviour", "Parameter added."),
        ("shell", {"command": "a"}, {"command": "a", "model": "m"}, "behaviour", "Parameter added."),
        ("shell", {"command": "a", "cwd": "b"}, {"cwd": "b", "command": "a"}, "cosmetic", "stand in another order"),
        ("shell", {"command": "a", "cwd": "b"}, {"cwd": "b", "command": "c"}, "behaviour", "Other code runs."),
    ],
)
def test_what_parameters_mean(kind: str, old: dict[str, Any], new: dict[str, Any], kinds: str, sentence: str) -> None:
    (change,) = changes(*({"nodes": [{"id": "a", "type": kind, "params": params}]} for params in (old, new)))
    assert sorted(kind.value for kind in change.kinds) == kinds.split()
    assert sentence in change.sentence


def test_another_class_is_breaking_however_it_is_called() -> None:
    for old, new in (("a:B", "b:A"), ("b:A", "a:B")):
        nodes = ({"nodes": [{"id": "a", "type": kind, "params": {"x": 1}}]} for kind in (old, new))
        (change,) = changes(*nodes)
        assert [kind.value for kind in change.kinds] == ["breaking"] and "another node class" in change.sentence


@pytest.mark.parametrize(
    ("fail_on", "status"),
    [("breaking", 0), ("schedule", 0), ("behaviour", 1), ("breaking,cost", 1), ("cosmetic", 0)],
)
def test_fail_on(diff: Run, fail_on: str, status: int) -> None:
    write("old.json", WORKFLOW)
    write("new.json", with_batch(max_retries=4))
    assert diff("old.json", "new.json", "--fail-on", fail_on).status == status


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("2.5", 2.5, '"2.5" -> 2.5'),
        (True, "true", 'true -> "true"'),
        ([1, 2], "[1, 2]", '[1, 2] -> "[1, 2]"'),
        ("2", 2.5, "2 -> 2.5"),
        (1, 1.0, "1 -> 1.0"),
        ("a", "", '"a" -> ""'),
    ],
)
@pytest.mark.parametrize("batch", [True, False])
def test_values_that_would_look_the_same_are_told_apart(
    diff: Run, old: object, new: object, said: str, batch: bool
) -> None:
    for name, value in (("old.json", old), ("new.json", new)):
        node = {"id": "a", "type": "pocketflow:Node", "params": {"weight": value}}
        write(name, {"nodes": [{**node, **({"batch": {"items": [1, 2]}} if batch else {})}]})
    assert f"params.weight: {said}" in diff("old.json", "new.json").out
    if batch:
        one, two = said.split(" -> ")
        assert f"`{one}` → `{two}`" in diff("old.json", "new.json", "--format", "markdown").out


@pytest.mark.parametrize("empty", ["", " ", ","])
def test_fail_on_nothing_is_a_variable_that_was_not_set(diff: Run, empty: str) -> None:
    """It never failed, whatever had changed."""
    write("old.json", WORKFLOW)
    write("new.json", with_batch(max_retries=4))
    shown = diff("old.json", "new.json", "--fail-on", empty)
    assert shown.status == 2 and "is empty; name a class of change, or leave it out" in shown.err
    assert diff("old.json", "new.json").status == 0


def test_fail_on_a_class_that_there_is_not(diff: Run) -> None:
    write("old.json", WORKFLOW)
    shown = diff("old.json", "old.json", "--fail-on", "braking")
    assert shown.status == 2 and "the classes are breaking, behaviour" in shown.err


@pytest.mark.parametrize("arguments", [[], ["one.json"], ["a", "b", "c"]], ids=str)
def test_two_files_are_needed(diff: Run, arguments: list[str]) -> None:
    shown = diff(*arguments)
    assert shown.status == 2 and "OLD and NEW, or --git REV" in shown.err


@pytest.mark.parametrize("form", ["text", "json", "markdown"])
def test_an_invalid_version_is_told(diff: Run, form: str) -> None:
    write("old.json", WORKFLOW)
    Path("new.json").write_text('{"nodes": [{"id": "a"}]}')
    shown = diff("old.json", "new.json", "--format", form)
    assert shown.status == 2
    assert "PFL201" in (shown.out if form == "json" else shown.err)


def test_there_is_no_missing_file(diff: Run) -> None:
    write("old.json", WORKFLOW)
    shown = diff("old.json", "new.json")
    assert shown.status == 2 and "new.json: error[PFL101]" in shown.err


# --- Revisions


def test_the_working_tree_against_a_revision(diff: Run, repository: Path) -> None:
    assert diff("--git", "HEAD") == Result(0, "no workflow has changed\n", "")
    flow = json.loads(Path("flows/greet.json").read_text())
    flow["nodes"][0]["batch"]["error_handling"] = "continue"
    write("flows/greet.json", flow)
    shown = diff("--git", "HEAD", "--fail-on", "cost")
    assert shown.status == 1
    assert shown.out.startswith("flows/greet.json: 1 change (1 behaviour, 1 cost)")


@pytest.mark.parametrize(
    ("asked", "changed"),
    [
        ("main..branch", {"batch.max_retries", "batch.error_handling"}),
        ("main...branch", {"batch.error_handling"}),
        ("branch...main", {"batch.max_retries"}),
        ("main...", {"batch.error_handling"}),
        ("...main", {"batch.max_retries"}),
        ("main~", {"batch.error_handling"}),
    ],
)
def test_two_revisions_or_where_they_parted(diff: Run, repository: Path, asked: str, changed: set[str]) -> None:
    flow = json.loads(Path("flows/greet.json").read_text())
    git("branch", "branch")
    for branch, key in (("main", {"max_retries": 3}), ("branch", {"error_handling": "continue"})):
        git("checkout", "-q", branch)
        write(
            "flows/greet.json", {**flow, "nodes": [{**flow["nodes"][0], "batch": {**BATCH, **key}}, flow["nodes"][1]]}
        )
        commit()
    shown = json.loads(diff(f"--git={asked}", "--format", "json").out)
    assert {change["field"] for one in shown["comparisons"] for change in one["changes"]} == changed


def test_a_prompt_in_a_file_of_its_own_is_part_of_the_workflow(diff: Run, repository: Path) -> None:
    Path("flows/prompts/greet.md").write_text("Insult ${who}\n")
    shown = diff("--git", "HEAD")
    assert "params.prompt: Greet ${who}\\n -> Insult ${who}\\n" in shown.out
    commit()
    assert diff("--git", "HEAD").out == "no workflow has changed\n"
    assert "Insult" in diff("--git", "HEAD~1..HEAD").out
    assert "Insult" in diff("--git", "HEAD~1...").out


def test_moving_a_prompt_into_a_file_is_cosmetic(diff: Run, repository: Path) -> None:
    flow = json.loads(Path("flows/greet.json").read_text())
    flow["nodes"][0]["params"]["prompt"] = "Greet ${who}\n"
    write("flows/greet.json", flow)
    shown = diff("--git", "HEAD", "--format", "json")
    (comparison,) = json.loads(shown.out)["comparisons"]
    assert comparison["summary"] == {"cosmetic": 1}


def test_new_removed_and_renamed_workflows(diff: Run, repository: Path) -> None:
    write("flows/more.json", {**WORKFLOW, "nodes": [*WORKFLOW["nodes"], {"id": "c", "type": "shell", "params": {}}]})
    git("mv", "flows/greet.json", "flows/hello.json")
    text = diff("--git", "HEAD").out
    assert "flows/more.json: a new workflow: 3 nodes (1 batch)" in text
    assert "greet.json:" not in text.replace("more.json", "")
    commit()
    Path("flows/more.json").unlink()
    shown = diff("--git", "HEAD", "--fail-on", "breaking")
    assert shown.status == 1 and "flows/more.json: removed: 3 nodes (1 batch)" in shown.out


def test_only_some_paths(diff: Run, repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write("other/one.json", WORKFLOW)
    write("*.json", with_batch(parallel=True))
    assert "other/one.json" in diff("--git", "HEAD").out
    assert diff("--git", "HEAD", "flows").out == "no workflow has changed\n"
    assert diff("--git", "HEAD", "*.json").out.startswith("*.json: a new workflow")
    monkeypatch.chdir("other")
    assert diff("--git", "HEAD", ".").out.startswith("one.json: a new workflow")


def test_an_old_version_that_was_broken_does_not_hide_the_others(diff: Run, repository: Path) -> None:
    Path("flows/bad.json").write_text('{"nodes": [{"id": "a"}]}')
    commit()
    write("flows/bad.json", WORKFLOW)
    Path("flows/prompts/greet.md").write_text("Insult ${who}\n")
    shown = diff("--git", "HEAD")
    assert shown.status == 2
    assert "flows/bad.json: cannot be compared" in shown.out and "Insult" in shown.out
    assert "flows/bad.json:1:12: error[PFL201]" in shown.err


RATED = {
    "nodes": [
        {
            "id": "ask",
            "type": "mine",
            "params": {"text": "${item}"},
            "batch": {"items": [1, 2], "parallel": True, "rate": "api"},
        }
    ]
}
TABLES = """\
[tool.pflow-lower.rates]
api = "20/s"
[tool.pflow-lower.nodes]
mine = { class = "shop.nodes:Mine", async = true, params = { text = "str" } }
[tool.pflow-lower.on]
ask = { num_cpus = 2 }
"""


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"20/s"', '"1/min"', ["schedule  batch.rate: 20/s -> 1/min  (flows/rated.json:1:"]),
        ('"20/s"', '{ rate = "20/s", max_concurrent = 2 }', ["batch.rate: 20/s -> 20/s, 2 at a time"]),
        (":Mine", ":Yours", ["breaking  type: shop.nodes:Mine -> shop.nodes:Yours"]),
        ("async = true, ", "async = false, ", ["behaviour, schedule  type: async = true -> async = false"]),
        ("async = true, ", "", ["type: async = true -> async as the class is"]),
        ('"str"', '"int"', ['behaviour  type: {"text": "str"} -> {"text": "int"}']),
        ("mine =", "thine =", ["breaking  type: shop.nodes:Mine -> no class in a table"]),
        ("num_cpus = 2", "num_cpus = 4", ['schedule  batch: {"num_cpus": 2} -> {"num_cpus": 4}']),
        ('"20/s"', '"20/s"\nother = "1/s"', []),
        ("[tool.pflow-lower.on]", "[project]\nname = 'x'\n[tool.pflow-lower.on]", []),
    ],
)
@pytest.mark.parametrize("committed", [False, True])
def test_what_tables_say_is_compared(
    diff: Run, repository: Path, old: str, new: str, said: list[str], committed: bool
) -> None:
    Path("flows/rated.json").write_text(json.dumps(RATED))
    Path("pyproject.toml").write_text(TABLES)
    commit()
    assert old in TABLES
    Path("pyproject.toml").write_text(TABLES.replace(old, new))
    if committed:
        commit()
    shown = diff("--git", "HEAD~1..HEAD" if committed else "HEAD")
    assert shown.status == 0 and all(text in shown.out for text in said), shown
    assert (shown.out == "no workflow has changed\n") == (not said)
    assert diff("--git", "HEAD~1..HEAD" if committed else "HEAD", "flows/greet.json").out == "no workflow has changed\n"


def test_a_budget_in_a_file_of_its_own_is_that_of_its_version(diff: Run, repository: Path) -> None:
    Path("flows/rated.json").write_text(json.dumps(RATED))
    Path("flows/pflow-lower.toml").write_text('[rates]\napi = "20/s"\n')
    commit()
    assert diff("--git", "HEAD~1..HEAD").out.startswith("flows/rated.json: a new workflow")
    Path("pyproject.toml").write_text('[tool.pflow-lower.rates]\napi = "1/min"\n')
    assert diff("--git", "HEAD").out == "no workflow has changed\n", "the nearest table counts"
    Path("flows/pflow-lower.toml").unlink()
    assert "batch.rate: 20/s -> 1/min" in diff("--git", "HEAD").out
    Path("pyproject.toml").unlink()
    shown = diff("--git", "HEAD")
    assert shown.status == 2 and "no budget is called" in shown.err


@pytest.mark.parametrize("revision", ["nonsense", "--output=x", "main..nonsense", "HEAD:flows"])
def test_a_revision_that_git_does_not_know(diff: Run, repository: Path, revision: str) -> None:
    shown = diff(f"--git={revision}")
    assert shown.status == 2 and shown.err.startswith(f"<--git {revision}>: error[PFL711] git knows no revision ")
    assert "name a commit, a branch or a tag" in shown.err
    assert not Path("x").exists()


def test_a_revision_that_is_misspelt_or_empty(diff: Run, repository: Path) -> None:
    shown = diff("--git", "HAED")
    assert (shown.status, shown.err) == (
        2, "<--git HAED>: error[PFL711] git knows no revision HAED\n  did you mean HEAD?\n"
    )  # fmt: skip
    shown = diff("--git", "")
    assert shown.status == 2 and "is empty; for what is not committed yet, write HEAD" in shown.err


def test_history_that_is_missing_is_not_another_revision(
    diff: Run, repository: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    write("flows/more.json", WORKFLOW)
    commit()
    shown = diff("--git", "HEAD~5")
    assert shown.status == 2 and "HEAD is known, and its history does not go back so far" in shown.err
    git("clone", "-q", "--depth=1", Path.cwd().as_uri(), "shallow")
    monkeypatch.chdir("shallow")
    for revision in ("HEAD~1", "main^", "HEAD~1..HEAD"):
        shown = diff("--git", revision)
        assert shown.status == 2 and "this clone is shallow" in shown.err and "git fetch --deepen=1" in shown.err
        assert "did you mean" not in shown.err
    git("fetch", "-q", "--deepen=1")
    assert "flows/more.json: a new workflow" in diff("--git", "HEAD~1").out


def test_histories_that_never_met(diff: Run, repository: Path) -> None:
    git("checkout", "-q", "--orphan", "other")
    write("flows/more.json", WORKFLOW)
    commit()
    shown = diff("--git", "main...other")
    assert shown.status == 2 and "the two have no commit in common\n  compare the two as they are: A..B" in shown.err


@pytest.fixture
def submodule(repository: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A submodule with a workflow, called `shared`."""
    Path("origin").mkdir()
    monkeypatch.chdir("origin")
    git("init", "-q", "-b", "main")
    write("wf.json", WORKFLOW)
    commit()
    monkeypatch.chdir("..")
    git("-c", "protocol.file.allow=always", "submodule", "add", "-q", f"{Path.cwd()}/origin", "shared")
    Path(".git/info/exclude").write_text("origin\n")
    commit()
    return Path("shared")


def test_a_changed_submodule_is_said_not_to_be_looked_at(
    diff: Run, submodule: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert diff("--git", "HEAD").status == 0
    write("shared/wf.json", with_batch(parallel=True))
    shown = diff("--git", "HEAD")
    assert shown.status == 2 and "shared: error[PFL712] this submodule has changed, and the workflows" in shown.err
    assert "shared: cannot be compared" in shown.out
    assert diff("--git", "HEAD", "flows").status == 0
    command = shown.err.partition("--git ")[2].split()[0]
    monkeypatch.chdir("shared")
    assert "batch.parallel" in diff("--git", command).out
    commit()
    monkeypatch.chdir("..")
    commit()
    shown = diff("--git", "HEAD~1..HEAD")
    assert shown.status == 2 and "PFL712" in shown.err
    monkeypatch.chdir("shared")
    assert "batch.parallel" in diff("--git", shown.err.partition("--git ")[2].split()[0]).out


def test_a_submodule_is_passed_by_without_workflows_and_named_where_it_is_not_checked_out(
    diff: Run, submodule: Path
) -> None:
    Path("shared/wf.json").unlink()
    Path("shared/data.json").write_text("[1]")
    shown = diff("--git", "HEAD")
    assert (shown.status, shown.out) == (0, "no workflow has changed\n")
    git("-C", "shared", "commit", "-q", "-a", "-m", "x")
    commit()
    git("submodule", "deinit", "-q", "-f", "shared")
    shown = diff("--git", "HEAD~1..HEAD")
    assert shown.status == 2 and "it is not checked out here: what is in it is not compared" in shown.err


def test_outside_of_a_repository(diff: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    shown = diff("--git", "HEAD")
    assert shown.status == 2 and "PFL711" in shown.err and "not a git repository" in shown.err


@pytest.mark.parametrize(
    ("content", "is_one"),
    [
        (b'{"nodes": [{"id": "a", "type": "shell"}]}', True),
        (b'{"nodes": [{"id": "a", "type": "shell"}', True),
        (b'{"nodes": 3}', False),
        (b'{"nodes": {"a": {"id": "a", "type": "shell"}}}', False),
        (b'{"nodes": [', True),
        (b' {\n"nodes', True),
        (b'{"nodeset": [', False),
        (b'{"name": "nodes", ', False),
        ('{"nodes": [{"id": "a", "type": "shell"}]}'.encode("utf-16"), True),
        ('{"nodes": [{"id": "a", "type": "shell"}]}'.encode("utf-16-be"), True),
        ('{"nodes": [{"id": "a", "type": "shell"}]}'.encode("utf-32"), True),
        ('{"nodes": [{"id": "\xe9", "type": "shell"}]}'.encode("latin-1"), True),
        ('{"nodes": [{"id": "a", "type": "shell"}]}'.encode("utf-8-sig"), True),
        ('{"name": "a package"}'.encode("utf-16"), False),
        (b'{"node": [{"id": "a", "type": "shell", "params": {}}]}', True),
        (b'{"codes": [{"id": "a", "type": "shell"}]}', False),
        (b'{"nodes": [1]}', False),
        (b'["nodes"]', False),
        (b'{"name": "a package"}', False),
        (b'{"nodes": []}', False),
        (b'{"ir_version": "0.1.0", "nodes": []}', True),
        (b'{"ir_version": "0.1.0", "nodes": [{', True),
        (b'{"nodes": [{"id": 1, "type": "city", "position": {}}]}', False),
        (b'{"nodes": [{"id": 1, "type": "city", "position": {}}', False),
        (b'{"nodes": [{"id": 1, "type": "city"}], "edges": [{"source": 1, "target": 1}]}', False),
    ],
)
def test_which_json_is_a_workflow(content: bytes, is_one: bool) -> None:
    assert is_workflow("a.json", content) is is_one


# --- What counts as the same


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({}, {}),
        ({"retry_wait": 1}, {"retry_wait": 1}),
    ],
)
def test_nothing(old: dict[str, Any], new: dict[str, Any]) -> None:
    assert changes(with_batch(**old), with_batch(**new)) == ()


def test_one_is_not_one_point_zero_nor_true() -> None:
    flows = []
    for value in (1, 1.0, True):
        flow = copy.deepcopy(WORKFLOW)
        flow["nodes"][1]["params"]["timeout"] = value
        flows.append(flow)
    for one, two in ((0, 1), (1, 2), (0, 2)):
        (change,) = changes(flows[one], flows[two])
        assert change.field == "params.timeout"


def test_comments_in_code_are_cosmetic() -> None:
    def flow(code: str) -> dict[str, Any]:
        params = {"code": code, "inputs": {"n": "${n}"}}
        node = {"id": "count", "type": "code", "params": params, "batch": {"items": [1, 2], "as": "n"}}
        return {"nodes": [node]}

    (change,) = changes(flow("n: int\nresult: int = n"), flow("# counts\nn: int\nresult: int = (n)"))
    assert change.kinds == (Kind.COSMETIC,)
    for other in ("n: int\nresult: int = n + 1", "n: int\nresult: int = (n", "\0", "-" * 100_000 + "n"):
        (change,) = changes(flow("n: int\nresult: int = n"), flow(other))
        assert change.kinds == (Kind.BEHAVIOUR,)


def test_a_node_that_shares_its_name_with_an_alias_is_not_read_by_that_batch() -> None:
    flow = copy.deepcopy(WORKFLOW)
    flow["nodes"].append(
        {
            "id": "again",
            "type": "llm",
            "params": {"prompt": "${greet.response}"},
            "batch": {"items": "${greet.results}", "as": "greet"},
        }
    )
    new = copy.deepcopy(flow)
    new["nodes"][0]["params"]["prompt"] = "Hi ${who}"
    (change,) = changes(flow, new)
    assert [reader.where for reader in change.readers] == ["send.params.stdin", "again.batch.items"]


# --- Markdown cannot be forged


HOSTILE = st.text(st.sampled_from("`|<>@[](){}$*_#\\!&\n\r\x1b\u202eab -~"), max_size=30)


@given(HOSTILE)
def test_code_is_one_span(text: str) -> None:
    markdown = code(text)
    assert "\n" not in markdown and "\x1b" not in markdown
    ticks = markdown[: len(markdown) - len(markdown.lstrip("`"))]
    inner = markdown[len(ticks) : -len(ticks)]
    assert ticks and markdown.endswith(ticks)
    runs = {len(run) for run in "".join(c if c == "`" else " " for c in inner).split()}
    assert len(ticks) not in runs
    assert "|" not in inner.replace("\\|", "")


@given(HOSTILE)
def test_a_sentence_holds_no_markup(text: str) -> None:
    pieces = sentence(text).split("`")
    outside = "".join(pieces[::2]) if len(pieces) % 2 else ""
    assert "<" not in outside and "\n" not in outside
    assert "@a" not in outside and "@b" not in outside


def test_a_comment_has_a_limit() -> None:
    old, new = with_batch(), with_batch()
    new["nodes"][0]["params"]["prompt"] = "word " * 3000
    one = Comparison("a", "a", source_of(from_data(old)), source_of(from_data(new)), changes(old, new))
    text = as_markdown([one] * 30)
    assert len(text) < LIMIT + 200 and "too long for a comment" in text
    assert text.count("<details>") == text.count("</details>")


@pytest.mark.parametrize(
    ("old", "new", "items", "kinds", "sentence"),
    [
        (["a"], ["a", "b"], "${people}", "behaviour cost", "a batch has 2 items instead of 1."),
        (["a", "b"], ["a"], "${people}", "behaviour", "a batch has 1 item instead of 2."),
        (["a"], ["b"], "${people}", "behaviour", "Another value holds"),
        ('["a"]', '["a", "b", "c"]', "${people}", "behaviour cost", "a batch has 3 items instead of 1."),
        ({"x": [1]}, {"x": [1, 2]}, "${people.x}", "behaviour cost", "a batch has 2 items instead of 1."),
        ([[1]], [[1, 2]], "${people[0]}", "behaviour cost", "a batch has 2 items instead of 1."),
        (["a"], ["a", "b"], "${other ?? people}", "behaviour cost", "a batch has 2 items instead of 1."),
        (["a"], ["a", "b"], "${other}", "behaviour", "Another value holds"),
        ("a", "ab", "${people}", "behaviour", "Another value holds"),
    ],
)
def test_a_default_that_makes_the_items(old: Any, new: Any, items: str, kinds: str, sentence: str) -> None:
    def workflow(default: Any) -> dict[str, Any]:
        batch = {"id": "a", "type": "shell", "params": {"command": "echo ${item} ${people}"}, "batch": {"items": items}}
        inputs = {"people": {"default": default}, "other": {"default": []}}
        return {"ir_version": "0.1.0", "inputs": inputs, "nodes": [batch]}

    (change,) = compare(source_of(from_data(workflow(old))), source_of(from_data(workflow(new))))
    assert " ".join(kind.value for kind in change.kinds) == kinds
    assert sentence in change.sentence


def test_changes_as_findings(diff: Run, repository: Path) -> None:
    """With a format of CI: an error where --fail-on names its class, and what is cosmetic only if that does."""
    flow = with_batch(parallel=True)
    flow["nodes"][0]["params"]["prompt"] = "./prompts/greet.md"
    flow["nodes"][0]["purpose"] = "Greets."
    write("flows/greet.json", flow)
    write("flows/new.json", WORKFLOW)
    commit()

    def said(revisions: str, about: str, *options: str) -> list[str]:
        lines = diff("--git", revisions, "--format", "github", *options).out.splitlines()
        return [line.partition(" ")[0] for line in lines if about in line]

    assert said("HEAD~..HEAD", "batch.parallel") == said("HEAD~..HEAD", "workflow is new") == ["::warning"]
    assert said("HEAD~..HEAD", "batch.parallel", "--fail-on", "cost") == ["::warning"]
    assert said("HEAD~..HEAD", "workflow is new", "--fail-on", "cost") == ["::error"]
    assert said("HEAD~..HEAD", "purpose") == []
    assert said("HEAD~..HEAD", "purpose", "--fail-on", "cosmetic") == ["::error"]
    assert said("HEAD..HEAD~", "workflow is gone") == ["::warning"]
    assert said("HEAD..HEAD~", "workflow is gone", "--fail-on", "breaking") == ["::error"]
