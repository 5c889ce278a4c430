"""Commands that look read regular files of bounded size below the repository, and write nowhere else."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.command import Run

from pflow_lower import LowerError, lower
from pflow_lower.files import regular_files
from pflow_lower.node_types.table_positions import position_of

SECRET = "the-secret-of-the-job"


def flow(path: str, **params: object) -> None:
    file = Path(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    node = {"id": "a", "type": "llm", "params": {"prompt": "${item}", **params}, "batch": {"items": [1]}}
    file.write_text(json.dumps({"nodes": [node]}))


@pytest.fixture
def repository(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository beside a file that is none of its business."""
    (tmp_path / "secret.md").write_text(SECRET)
    folder = tmp_path / "repository"
    (folder / ".git").mkdir(parents=True)
    monkeypatch.chdir(folder)
    return folder


def link(target: str) -> Callable[[Path], object]:
    return lambda file: file.symlink_to(target)


PLACES: dict[str, tuple[str, Callable[[Path], object] | None]] = {
    "above": ("../secret.md", None),
    "environ": ("../../../../../../../../proc/self/environ", None),
    "zero": ("../../../../../../../../dev/zero", None),
    "link": ("./ask.md", link("../secret.md")),
    "link to zero": ("./ask.md", link("/dev/zero")),
    "pipe": ("./ask.md", os.mkfifo),
    "large": ("./ask.md", lambda file: os.truncate(os.open(file, os.O_CREAT | os.O_RDWR), regular_files.MOST + 1)),
}
COMMANDS = {
    "lower": ["wf.json"],
    "plan": ["plan", "wf.json"],
    "lint": ["lint", "."],
    "check": ["check"],
    "diff": ["diff", "old.json", "wf.json"],
}


@pytest.mark.skipif(sys.platform != "linux", reason="names files of Linux")
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("command", COMMANDS)
def test_a_file_elsewhere_is_a_finding(run: Run, repository: Path, command: str, place: str) -> None:
    reference, make = PLACES[place]
    flow("old.json")
    flow("wf.json")
    run("wf.json", "-o", "out")
    flow("wf.json", prompt=reference)
    if make is not None:
        make(repository / "ask.md")
    shown = run(*COMMANDS[command])
    assert shown.status == 2 and "PFL115" in shown.out + shown.err
    assert SECRET not in shown.out + shown.err


@pytest.mark.skipif(sys.platform != "linux", reason="names files of Linux")
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("form", ["prompt", "batch"])
def test_a_file_elsewhere_of_a_markdown_workflow(run: Run, repository: Path, place: str, form: str) -> None:
    pytest.importorskip("pflow")
    reference, make = PLACES[place]
    prompt, items = (reference, "[1]") if form == "prompt" else ("Hi", f"[{{prompt: {reference}}}]")
    Path("batch.yaml").write_text(f"items: {items}\n")  # references in a file are read, too
    batch = "- batch: ./batch.yaml\n" if form == "batch" else "```yaml batch\nitems: [1]\n```\n"
    text = f"# A\n\nDoes.\n\n## Steps\n\n### a\n\nAsks.\n\n- type: llm\n- prompt: {prompt}\n{batch}"
    Path("wf.pflow.md").write_text(text)
    if make is not None:
        make(repository / "ask.md")
    shown = run("wf.pflow.md")
    assert shown.status == 2 and "PFL115" in shown.err, shown
    assert SECRET not in shown.out + shown.err


def make_git_directory(folder: Path) -> None:
    for name in ("objects", "refs"):
        (folder / name).mkdir(parents=True)
    (folder / "HEAD").write_text("ref: refs/heads/main\n")


GITS = {
    "spelled": "./.git/config",
    "by the folder above": "../repository/.git/config",
    "by a link to the top": "./up/repository/.git/config",
    "by a link": "./link.md",
    "by a link to the folder": "./kept/config",
    "in capitals": "./.GIT/config.md",
    "of a submodule": "./sub/.git/config",
    "elsewhere": "./store/config",
    "of a worktree": "./store/worktrees/w/config.worktree",
    "the file that says where": "./sub2/.git",
}


@pytest.fixture
def gits(repository: Path) -> Path:
    """A repository whose git has a secret, and links and folders by which one can come to it."""
    places = (".git/config", ".GIT/config.md", "sub/.git/config", "store/config", "store/worktrees/w/config.worktree")
    for place in (*places, "sub2/.git"):
        Path(place).parent.mkdir(parents=True, exist_ok=True)
        Path(place).write_text(SECRET)
    make_git_directory(Path("store"))
    Path("store/worktrees/w/HEAD").write_text("0" * 40)
    Path("store/worktrees/w/commondir").write_text("../..")
    Path("up").symlink_to("..")
    Path("link.md").symlink_to(".git/config")
    Path("kept").symlink_to(".git")
    return repository


@pytest.mark.parametrize("place", GITS)
@pytest.mark.parametrize("command", [*COMMANDS, "python", "view"])
def test_what_git_keeps_for_itself_is_not_read(run: Run, gits: Path, command: str, place: str) -> None:
    flow("old.json")
    flow("wf.json")
    run("wf.json", "-o", "out")
    flow("wf.json", prompt=GITS[place])
    more = {"python": ["wf.json", "--emit", "python"], "view": ["view", "wf.json", "-o", "page.html"]}
    shown = run(*{**COMMANDS, **more}[command])
    page = Path("page.html").read_text() if Path("page.html").exists() else ""
    assert SECRET not in shown.out + shown.err + page
    assert command == "view" or (shown.status == 2 and "PFL115" in shown.out + shown.err)
    assert run("wf.json", "--allow-outside").status == 0


def test_what_git_keeps_is_not_a_workflow_nor_a_table_nor_items(run: Run, gits: Path) -> None:
    flow(".git/wf.json")
    Path(".git/nodes.toml").write_text("[tool.pflow-lower.nodes]\nllm = 'a.b:C'\n")
    Path(".git/data.jsonl").write_text("1\n2\n")
    child = {"id": "s", "type": "workflow", "params": {"workflow": "./.git/wf.json"}}
    each = {"id": "a", "type": "llm", "params": {"prompt": "${item}"}, "batch": {"items": {"file": ".git/data.jsonl"}}}
    Path("wf.json").write_text(json.dumps({"nodes": [child, each], "edges": [{"from": "s", "to": "a"}]}))
    shown = run("plan", "wf.json").out
    assert "cannot read .git/data.jsonl" in shown and shown.count("git's own") == 2, shown
    assert "git's own" in run("lint", "wf.json").out
    flow("wf.json")
    Path("pflow-lower.toml").write_text("[[lowerings]]\nworkflows = 'wf.json'\nout = 'x'\nnodes = '.git/nodes.toml'\n")
    shown = run("check", "--update").out
    assert "git's own" in shown and "a.b" not in shown
    Path("pflow-lower.toml").write_text("[[lowerings]]\nworkflows = 'wf.json'\nout = '.git/x'\n")
    assert "git's own" in run("check", "--update").out and not Path(".git/x").exists()
    Path("wf2.json").symlink_to(".git/wf.json")
    assert "wf2.json: error[PFL101] the file is not read: it is git's own" in run("lint", ".").out


def test_a_repository_that_stands_in_gits_own_folder_is_one(run: Run, tmp_path: Path) -> None:
    make_git_directory(tmp_path)  # worktrees inside of a bare repository
    Path("tree/.git").mkdir(parents=True)
    Path("tree/ask.md").write_text("Hi")
    flow("tree/wf.json", prompt="./ask.md")
    assert run("tree/wf.json").status == 0


def test_what_only_a_map_calls_a_workflow_is_not_shown(run: Run, gits: Path) -> None:
    flow("wf.json")
    run("wf.json", "-o", "out", "--maps")
    file = next(Path("out").glob("nodes.py.*"))
    line = json.loads(file.read_text())["lines"][0]["first"]
    file.write_text(file.read_text().replace("../wf.json", "../.git/config"))
    assert SECRET not in str(run("explain", f"out/nodes.py:{line}"))


def test_whoever_means_it_may_say_so(run: Run, repository: Path) -> None:
    flow("wf.json", prompt="../secret.md")
    for arguments in (["wf.json"], ["plan", "wf.json"], ["lint", "wf.json"]):
        assert run(*arguments).status == 2
        assert run(*arguments, "--allow-outside").status in (0, 1)
    with pytest.raises(LowerError):
        lower("wf.json")
    assert SECRET in str(lower("wf.json", allow_outside=True).files)


def test_the_folder_of_a_workflow_counts_where_there_is_no_repository(run: Run) -> None:
    Path("ask.md").write_text("Hi")
    flow("flows/wf.json", prompt="../ask.md")
    assert run("flows/wf.json").status == 2
    Path(".git").mkdir()
    assert run("flows/wf.json").status == 0


def starting(path: str, name: str) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(f"# A\n\nDoes.\n\n## Steps\n\n### a\n\nStarts.\n\n- type: workflow\n- workflow: {name}\n")


def asking(path: str, prompt: str) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(f"# A\n\nDoes.\n\n## Steps\n\n### a\n\nAsks.\n\n- type: llm\n- prompt: {prompt}\n")


COMMANDS_OF_A_FLOW = (["flow/wf.pflow.md"], ["lint", "flow/wf.pflow.md"], ["lint", "flow"], ["check", "flow"])


@pytest.mark.parametrize("command", COMMANDS_OF_A_FLOW, ids=" ".join)
def test_what_a_workflow_starts_stands_in_its_folder_however_deep(run: Run, tmp_path: Path, command: list[str]) -> None:
    pytest.importorskip("pflow")
    starting("flow/wf.pflow.md", "sub/ch.pflow.md")
    starting("flow/sub/ch.pflow.md", "../other/gc.pflow.md")
    asking("flow/other/gc.pflow.md", "../prompts/ask.md")
    Path("flow/prompts").mkdir()
    Path("flow/prompts/ask.md").write_text("Hi")
    assert run("flow/wf.pflow.md", "-o", "flow/out", "-q").status == 0
    shown = run(*command)
    assert shown.status == 0 and "outside" not in shown.out + shown.err
    planned = run("plan", "flow/wf.pflow.md").out
    assert "1 to 3 model calls" in planned and "outside" not in planned
    Path("flow/prompts/ask.md").unlink()
    asking("flow/other/gc.pflow.md", "../../ask.md")
    Path("ask.md").write_text(SECRET)
    refused = run("flow/wf.pflow.md").err
    assert "outside" in refused and SECRET not in refused
    assert "outside" in run("plan", "flow/wf.pflow.md").err
    starting("flow/sub/ch.pflow.md", "../../gc.pflow.md")
    asking("gc.pflow.md", "Hi")
    assert "outside" in run("flow/wf.pflow.md").err and "outside" in "".join(run("plan", "flow/wf.pflow.md")[1:])


@pytest.mark.parametrize(("stands", "status"), [("flow/other/nodes.py", 0), ("nodes.py", 1)])
def test_a_generated_file_that_is_a_link_into_the_folder_of_its_workflow(run: Run, stands: str, status: int) -> None:
    flow("flow/wf.json")
    assert run("flow/wf.json", "-o", "flow/out").status == 0
    Path("flow/other").mkdir()
    made = Path("flow/out/nodes.py")
    made.rename(stands)
    made.symlink_to(Path(stands).absolute())
    shown = run("check", "flow/out")
    assert shown.status == status and ("outside" in shown.out) is bool(status)


@pytest.mark.parametrize("target", ["../secret.md", "/dev/zero"])
def test_a_workflow_that_is_a_link(run: Run, repository: Path, target: str) -> None:
    flow("real.json")
    run("real.json", "-o", "out")
    header = Path("out/nodes.py").read_text().replace("../real.json", "../wf.json")
    Path("out/nodes.py").write_text(header)
    Path("wf.json").symlink_to(target)
    shown = run("check")
    assert shown.status == 2 and SECRET not in shown.out
    Path("wf.json").unlink()
    Path("flows").mkdir()
    Path("flows/wf.pflow.md").symlink_to(f"../{target}" if target[0] == "." else target)
    shown = run("lint", "flows")
    assert shown.status == 2 and "PFL101" in shown.out and SECRET not in shown.out


def test_a_header_that_names_a_workflow_elsewhere(run: Run, repository: Path) -> None:
    flow("../other/wf.json")
    run("../other/wf.json", "-o", "out")
    shown = run("check")
    assert shown.status == 2 and "outside of the repository" in shown.out
    assert run("check", "--allow-outside").status == 0


@pytest.mark.parametrize("name", ["../data.json", "link.json", "/dev/zero"])
def test_plan_does_not_read_data_from_elsewhere(run: Run, repository: Path, name: str) -> None:
    Path("../data.json").write_text("[1, 2, 3]")
    Path("link.json").symlink_to("../data.json")
    read = {"id": "read", "type": "read-file", "params": {"file_path": name}}
    each = {"id": "a", "type": "llm", "params": {"prompt": "${item}"}, "batch": {"items": "${read.content}"}}
    Path("wf.json").write_text(json.dumps({"nodes": [read, each], "edges": [{"from": "read", "to": "a"}]}))
    shown = run("plan", "wf.json")
    assert shown.status == 2 and "n(a)" in shown.out and "is not read" in shown.out
    if name != "/dev/zero":
        assert "n(a)" not in run("plan", "wf.json", "--allow-outside").out


@pytest.mark.parametrize("target", ["../data.jsonl", "/dev/zero"])
def test_plan_does_not_count_items_elsewhere(run: Run, repository: Path, target: str) -> None:
    Path("../data.jsonl").write_text("1\n2\n3\n")
    Path("link.jsonl").symlink_to(target)
    items = {"items": {"file": "link.jsonl"}}
    each = {"id": "a", "type": "llm", "params": {"prompt": "${item}"}, "batch": items}
    Path("wf.json").write_text(json.dumps({"nodes": [each]}))
    shown = run("plan", "wf.json")
    assert shown.status == 2 and "cannot read link.jsonl" in shown.out and "--allow-outside" in shown.out
    if target != "/dev/zero":
        assert "3 items" in run("plan", "wf.json", "--allow-outside").out


def test_plan_does_not_read_workflows_from_elsewhere(run: Run, repository: Path) -> None:
    flow("../other.json")
    Path("wf.json").write_text(
        json.dumps({"nodes": [{"id": "s", "type": "workflow", "params": {"workflow": "../other.json"}}]})
    )
    assert "outside of the repository" in run("plan", "wf.json").out
    assert "outside of the repository" not in run("plan", "wf.json", "--allow-outside").out


def test_a_table_is_a_regular_file(run: Run, repository: Path) -> None:
    flow("wf.json")
    os.mkfifo("pflow-lower.toml")
    Path("pyproject.toml").symlink_to("/dev/zero")
    assert run("check").status == 2
    assert run("wf.json").status in (0, 2)


def test_tables_above_the_repository_are_not_asked(run: Run, repository: Path) -> None:
    flow("wf.json")
    Path("../pyproject.toml").write_text("[tool.pflow-lower.nodes]\nllm = 'not a class'\n")
    assert run("wf.json").status == 0
    assert run("../repository/wf.json").status == 0


# --- Nothing is written elsewhere


@pytest.mark.parametrize(
    ("out", "workflow"),
    [
        ("{folder}/../..", "flows/wf.json"),
        ("{folder}/{folder}/../../../x", "wf.json"),
        ("{name}", "...json"),
        ("gen/{name}/../../{name}", "...json"),
        ("{name}/x", "..json"),
        ("link/x", "wf.json"),
    ],
)
def test_a_table_writes_only_below_itself(run: Run, repository: Path, out: str, workflow: str) -> None:
    Path("../elsewhere").mkdir()
    Path("link").symlink_to("../elsewhere")
    flow(workflow)
    Path("pflow-lower.toml").write_text(f"[[lowerings]]\nworkflows = '{workflow}'\nout = '{out}'\n")
    before = {*Path("..").rglob("*")}
    shown = run("check", "--update")
    assert shown.status == 2 and "PFL616" in shown.out
    assert {*Path("..").rglob("*")} == before


def test_a_link_does_not_lead_a_write_elsewhere(run: Run, repository: Path) -> None:
    Path("../elsewhere").mkdir()
    flow("wf.json")
    Path("link").symlink_to("../elsewhere")
    shown = run("wf.json", "-o", "link/x")
    assert shown.status == 2 and "PFL602" in shown.err and not any(Path("../elsewhere").iterdir())
    assert run("wf.json", "-o", "link/x", "--allow-outside").status == 0
    Path("out").mkdir()
    Path("out/pflow_lower_runtime").symlink_to("../../elsewhere")
    assert run("wf.json", "-o", "out", "--program", "--standalone").status == 2
    assert sorted(path.name for path in Path("../elsewhere").iterdir()) == ["x"]
    Path("out/pflow_lower_runtime").unlink()
    Path("out/nodes.py").symlink_to("../../secret.md")
    assert run("wf.json", "-o", "out").status == 2
    assert Path("../secret.md").read_text() == SECRET


# --- What is wrong with a table is said with its place


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("pyproject.toml", "[tool.pflow-lower.lowering]\n", "1:1: .* unknown key 'lowering'.*did you mean lowerings"),
        ("pyproject.toml", "[tool.x]\n[[tool.pflow_lower.lowerings]]\n", "2:1: .*did you mean .tool.pflow-lower"),
        ("pyproject.toml", "[tool.pflowlower]\nx = 1\n", "1:1: .*did you mean .tool.pflow-lower"),
        ("pyproject.toml", "[tool.pflow-lower.lint]\nignored = 1\n", "2:1: .* unknown key 'ignored'.*mean ignore"),
        ("pyproject.toml", "[[lowerings]]\nworkflows = 'wf.json'\n", "1:1: .*write ..tool.pflow-lower.lowerings"),
        ("pyproject.toml", "[tool]\npflow-lower = 3\n", "2:1: .*not a table.*write .tool.pflow-lower]"),
        ("pyproject.toml", "[tool]\npflow-lower = 'x'\n", "2:1: .*not a table"),
        ("pyproject.toml", "[tool]\npflow-lower = []\n", "2:1: .*not a table"),
        ("pyproject.toml", "[tool.pflow-lower]\nlint = 3\n", "2:1: .*not a table.*write .tool.pflow-lower.lint]"),
        ("pyproject.toml", "[[tool.'pflow-lower.lowerings']]\n", "1:1: .*did you mean ..tool.pflow-lower.lowerings]]"),
        ("pyproject.toml", "['tool.pflow-lower.nodes']\n", "1:1: .*did you mean .tool.pflow-lower.nodes]"),
        ("pyproject.toml", "\n[[tool.pflow.lower.lowerings]]\n", "2:1: .*did you mean .tool.pflow-lower]"),
        ("pyproject.toml", "[[tool.pflow.lowerings]]\n", "1:1: .*did you mean .tool.pflow-lower]"),
        ("pyproject.toml", "[[tools.pflow-lower.lowerings]]\n", "1:1: .*did you mean .tool.pflow-lower]"),
        ("pyproject.toml", "[[pflow-lower.lowerings]]\n", "1:1: .*did you mean .tool.pflow-lower]"),
        ("pflow-lower.toml", "[[pflow-lower.lowerings]]\n", "1:1: .*did you mean .tool.pflow-lower]"),
        ("pyproject.toml", "[tool.pflow-lower]\nnods = 1\n", "2:1: .* unknown key 'nods'.*did you mean nodes"),
        ("pflow-lower.toml", "[[lowering]]\n", "1:1: .*did you mean ..lowerings"),
        ("pflow-lower.toml", "[nodes]\nx = 1\n", "1:1: .*stands in pyproject.toml"),
        ("pflow-lower.toml", "[tool.pflow-lower]\nx = 1\n", "2:1: .* unknown key 'x'"),
        ("pflow-lower.toml", "[[lowerings]]\nworkflows = 'wf.json'\nout = 'x/{nam}'\n", "3:1: .*{nam}.*mean {name}"),
        ("pflow-lower.toml", "[[lowerings]]\nworkflows = 'wf.json'\nout = 'x/{}'\n", "3:1: .*the placeholders are"),
        (
            "pflow-lower.toml",
            "[[lowerings]]\nworkflows = 'wf.json'\nout = 'x'\n[[lowerings]]\nworkflows = 'wf.json'\nprogam = 1\n",
            "6:1: .* unknown key 'progam'.*did you mean program",
        ),
    ],
)
def test_a_misspelt_table(run: Run, file: str, text: str, said: str) -> None:
    flow("wf.json")
    Path(file).write_text(text)
    shown = run("check")
    assert shown.status == 2
    assert re.search(f"{file}:{said}", shown.out.replace("\n  ", " ")), shown.out


@pytest.mark.parametrize("command", [["wf.json"], ["lint", "wf.json"], ["plan", "wf.json"], ["check"]])
@pytest.mark.parametrize("text", ["[[lowerings]]\nout = 'x'\n", "[tool]\npflow-lower = 3\n", "[pflow_lower]\nx = 1\n"])
def test_every_command_says_so(run: Run, command: list[str], text: str) -> None:
    flow("wf.json")
    run("wf.json", "-o", "out")
    Path("pyproject.toml").write_text(text)
    shown = run(*command)
    assert shown.status == 2 and "pyproject.toml:" in shown.out + shown.err


@pytest.mark.parametrize(
    "text",
    [
        "[dependency-groups]\npflow-lower = ['pflow-lower']\n[tool.uv.sources]\npflow-lower = { path = 'x' }\n",
        "[tool.uv.sources.pflow-lower]\ngit = 'x'\n[tool.pixi.feature.pflow-lower]\nx = 1\n",
        "[tool.pflow-lower-view]\nx = 1\n[tool.pflow]\nregistry = 'x'\n[tool.pflow.trace]\nlower = 1\n",
        "[tool.poetry.dependencies]\npflow-lower = { version = '1' }\n[tools]\npflow-lower = '1'\n",
        "lowerings = 3\n[tool.lowering]\nx = 1\n[lowering]\nx = 1\n",
        "[project.optional-dependencies]\npflow = ['pflow-cli']\n[tool.x]\nbroken = \n",
    ],
)
def test_tables_of_others_are_not_reported(run: Run, text: str) -> None:
    flow("wf.json")
    run("wf.json", "-o", "out")
    Path("pyproject.toml").write_text(text)
    assert run("check").status == 0 and run("wf.json").status == 0


@pytest.mark.parametrize("head", ["[[lowerings]]", "[[tool.pflow-lower.lowerings]]"])
def test_both_spellings_are_read_in_a_file_of_its_own(run: Run, head: str) -> None:
    flow("wf.json")
    Path("pflow-lower.toml").write_text(f"{head}\nworkflows = 'wf.json'\nout = 'made/{{name}}'\n")
    assert run("check", "--update").status == 0
    assert Path("made/wf/nodes.py").exists()


@pytest.mark.parametrize(
    ("where", "place"),
    [
        ("a.b", (2, 3)),
        ("a.b.c", (3, 1)),
        ('a.b."d.e"', (4, 2)),
        ("l[0].x", (6, 1)),
        ("l[1].x", (8, 1)),
        ("l[1].gone", (7, 1)),
        ("a.b.f.g", (9, 1)),
        ("z", None),
    ],
)
def test_places_in_a_table(where: str, place: tuple[int, int] | None) -> None:
    text = "# [a.b]\n  [a.b]\nc = 1\n 'd.e' = 2\n[[l]]\nx = 1\n[[l]] # two\nx = 2\n[a.b.f]\n"
    assert position_of(text, where) == place


def test_a_descriptor_of_the_shell_is_a_workflow(run: Run) -> None:
    flow("wf.json")
    command = ["bash", "-c", "pflow-lower <(cat wf.json) && pflow-lower /dev/stdin <wf.json"]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, "PATH": path})
