"""Source maps: where in the workflow each generated line comes from, on every golden case and in tracebacks."""

from __future__ import annotations

import itertools
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pocketflow
import pytest

import pflow_lower
from pflow_lower import pipeline
from pflow_lower.emit.source_map import RULES, Mapped, at_line, map_files, maps_of
from pflow_lower.ir.template import strings
from pflow_lower.options import Options

GOLDEN = Path(__file__).parent.parent / "golden" / "ok"
CASES = sorted(path.name for path in GOLDEN.iterdir())
SCHEMA = json.loads((Path(pflow_lower.__file__).parent / "emit/map.schema.json").read_text(encoding="utf-8"))


def workflow_of(case: str) -> Path:
    found = [GOLDEN / case / name for name in ("workflow.json", "workflow.pflow.md")]
    path = next(path for path in found if path.exists())
    if path.suffix == ".md":
        pytest.importorskip("pflow")
    return path


def compiled_of(case: str) -> pipeline.Compiled:
    nodes = GOLDEN / case / "nodes.toml"
    program = (GOLDEN / case / "flow.py").exists()
    options = Options(nodes_file=nodes if nodes.exists() else None, program=program)
    return pipeline.run(workflow_of(case), options)


@pytest.mark.parametrize("case", CASES)
def test_maps_are_as_published(case: str) -> None:
    files = [path for path in (GOLDEN / case).iterdir() if path.name in ("nodes.py", "flow.py", "lowered.json")]
    assert len(files) >= 2
    source = workflow_of(case).read_text(encoding="utf-8").split("\n")
    compiled = compiled_of(case)
    maps = map_files(maps_of(compiled.lowered, compiled.marked), compiled.files, workflow_of(case).name)
    for file in files:
        found = json.loads(maps[f"{file.name}.map.json"])
        jsonschema.validate(found, SCHEMA)
        assert (found["file"], found["source"]) == (file.name, workflow_of(case).name)
        count = len(file.read_text(encoding="utf-8").split("\n"))
        for row in found["lines"]:
            assert row["first"] <= row["last"] <= count
            assert 1 <= row["column"] <= len(source[row["line"] - 1]) + 1


def test_every_rule_is_published_and_used() -> None:
    assert set(SCHEMA["properties"]["lines"]["items"]["properties"]["rule"]["enum"]) == set(RULES)
    compiled = [compiled_of(case) for case in CASES if case != "markdown"]
    maps = [mapped for one in compiled for mapped in maps_of(one.lowered, one.marked).values()]
    assert {row.rule for mapped in maps for row in mapped} == set(RULES)


@pytest.mark.parametrize("case", CASES)
def test_every_line_that_says_something_of_a_node_leads_to_it(case: str) -> None:
    compiled = compiled_of(case)
    maps = maps_of(compiled.lowered, compiled.marked)
    for batch in compiled.lowered.batches:
        lines = compiled.files["nodes.py"].split("\n")
        begin = lines.index(next(line for line in lines if line.startswith(f"class {batch.class_name}(")))
        end = next((n for n in range(begin + 1, len(lines)) if lines[n].startswith("class ")), len(lines))
        for number in range(begin + 1, end):
            if lines[number - 1].strip() and "namespaced = " not in lines[number - 1]:
                assert at_line(maps["nodes.py"], number)[0].node == batch.node_id


@pytest.mark.parametrize("case", CASES)
def test_what_is_written_in_the_workflow_is_where_the_map_says(case: str) -> None:
    """What a generated line is made of is a string of the workflow: the map points into where that is written."""
    compiled = compiled_of(case)
    file = workflow_of(case)
    source = file.read_text(encoding="utf-8")
    starts = list(itertools.accumulate((len(line) + 1 for line in source.split("\n")), initial=0))
    maps = maps_of(compiled.lowered, compiled.marked)
    looked_at = 0
    for number, node in enumerate(compiled.source.nodes):
        for path, text in strings(dict(node.params), ("nodes", number, "params")):
            written = places_of(text, source, is_json=file.suffix == ".json")
            for found in mapped_to(maps, path) if written and "_source_files" not in node.data else ():
                assert found.position is not None
                at = starts[found.position.line - 1] + found.position.column - 1
                assert any(first <= at < last for first, last in written), f"{found.position} is not in {text!r}"
                looked_at += 1
    assert looked_at or case in WITHOUT_TEXT


WITHOUT_TEXT = {"no-params"}
"""Cases without a string among the parameters of a batch."""


def places_of(text: str, source: str, *, is_json: bool) -> list[tuple[int, int]]:
    """From where to where `text` is written in `source`: as a JSON string, or in Markdown as it is, indented or not."""
    if is_json:
        patterns = [re.escape(json.dumps(text, ensure_ascii=ensure_ascii)) for ensure_ascii in (True, False)]
    else:
        patterns = [r"\n[ \t]*".join(map(re.escape, text.strip().split("\n")))] if text.strip() else []
    return [found.span() for pattern in patterns for found in re.finditer(pattern, source)]


def test_what_a_path_of_results_captures_comes_from_there() -> None:
    """The lines of lowered.json under "classify": `out` is read for the results, `folder` for the items."""
    compiled = compiled_of("files")
    text = compiled.files["lowered.json"].split("\n")
    maps = maps_of(compiled.lowered, compiled.marked)
    places = {
        name: at_line(
            maps["lowered.json"], 1 + next(n for n, line in enumerate(text) if line.startswith(f'        "{name}":'))
        )
        for name in ("folder", "out", "style", "inner")
    }
    assert {name: (found[0].rule, found[0].path[2:]) for name, found in places.items()} == {
        "folder": ("items", ("batch", "items")),
        "out": ("results", ("batch", "results")),
        "style": ("capture", ("params", "prompt")),
        "inner": ("call", ("type",)),
    }


def mapped_to(maps: dict[str, list[Mapped]], path: tuple[Any, ...]) -> list[Mapped]:
    return [found for mapped in maps.values() for found in mapped if found.path == path]


def test_a_prompt_is_mapped_line_by_line(tmp_path: Path) -> None:
    prompt = "First ${item}.\n\nThird, an $${escape}, then ${item.name}\nFirst ${item}.\nlast"
    ir = {"inputs": {"xs": {"type": "array"}}, "nodes": [{"id": "a", "type": "llm", "params": {"prompt": prompt}}]}
    ir["nodes"][0]["batch"] = {"items": "${xs}"}  # type: ignore[index]
    file = tmp_path / "w.json"
    file.write_text(json.dumps(ir))
    compiled = pipeline.run(file)
    found = mapped_to(maps_of(compiled.lowered, compiled.marked), ("nodes", 0, "params", "prompt"))
    spelled = file.read_text()
    begin = spelled.index('"First') + 2  # columns count from 1, and the quote stands before the text
    starts = [0, 15, 16, prompt.index("First", 20), prompt.index("last")]
    escapes = [prompt.count("\n", 0, start) for start in starts]  # each is two characters in JSON
    columns = sorted({(f.first, f.position.column) for f in found if f.position and f.first == f.last})
    assert [column for _, column in columns] == [begin + s + e for s, e in zip(starts, escapes, strict=True)]


def test_a_file_of_its_own_has_no_lines_in_the_workflow(tmp_path: Path) -> None:
    (tmp_path / "prompt.md").write_text("one\n\ntwo ${item}\nthree")
    ir = {"inputs": {"xs": {"type": "array"}}, "nodes": [{"id": "a", "type": "llm", "batch": {"items": "${xs}"}}]}
    ir["nodes"][0]["params"] = {"prompt": "./prompt.md"}  # type: ignore[index]
    (tmp_path / "w.json").write_text(json.dumps(ir))
    compiled = pipeline.run(tmp_path / "w.json")
    found = mapped_to(maps_of(compiled.lowered, compiled.marked), ("nodes", 0, "params", "prompt"))
    columns = {mapped.position.column for mapped in found if mapped.position}
    assert columns == {(tmp_path / "w.json").read_text().index('"./prompt.md"') + 1}


class Fails(pocketflow.Node):  # type: ignore[misc]
    def exec(self, prep_result: Any) -> Any:
        raise RuntimeError("no")


WORKFLOW = (GOLDEN / "issue-classifier" / "workflow.json").read_text("utf-8")
ONCE = WORKFLOW.replace('"max_retries": 3', '"max_retries": 1')
"""The workflow without a second attempt, for which a test would wait."""
STORE = {"list_issues": {"response": [{"title": "t", "body": "b"}]}, "style": "s"}
NOTES = pytest.mark.skipif(sys.version_info < (3, 11), reason="exceptions have notes since Python 3.11")


@NOTES
def test_a_failing_item_names_its_place_in_memory(tmp_path: Path) -> None:
    (tmp_path / "workflow.json").write_text(ONCE, "utf-8")
    cls = pflow_lower.lower(tmp_path / "workflow.json").load()["classify"]
    lines = ONCE.split("\n")
    with pytest.raises(RuntimeError) as caught:
        cls(Fails()).run(dict(STORE))
    name, line, column, node = caught.value.__notes__[0].split(":")[:4]
    assert (name, node) == ("workflow.json", " classify")
    assert lines[int(line) - 1][int(column) - 1 :] == '"llm",'
    with pytest.raises(ValueError, match="no 'title' among name") as caught_early:
        cls(Fails()).run(dict(STORE, list_issues={"response": [{"name": "t"}]}))
    _, line, column, _ = caught_early.value.__notes__[0].split(":")[:4]
    assert lines[int(line) - 1][int(column) - 1 :].startswith("Title: ${issue.title}")


@NOTES
@pytest.mark.parametrize("standalone", [False, True])
def test_a_failing_item_names_its_place_from_a_folder(tmp_path: Path, standalone: bool) -> None:
    (tmp_path / "workflow.json").write_text(ONCE, "utf-8")
    out = tmp_path / "made" / "here"
    lowered = pflow_lower.lower(tmp_path / "workflow.json", out=out, standalone=standalone)
    lowered.write(out)
    script = (
        "import sys; sys.path.insert(0, 'made/here'); import nodes, pocketflow\n"
        "class Fails(pocketflow.Node):\n    def exec(self, prep_result): raise RuntimeError('no')\n"
        f"nodes.ClassifyBatch(Fails()).run({STORE!r})"
    )

    def last_line() -> str:
        run = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
        return run.stderr.strip().split("\n")[-1]

    place, rest = "workflow.json:25:15: ", "classify: item [0]"
    assert not (out / "nodes.py.map.json").exists()
    assert last_line().startswith(rest if standalone else place + rest)  # a copy of the runtime has no compiler
    (out / "nodes.py.map.json").write_text("{not a map")
    assert last_line().startswith(rest if standalone else place + rest)
    pflow_lower.lower(tmp_path / "workflow.json", out=out, standalone=standalone, maps=True).write(out)
    (tmp_path / "workflow.json").rename(tmp_path / "elsewhere.json")
    assert last_line().startswith(place + rest)
    (out / "nodes.py").write_text((out / "nodes.py").read_text() + "\n")  # the map is that of another file now
    assert last_line().startswith(rest)


def test_texts_that_look_like_marks_are_texts(tmp_path: Path) -> None:
    hostile = '\x00[0, "header", null]\x01\n\x01${item}\x00\n\x00'
    params = {hostile: hostile, "x": [hostile], "y": "${xs}"}
    node = {"id": "a", "type": "my.nodes:Own", "params": params, "batch": {"items": [hostile.replace("$", "")]}}
    ir = {"inputs": {"xs": {"type": "string", "description": hostile}}, "nodes": [node]}
    (tmp_path / "w.json").write_text(json.dumps(ir))
    compiled = pipeline.run(tmp_path / "w.json", Options(program=True))
    assert not any(set("\x00\x01") & set(text) for text in compiled.files.values())
    maps = maps_of(compiled.lowered, compiled.marked)
    assert {row.path[:4] for row in maps["nodes.py"] if row.rule == "parameter"} == {
        ("nodes", 0, "params"),
        ("nodes", 0, "params", hostile),
        ("nodes", 0, "params", "x"),
        ("nodes", 0, "params", "y"),
    }
    assert [row.rule for rows in maps.values() for row in rows].count("header") == 2  # of each module


def test_a_map_takes_time_in_proportion_to_the_text(tmp_path: Path) -> None:
    """Counted are all calls, and those that look through a whole text of the workflow."""

    def steps(lines: int) -> tuple[int, int]:
        prompt = "\n".join(f"{number} $${{e}} ${{item.name}}, ${{item.size}}" for number in range(lines))
        node = {"id": "a", "type": "llm", "params": {"prompt": prompt}, "batch": {"items": "${xs}"}}
        (tmp_path / "w.json").write_text(json.dumps({"inputs": {"xs": {"type": "array"}}, "nodes": [node]}))
        calls = []
        sys.setprofile(lambda frame, event, what: calls.append(getattr(what, "__name__", frame.f_code.co_name)))
        try:
            compiled = pipeline.run(tmp_path / "w.json")
            maps = maps_of(compiled.lowered, compiled.marked)
        finally:
            sys.setprofile(None)
        assert len(mapped_to(maps, ("nodes", 0, "params", "prompt"))) > lines
        return len(calls), calls.count("spelled") + calls.count("find_inside")

    steps(8)  # what is read once and for all
    few, many = steps(200), steps(400)
    assert many[0] < 2.5 * few[0]
    assert many[1] == few[1] > 0
