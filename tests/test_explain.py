"""What `pflow-lower explain` says is true: every example gives what it says it gives."""

from __future__ import annotations

import json
import shlex
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from syrupy.assertion import SnapshotAssertion

from pflow_lower import pipeline
from pflow_lower.cli import cli
from pflow_lower.diagnostics.codes import CODES
from pflow_lower.diagnostics.diagnostic import Diagnostic, LowerError, Severity
from pflow_lower.diagnostics.explanations import FOLDER, Example, explanation
from pflow_lower.ir.batch_keys import BATCH_KEYS, batch_key
from pflow_lower.options import Options
from pflow_lower.tools.explain.generated_file import known_of, lines_of

GOLDEN = Path(__file__).parent.parent / "golden" / "ok"

TO_READ_ONLY = {
    "PFL390",
    *("PFL101", "PFL102", "PFL103", "PFL104", "PFL112", "PFL214", "PFL412", "PFL590", "PFL591", "PFL601", "PFL602"),
    *("PFL117", "PFL118", "PFL603"),
    *("PFL611", "PFL612", "PFL613", "PFL614", "PFL615", "PFL616"),
    *("PFL701", "PFL702", "PFL703", "PFL704", "PFL705", "PFL711", "PFL712"),
}
"""Codes whose wrong example is a command line: no file gives them, or none that one would print."""

TABLE_USER = '{"nodes": [{"id": "t", "type": "translate", "params": {"text": "${item}"}, "batch": {"items": ["a"]}}]}'


APPLICATION = {
    "nodes.py": ["ShoutNode"],
    "my_nodes/__init__.py": ["ShoutNode"],
    "my_nodes/shout.py": ["ShoutNode"],
    "my_nodes/translate.py": ["TranslateNode"],
    "my_nodes/embed.py": ["EmbedNode"],
}
"""The modules, and the classes in them, that the examples speak of."""

ODD_CLASSES = {
    "my_nodes/asking.py": "class AskNode(Node):\n    def __init__(self, client): ...\n",
    "my_nodes/waiting.py": "class WaitNode(Node):\n    async def exec_async(self, question): ...\n",
}
"""The classes of which an example says that something is wrong with them."""

CHILD = Path(__file__).parent.parent / "golden" / "bad" / "child-workflows" / "greet.pflow.md"
"""The workflow that the examples start."""


def said(example: Example, folder: Path) -> list[Diagnostic]:
    """All findings about an example."""
    kind, *flags = shlex.split(example.kind)
    if kind == "python":
        return said_in_python(example.text)
    if kind == "markdown" or ".pflow.md" in example.text:
        pytest.importorskip("pflow")
    file = folder / ("workflow.pflow.md" if kind == "markdown" else "workflow.json")
    user = TABLE_USER.replace("translate", "llm").replace("text", "prompt") if flags else TABLE_USER
    file.write_text(user if kind == "toml" else example.text, encoding="utf-8")
    shutil.copy(CHILD, folder)
    for module, classes in APPLICATION.items():
        (folder / module).parent.mkdir(exist_ok=True)
        (folder / module).write_text(
            "from pocketflow import Node\n" + "".join(f"class {name}(Node): ...\n" for name in classes),
            encoding="utf-8",
        )
    for module, statement in ODD_CLASSES.items():
        (folder / module).write_text(f"from pocketflow import Node\n{statement}", encoding="utf-8")
    if kind == "toml":
        folder.joinpath("pyproject.toml" if flags else "nodes.toml").write_text(example.text, encoding="utf-8")
    if flags[:1] == ["lint"]:
        return said_by_lint(file, flags[1:])
    options = Options(
        out=folder / "out",
        program="--program" in flags,
        nodes_file=folder / "nodes.toml" if kind == "toml" and not flags else None,
    )
    try:
        return list(pipeline.run(str(file), options).diagnostics)
    except LowerError as error:
        return list(error.diagnostics)


def said_by_lint(file: Path, flags: list[str]) -> list[Diagnostic]:
    shown = CliRunner().invoke(cli, ["lint", "--format", "json", *flags, str(file)])
    findings = json.loads(shown.stdout)
    return [
        Diagnostic(code=found["code"], severity=Severity(found["severity"]), message=found["message"])
        for found in findings
    ]


def said_in_python(text: str) -> list[Diagnostic]:
    found: list[Diagnostic] = []

    class Watched:
        @staticmethod
        def lower(workflow: object) -> None:
            try:
                found.extend(pipeline.run(workflow).diagnostics)
            except LowerError as error:
                found.extend(error.diagnostics)

    exec(text, {"pflow_lower": Watched})  # noqa: S102  an example of ours
    return found


def test_every_code_has_an_explanation_and_no_other() -> None:
    assert {file.stem for file in FOLDER.iterdir()} == set(CODES)


@pytest.mark.parametrize("code", sorted(CODES))
def test_the_examples_are_true(code: str, tmp_path: Path) -> None:
    explained = explanation(code)
    assert explained is not None
    wrong, right = explained.examples("Wrong"), explained.examples("Right")
    assert wrong and right, "both headings, each with an example"
    tested = {"json", "markdown", "toml", "python"}
    assert {example.kind.split()[0] for example in wrong} <= tested or code in TO_READ_ONLY
    for example in wrong:
        if example.kind.split()[0] in tested:
            assert {finding.code for finding in said(example, tmp_path)} == {code}
    for example in right:
        if example.kind.split()[0] in tested:
            assert [finding.render() for finding in said(example, tmp_path)] == []


def test_explanations_are_of_the_length_of_the_terminal() -> None:
    for file in FOLDER.iterdir():
        for line in file.read_text(encoding="utf-8").splitlines():
            assert len(line) <= 120 or line.startswith(('{"', "    {")), f"{file.name}: {line}"


# --- The command


def explain(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["explain", *arguments])


def test_codes_are_listed() -> None:
    assert explain().output.splitlines() == [f"{code}  {title}" for code, title in CODES.items()]


@pytest.mark.parametrize("word", ["PFL301", "pfl301", "301"])
def test_a_code_in_words(word: str) -> None:
    told = explanation("PFL301")
    assert told is not None
    assert explain(word).output == f"PFL301: reference to nothing\n\n{told.markdown}\n"


@pytest.mark.parametrize(
    ("word", "meant"),
    [("PFL3O1", "did you mean PFL3"), ("PFL999", "did you mean"), ("wat", "lists the codes"), ("\x1b[2J", "\\x1b[2J")],
)
def test_an_unknown_code(word: str, meant: str) -> None:
    shown = explain(word)
    assert shown.exit_code == 2 and meant in shown.output and "\x1b" not in shown.output


@pytest.fixture
def lowered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which workflow.json was lowered into out/."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(GOLDEN / "issue-classifier-program" / "workflow.json", tmp_path)
    done = CliRunner().invoke(cli, ["workflow.json", "-o", "out", "--program"])
    assert done.exit_code == 0, done.output
    return tmp_path


def line_with(file: Path, text: str) -> int:
    return next(n for n, line in enumerate(file.read_text("utf-8").splitlines(), 1) if text in line)


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("nodes.py", "alias ="),
        ("nodes.py", "text(issue, 'title')"),
        ("nodes.py", "max_concurrent ="),
        ("nodes.py", "from pflow_lower"),
        ("flow.py", "classify = ClassifyBatch"),
        ("flow.py", "_params(shared: Shared)"),
        ("lowered.json", '"type": "nodes:ClassifyBatch"'),
    ],
)
def test_a_line_in_words(lowered: Path, snapshot: SnapshotAssertion, file: str, text: str) -> None:
    line = line_with(lowered / "out" / file, text)
    shown = explain(f"{Path('out') / file}:{line}")
    assert shown.exit_code == 0
    assert shown.output == snapshot
    assert explain(f"{Path('out') / file}:{line}:7").output == shown.output


def test_a_key_of_a_batch_is_explained_as_that_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each by what it does itself, and not all of them as what `max_concurrent` is for."""
    monkeypatch.chdir(tmp_path)
    written = {row.key: row.sample for row in BATCH_KEYS if row.shown_at == "attribute" and row.key != "results"}
    batch = {"items": ["a", "b"], "parallel": True, **written, "key": "${item}", "rate": "60/min"}
    node = {"id": "ask", "type": "llm", "params": {"prompt": "${item}"}, "batch": batch}
    Path("workflow.json").write_text(json.dumps({"nodes": [node]}))
    assert CliRunner().invoke(cli, ["workflow.json", "-o", "out"]).exit_code == 0
    for key in written:
        shown = explain(f"out/nodes.py:{line_with(Path('out/nodes.py'), f'    {key} = ')}").output
        about = batch_key(key).about.rstrip(".")
        assert f"batch.{key}: {about[0].lower()}{about[1:]}\n" in shown


def test_every_line_of_every_golden_case_can_be_explained() -> None:
    for file in sorted(GOLDEN.glob("*/*.py")):
        if file.parent.name == "markdown":
            pytest.importorskip("pflow")
        known = known_of(file, file.read_text("utf-8"))
        assert known.remarks == (), file
        workflow = lines_of(known.workflow)
        assert workflow is not None
        assert all(m.position is None or m.position.line <= len(workflow) for m in known.lines)


def test_a_long_line_is_shown_around_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    prompt = "x" * 500 + "\n${item}" + "y" * 500
    node = {"id": "a", "type": "llm", "params": {"prompt": prompt}, "batch": {"items": ["1"]}}
    Path("workflow.json").write_text(json.dumps({"nodes": [node]}))
    CliRunner().invoke(cli, ["workflow.json", "-o", "."])
    shown = explain(f"nodes.py:{line_with(Path('nodes.py'), 'text(item)')}").output
    assert max(map(len, shown.splitlines())) < 200
    quoted, caret = shown.splitlines()[4:6]
    assert quoted[caret.index("^") :].startswith("${item}")


def with_maps() -> None:
    made = CliRunner().invoke(cli, ["workflow.json", "-o", "out", "--program", "--maps"])
    assert made.exit_code == 0


def test_no_map_is_written_and_none_is_needed(lowered: Path) -> None:
    assert not list((lowered / "out").glob("*.map.json"))
    line = line_with(lowered / "out" / "nodes.py", "alias =")
    before = explain(f"out/nodes.py:{line}").output
    with_maps()
    assert (lowered / "out" / "nodes.py.map.json").exists()
    assert explain(f"out/nodes.py:{line}").output == before


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[]",
        '{"version": 1}',
        '{"version": 2, "lines": 7}',
        "\udcff",
        '{"a":' * 9999,
        '{"version": 2, "file": "nodes.py", "crc32": "0"}',
    ],
)
def test_a_map_of_something_else_is_not_looked_at(lowered: Path, content: str) -> None:
    line = line_with(lowered / "out" / "nodes.py", "alias =")
    before = explain(f"out/nodes.py:{line}").output
    (lowered / "out" / "nodes.py.map.json").write_bytes(content.encode(errors="surrogateescape"))
    shown = explain(f"out/nodes.py:{line}")
    assert (shown.exit_code, shown.output) == (0, before)


def test_an_older_file_is_explained_by_its_map(lowered: Path) -> None:
    with_maps()
    text = (lowered / "workflow.json").read_text()
    (lowered / "workflow.json").write_text(text.replace('"max_concurrent": 5', '"max_concurrent": 6'))
    shown = explain("out/nodes.py:1")
    assert (shown.exit_code, shown.output.splitlines()[-1]) == (
        0,
        "Note: nodes.py is not what workflow.json is lowered to today: what is said here is of an earlier state",
    )
    (lowered / "workflow.json").write_text("{")
    assert "Note: workflow.json cannot be lowered any more: workflow.json:1:2: error[PFL105]" in (
        explain("out/nodes.py:1").output
    )
    (lowered / "workflow.json").unlink()
    assert explain("out/nodes.py:1").output.endswith("Note: workflow.json is not there any more\n")


@pytest.mark.parametrize(
    ("what", "why"),
    [
        ("out/nodes.py", "which line?"),
        ("out/nodes.py:0", "there is no line 0"),
        ("out/nodes.py:999999", "lines; there is no line 999999"),
        ("out/none.py:1", "no such file"),
        ("out:1", "is a directory"),
        ("binary.py:1", "is not UTF-8"),
        ("mine.py:1", "is not a file that pflow-lower generated"),
    ],
)
def test_a_line_that_cannot_be_explained(lowered: Path, what: str, why: str) -> None:
    (lowered / "mine.py").write_text("x = 1\n")
    (lowered / "binary.py").write_bytes(b"\xff\n")
    shown = explain(what)
    assert (shown.exit_code, why in shown.output) == (2, True), shown.output


def test_a_line_of_an_older_file_without_a_map_cannot_be_explained(lowered: Path) -> None:
    (lowered / "workflow.json").write_text((lowered / "workflow.json").read_text().replace('"issue"', '"ticket"'))
    shown = explain("out/nodes.py:1")
    assert (shown.exit_code, "nodes.py cannot be explained" in shown.output) == (2, True)


def test_what_is_shown_of_a_workflow_cannot_steer_a_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    node = {"id": "a\x1b[2J", "type": "mine", "params": {"p\u202e": "${item}"}, "batch": {"items": ["1"]}}
    Path("workflow.json").write_text(json.dumps({"nodes": [node]}, ensure_ascii=False), "utf-8")
    CliRunner().invoke(cli, ["workflow.json", "-o", "."])
    for line in range(1, len(Path("nodes.py").read_text("utf-8").splitlines()) + 1):
        shown = explain(f"nodes.py:{line}")
        assert shown.exit_code == 0
        assert shown.output.replace("\n", "").isprintable()
