"""`pflow-lower check`: what is up to date, what is not, and what cannot be known."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.command import Result, Run

from pflow_lower.diagnostics.formats.show import FORMATS
from pflow_lower.files.atomic_write import LEFT_OVER
from pflow_lower.files.generated_header import FOR_A_RUN, MARK

GOLDEN = Path(__file__).parent.parent / "golden"
WORKFLOW = {
    "ir_version": "0.1.0",
    "nodes": [
        {
            "id": "greet",
            "type": "shell",
            "params": {"command": "cat", "stdin": "Hello ${who}"},
            "batch": {"items": ["Ann", "Bob"], "as": "who"},
        }
    ],
}


@pytest.fixture(autouse=True)
def repository(tmp_path: Path) -> None:
    """The folder that `run` starts in is a repository of its own."""
    (tmp_path / ".git").mkdir()


def workflow(path: str, greeting: str = "Hello") -> Path:
    file = Path(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(WORKFLOW, indent=2).replace("Hello", greeting)
    file.write_text(text, encoding="utf-8")
    return file


def everything(root: Path = Path()) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


# --- Folders that were written with -o


@pytest.mark.parametrize("flags", [[], ["--program"], ["--standalone"], ["--program", "--standalone"]], ids=str)
def test_what_was_just_written_is_up_to_date(run: Run, flags: list[str]) -> None:
    workflow("flows/greet.json")
    run("flows/greet.json", "-o", "made/greet", *flags)
    before = everything()
    assert run("check") == Result(0, "1 folder checked: 1 up to date\n", "")
    assert everything() == before


def test_the_table_of_node_types_is_the_one_that_was_given(run: Run) -> None:
    workflow("flows/greet.json")
    Path("types.toml").write_text('shell = { class = "my.nodes:Shell", async = true }\n')
    run("flows/greet.json", "-o", "made", "--program", "--nodes", "types.toml")
    assert "my.nodes" in Path("made/flow.py").read_text()
    assert run("check").status == 0


def test_golden_folders_of_every_kind_are_up_to_date(run: Run) -> None:
    """A program, one from Markdown, and one with a table of node types; their bytes are the affair of test_golden."""
    pytest.importorskip("pflow")
    names = ("issue-classifier-program", "markdown", "parallel-async")
    shown = run("check", *(str(GOLDEN / "ok" / name) for name in names))
    assert shown == Result(0, "3 folders checked: 3 up to date\n", "")


def test_keys_that_plain_pflow_refuses_are_noted_where_something_has_changed(run: Run) -> None:
    def write(path: str, text: str, **batch: object) -> None:
        node = {"id": "ask", "type": "llm", "params": {"prompt": text}, "batch": {"items": [1], **batch}}
        Path(path).write_text(json.dumps({"nodes": [node]}), encoding="utf-8")

    write("ours.json", "${item}", resume=True)
    write("plain.json", "${item}")
    for name in ("ours", "plain"):
        assert run(f"{name}.json", "-o", f"made/{name}").status == 0
    assert run("check") == (0, "2 folders checked: 2 up to date\n", "")
    write("plain.json", "Now ${item}")
    assert run("check").err == ""
    write("ours.json", "Now ${item}", resume=True)
    note = "note: 1 workflow has batch keys that plain pflow refuses: pflow-lower lint --portable ours.json\n"
    shown = run("check")
    assert (shown.status, shown.err) == (1, note)
    assert run("check", "--update").err == note
    assert run("check").err == ""
    command = shlex.split(note.partition("refuses: pflow-lower ")[2])
    assert "PFL516" in run(*command).out, "the command that is named works"
    Path("some flows").mkdir()
    for name in "abcd":
        write(f"some flows/{name}.json", "${item}", resume=True)
        run(f"some flows/{name}.json", "-o", f"made/{name}")
        write(f"some flows/{name}.json", "Now ${item}", resume=True)
        run("check", f"made/{name}", "--update") if name == "a" else None
    assert run("check").err.endswith(
        ": pflow-lower lint --portable 'some flows/b.json' 'some flows/c.json' 'some flows/d.json'\n"
    )
    write("some flows/a.json", "Then ${item}", resume=True)
    assert run("check").err.endswith(
        "4 workflows have batch keys that plain pflow refuses: pflow-lower lint --portable 'some flows'\n"
    )


def test_a_changed_workflow_is_told_with_a_diff_and_a_command(run: Run) -> None:
    workflow("greet.json")
    run("greet.json", "-o", "made")
    workflow("greet.json", "Good morning")
    before = everything()
    shown = run("check")
    assert shown.status == 1
    lines = shown.out.splitlines()
    assert {"--- made/nodes.py", "+++ made/nodes.py (generated)"} <= set(lines)
    assert any(line.startswith("-  ") and 'f"Hello {text(who)}"' in line for line in lines)
    assert any(line.startswith("+  ") and 'f"Good morning {text(who)}"' in line for line in lines)
    made = Path("made/nodes.py").read_text().splitlines()
    first = next(number for number, line in enumerate(made, 1) if "Hello {text(who)}" in line)
    assert f"made/nodes.py:{first}:1: error[PFL611] not what greet.json is lowered to" in lines
    assert lines[-1] == "refresh with: pflow-lower check --update made"
    assert everything() == before
    assert run("check", "--update").status == 0
    assert run("check").status == 0
    assert "Good morning" in Path("made/nodes.py").read_text()


def untyped(table: str) -> None:
    """A workflow, lowered, whose step the `table` of node types gives a class, or not."""
    node = {"id": "price", "type": "price", "params": {"of": "${item}"}, "batch": {"items": [1, 2]}}
    Path("w.json").write_text(json.dumps({"nodes": [node]}))
    Path("my.py").write_text(
        "from abc import ABC, abstractmethod\nfrom pocketflow import Node\n"
        "class Price:\n    def exec(self, order): ...\n"
        "class Half(Node, ABC):\n    @abstractmethod\n    def exec(self, order): ...\n"
    )
    Path("pyproject.toml").write_text(f"[tool.pflow-lower.nodes]\n{table}\n")


@pytest.mark.parametrize(
    ("table", "code"),
    [
        ('prise = "my:Price"', "PFL336"),
        ('other = "my:Price"', "PFL330"),
        ('price = "my:No"', "PFL332"),
        ('price = "my:Half"', "PFL346"),
    ],
)
def test_a_program_that_a_class_is_missing_of_is_an_error_whatever_is_up_to_date(
    run: Run, table: str, code: str
) -> None:
    untyped('price = "my:Price"')
    assert run("w.json", "-o", "made", "--program").status == 0
    assert run("w.json", "-o", "plain").status == 0
    assert run("check").status == 0
    untyped(table)
    for arguments in ((), ("--update",), ()):
        shown = run("check", "made", *arguments)
        assert shown.status == 2 and f"error[{code}] price.type" in shown.out, shown
        assert "1 cannot run" in shown.out and "could not be checked" not in shown.out
    shown = run("check", "--update", "plain")
    assert shown.status == 0 and f"warning[{code}] price.type" in shown.out, "its classes take any node"


def test_what_lowering_warns_of_is_said_where_all_is_up_to_date(run: Run) -> None:
    untyped('other = "my:Price"')
    warned = run("w.json", "-o", "made").err
    shown = run("check")
    assert warned.startswith("w.json:1:") and shown.status == 0
    assert shown.out.endswith("1 folder checked: 1 up to date\n")
    assert shown.out.removesuffix("1 folder checked: 1 up to date\n") in warned


def test_missing_and_orphaned_files_are_named(run: Run) -> None:
    workflow("greet.json")
    run("greet.json", "-o", "made", "--program")
    Path("made/lowered.json").unlink()
    run("greet.json", "-o", "made")  # without --program: flow.py is left over
    Path("made/lowered.json").unlink()
    Path("made/mine.py").write_text("print('not generated')\n")
    shown = run("check", "-q")
    assert {
        "made/lowered.json: error[PFL612] this generated file is missing",
        "made/flow.py: error[PFL613] nothing generates this file any more",
    } < set(shown.out.splitlines())
    shown = run("check", "--update")
    assert shown.status == 0
    assert {"removed made/flow.py", "refreshed made/lowered.json"} <= set(shown.out.splitlines())
    assert Path("made/mine.py").exists() and not Path("made/flow.py").exists()
    assert run("check").status == 0


def test_what_is_left_over_in_a_folder_is_one_finding(run: Run) -> None:
    workflow("greet.json")
    run("greet.json", "-o", "made", "--program", "--standalone")
    left = len(list(Path("made/pflow_lower_runtime").glob("*.py")))
    run("greet.json", "-o", "made")  # the runtime, requirements and flow.py are left over
    for name in ("nodes.py", "flow.py"):
        Path("made", f"{name}.abc{LEFT_OVER}").touch()
    shown = run("check", "-q")
    assert shown.status == 1
    found = [line for line in shown.out.splitlines() if "PFL613" in line]
    unfinished, made, runtime = sorted(found, key=lambda line: ("made:" not in line, "a write" not in line))
    assert unfinished.startswith("made: error[PFL613] a write that did not come to its end left these 2 files: flow.py")
    assert made == "made: error[PFL613] nothing generates these 2 files any more: flow.py, requirements.txt"
    begin = f"made/pflow_lower_runtime: error[PFL613] nothing generates these {left} files any more: __init__.py, "
    assert runtime.startswith(begin) and runtime.endswith(f" and {left - 5} more")
    assert run("check", "--update").status == 0 and run("check").status == 0


def test_a_source_map_that_outlived_its_module_is_an_orphan(run: Run) -> None:
    workflow("greet.json")
    run("greet.json", "-o", "made", "--program", "--maps")
    Path("made/flow.py").unlink()
    run("greet.json", "-o", "made", "--maps")
    shown = run("check", "-q")
    assert shown.status == 1 and shown.out.startswith("made/flow.py.map.json: error[PFL613]")
    assert run("check", "--update").status == 0
    assert run("check").status == 0


def test_a_folder_whose_workflow_is_gone_is_told_and_left_alone(run: Run) -> None:
    workflow("greet.json")
    run("greet.json", "-o", "made")
    Path("greet.json").unlink()
    before = everything()
    for arguments in (["check"], ["check", "--update"]):
        shown = run(*arguments)
        assert shown.status == 1
        assert "made/nodes.py:1:1: error[PFL614] the workflow greet.json is gone" in shown.out
        assert "refresh with" not in shown.out
    assert everything() == before


def test_other_line_ends_are_other_bytes(run: Run) -> None:
    workflow("greet.json")
    run("greet.json", "-o", "made")
    module = Path("made/nodes.py")
    text = module.read_bytes()
    module.write_bytes(text.replace(b"\n", b"\r\n"))
    shown = run("check")
    assert shown.status == 1
    assert "the line ends are not those that are generated" in shown.out and ".gitattributes" in shown.out
    assert run("check", "--update").status == 0
    assert module.read_bytes() == text


def test_an_edit_by_hand_cannot_write_to_the_terminal(run: Run) -> None:
    workflow("greet.json")
    run("greet.json", "-o", "made")
    with Path("made/nodes.py").open("a") as module:
        module.write("\x1b]0;owned\x07\n")
    shown = run("check")
    assert shown.status == 1 and "\\x1b]0;owned\\x07" in shown.out and "\x1b" not in shown.out


def test_a_huge_difference_is_not_shown_line_by_line(run: Run) -> None:
    workflow("greet.json")
    run("greet.json", "-o", "made")
    with Path("made/nodes.py").open("a") as module:
        module.writelines(f"line {number}\n" for number in range(100_000))
    shown = run("check")
    assert shown.status == 1 and len(shown.out) < 2000


def test_the_diff_is_one_that_patch_can_apply(run: Run) -> None:
    if shutil.which("patch") is None:
        pytest.skip("no patch here")
    workflow("greet.json")
    run("greet.json", "-o", "made")
    workflow("greet.json", "Good evening")
    shown = run("check")
    patched = subprocess.run(["patch", "-p0"], input=shown.out, text=True, capture_output=True, check=False)
    assert patched.returncode == 0, patched.stdout + patched.stderr
    assert run("check").status == 0


# --- What cannot be checked


def test_an_invalid_workflow_is_no_drift(run: Run) -> None:
    workflow("greet.json")
    run("greet.json", "-o", "made")
    Path("greet.json").write_text('{"nodes": [')
    shown = run("check")
    assert shown.status == 2
    assert "greet.json:1:12: error[PFL105] the file ends in the middle" in shown.out
    assert "1 folder checked: 0 up to date, 1 could not be checked" in shown.out


@pytest.mark.parametrize(
    "head",
    [
        "# Generated by pflow-lower. Do not edit.\n",
        "# Generated by pflow-lower from x.json. Do not edit; edit the workflow and run:\n#\n#     rm -rf /\n",
        "# Generated by pflow-lower from x.json.\n#\n#     pflow-lower x.json -o . --from-the-future\n",
        "# Generated by pflow-lower from x.json.\n#\n#     pflow-lower 'x.json -o .\n",
        "# Generated by pflow-lower from x.json.\n#\n#     pflow-lower x.json -o ..\n",
        "# Generated by pflow-lower",
    ],
)
def test_a_header_that_says_too_little_is_told(run: Run, head: str) -> None:
    Path("made").mkdir()
    Path("made/nodes.py").write_text(head)
    shown = run("check", "--update")
    assert shown.status == 2 and "made/nodes.py: error[PFL615]" in shown.out
    assert Path("made/nodes.py").read_text() == head


def test_a_path_that_is_not_there(run: Run) -> None:
    shown = run("check", "nowhere")
    assert (shown.status, shown.out) == (2, "nowhere: error[PFL615] there is no such file or folder\n")


@pytest.mark.parametrize("options", [[], ["-q"], *(["--format", form] for form in FORMATS)], ids=" ".join)
def test_nothing_to_check_is_said_and_is_not_a_pass(run: Run, options: list[str]) -> None:
    """A step of CI in the wrong folder, say."""
    shown = run("check", *options)
    assert shown.status == 2 and shown.err.startswith("nothing to check")


def test_a_file_of_the_users_is_not_replaced(run: Run) -> None:
    workflow("greet.json")
    run("greet.json", "-o", "made", "--program")
    Path("made/flow.py").write_text("mine\n")
    shown = run("check", "--update")
    assert shown.status == 2 and "PFL601" in shown.out
    assert Path("made/flow.py").read_text() == "mine\n"


@pytest.mark.skipif(shutil.which("setpriv") is None and os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_folder_is_told(run: Run) -> None:
    workflow("greet.json")
    run("greet.json", "-o", "made")
    Path("closed").mkdir(mode=0)
    limited = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []
    command = [*limited, sys.executable, "-m", "pflow_lower", "check"]
    shown = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (shown.returncode, shown.stderr) == (2, "")
    assert shown.stdout.splitlines()[0] == "closed: error[PFL615] cannot be read: permission denied"
    assert "1 up to date" in shown.stdout


@pytest.mark.skipif(shutil.which("setpriv") is None and os.geteuid() == 0, reason="root may read everything")
def test_a_pattern_that_cannot_look_everywhere_says_so(run: Run) -> None:
    workflow("flows/greet.json")
    run("flows/greet.json", "-o", "made/greet")
    Path("flows/closed").mkdir(mode=0)
    Path("pflow-lower.toml").write_text('[[lowerings]]\nworkflows = "flows/**/*.json"\nout = "made/{name}"\n')
    limited = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []
    command = [*limited, sys.executable, "-m", "pflow_lower", "check", "made"]
    shown = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (shown.returncode, shown.stderr) == (2, "")
    place = (
        "pflow-lower.toml:2:1: error[PFL615] lowerings[0].workflows: 'flows/**/*.json' may match files in flows/closed"
    )
    assert shown.stdout.splitlines()[0] == f"{place}: permission denied"
    assert "1 up to date" in shown.stdout


def test_in_ci_nothing_is_refreshed(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    workflow("greet.json")
    run("greet.json", "-o", "made")
    workflow("greet.json", "Hi")
    before = everything()
    monkeypatch.setenv("CI", "true")
    assert run("check", "--update").status == 2
    assert everything() == before
    assert run("check").status == 1


# --- Where it looks


def test_what_a_run_has_written_for_itself_is_passed_by(run: Run) -> None:
    """The advice was to lower the workflow from a file, for what nobody wants to commit."""
    workflow("greet.json")
    run("greet.json", "-o", "made")
    run("greet.json", "-o", "dump/greet")
    _, _, rest = Path("dump/greet/nodes.py").read_text().partition("# ruff")
    Path("dump/greet/nodes.py").write_text(f"{MARK}{FOR_A_RUN}. Do not edit.\n#\n# ruff{rest}")
    said = "passed by: dump/greet (written by a run, for PFLOW_LOWER_DUMP: no command makes it again)\n"
    assert run("check") == Result(0, "1 folder checked: 1 up to date\n", said)
    shown = run("check", "dump")
    assert (shown.status, "PFL117" in shown.out, shown.err) == (2, True, said)
    Path("made").rename("../elsewhere")
    assert run("check").status == 2  # nothing else is there
    Path("../elsewhere").rename("made")
    Path("pflow-lower.toml").write_text("[[lowerings]]\nworkflows = 'greet.json'\nout = 'dump/greet'\n")
    assert run("check", "dump").status == 1, "a table says that it is to be something else"
    assert run("check", "--update").status == 0
    assert run("check") == Result(0, "2 folders checked: 2 up to date\n", "")


def test_folders_of_tools_and_links_are_left_out(run: Run) -> None:
    workflow("greet.json")
    run("greet.json", "-o", ".git/y")
    for folder in ("node_modules/x", ".venv/lib", "env"):  # an application that somebody has installed
        run("greet.json", "-o", folder)
        header = Path(folder, "nodes.py").read_text().replace("greet.json", "other/greet.json")
        Path(folder, "nodes.py").write_text(header)
    Path("env/pyvenv.cfg").write_text("home = /usr/bin\n")
    Path("loop").symlink_to(".", target_is_directory=True)
    assert "nothing to check" in run("check").err
    run("greet.json", "-o", "made")
    Path("made/again").symlink_to("..", target_is_directory=True)
    assert run("check").out == "1 folder checked: 1 up to date\n"


@pytest.mark.parametrize("path", ["made/one", "made/one/nodes.py", "one.json", "made/one/lowered.json"])
def test_a_path_may_be_a_folder_a_generated_file_or_a_workflow(run: Run, path: str) -> None:
    for name in ("one", "two"):
        workflow(f"{name}.json")
        run(f"{name}.json", "-o", f"made/{name}")
        workflow(f"{name}.json", "Hi")
    shown = run("check", path)
    assert shown.status == 1
    assert "made/one/nodes.py" in shown.out and "two" not in shown.out


def test_several_stale_folders_are_refreshed_by_one_command(run: Run) -> None:
    for name in ("one", "two"):
        workflow(f"{name}.json")
        run(f"{name}.json", "-o", f"-made/{name}")
        workflow(f"{name}.json", "Hi")
    shown = run("check", "./-made")
    assert shown.out.splitlines()[-1] == "refresh with: pflow-lower check --update ./-made"
    assert run("check", "--update", "./-made").status == 0
    assert run("check").status == 0


# --- Tables


@pytest.mark.parametrize(
    ("file", "head"),
    [("pyproject.toml", "[[tool.pflow-lower.lowerings]]"), ("pflow-lower.toml", "[[lowerings]]")],
)
def test_a_table_lists_what_there_should_be(run: Run, file: str, head: str) -> None:
    for name in ("one", "two"):
        workflow(f"flows/{name}.json")
    Path(file).write_text(f'{head}\nworkflows = "flows/*.json"\nout = "made/{{name}}"\nprogram = true\n')
    shown = run("check", "-q")
    assert shown.status == 1
    assert [shown.out.count(f"/{name}: error[PFL612]") for name in ("nodes.py", "flow.py", "lowered.json")] == [2, 2, 2]
    assert run("check", "--update").status == 0
    assert run("check").out == "2 folders checked: 2 up to date\n"
    assert Path("made/two/flow.py").exists()
    assert run("check", "flows/one.json").out == "1 folder checked: 1 up to date\n"
    # The table decides: it is what somebody wrote down, a header tells of the last time.
    Path(file).write_text(f'{head}\nworkflows = "flows/*.json"\nout = "made/{{name}}"\n')
    assert run("check", "-q", "made/one").out.count("made/one/flow.py: error[PFL613]") == 1


def test_a_table_takes_away_again_what_it_has_listed(run: Run) -> None:
    for name in ("one", "two", "draft", "draft-2"):
        workflow(f"flows/{name}.json")
    patterns = ["flows/*.json", "!flows/draft*.json", "flows/draft-2.json", "!two.json"]
    Path("pflow-lower.toml").write_text(f'[[lowerings]]\nworkflows = {patterns}\nout = "made/{{name}}"\n')
    assert run("check", "--update").status == 2  # without wildcards it is a path, and there is no ./two.json
    patterns[-1] = "!**/two.json"
    Path("pflow-lower.toml").write_text(f'[[lowerings]]\nworkflows = {patterns}\nout = "made/{{name}}"\n')
    shutil.rmtree("made")
    assert run("check", "--update").out.endswith("2 folders checked: 2 up to date\n")
    assert sorted(os.listdir("made")) == ["draft-2", "one"]


def test_of_a_folder_of_many_files_the_files_are_counted(run: Run) -> None:
    """The copy of the runtime has some seventy."""
    workflow("flow.json")
    table = '[[lowerings]]\nworkflows = "flow.json"\nout = "made"\nstandalone = true\n'
    Path("pflow-lower.toml").write_text(table)
    shown = run("check").out.splitlines()
    (line,) = (line for line in shown if line.startswith("made/pflow_lower_runtime"))
    assert re.fullmatch(
        r"made/pflow_lower_runtime: error\[PFL612\] these \d+ generated files are missing: "
        r"__init__.py(, \w+.py){4} and \d+ more",
        line,
    )
    assert len(shown) < 15
    shown = run("check", "--update").out.splitlines()
    assert re.fullmatch(r"refreshed made/pflow_lower_runtime \(\d+ files\)", shown[-2])
    assert len(shown) < 10 and "refreshed made/nodes.py" in shown
    Path("pflow-lower.toml").write_text(table.replace("true", "false"))
    shown = run("check", "--update").out.splitlines()
    assert "removed made/pflow_lower_runtime" in shown
    assert len(shown) < 10


def test_a_table_above_is_found(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    workflow("a/flows/one.json")
    workflow("b/flows/two.json")
    Path("pflow-lower.toml").write_text('[[lowerings]]\nworkflows = ["*/flows/*.json"]\nout = "{folder}/../made"\n')
    monkeypatch.chdir("a")
    assert run("check", "--update").out.endswith("1 folder checked: 1 up to date\n")
    assert Path("made/nodes.py").exists() and not Path("../b/made").exists()


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("[[lowerings]]\nworkflows = 'none.json'\nout = 'made'", "'none.json' matches no file"),
        ("[[lowerings]]\nworkflows = '*.jsn'\nout = 'made'", "'*.jsn' matches no file"),
        ("[[lowerings]]\nworkflows = ['one.json', '!two.json']\nout = 'made'", "'!two.json' matches no file that a"),
        ("[[lowerings]]\nworkflows = ['!one.json', '*.json']\nout = '{name}'", "'!one.json' matches no file that a"),
        ("[[lowerings]]\nworkflows = '!../*.json'\nout = 'made'", "leads out of the folder of this table"),
        ("[[lowerings]]\nworkflows = ['one.json', '!']\nout = 'made'", "lowerings[0].workflows: it is empty"),
        ("[[lowerings]]\nworkflows = ''\nout = 'made'", "lowerings[0].workflows: it is empty\n  write workflows = "),
        ("[[lowerings]]\nworkflows = 'one.json'\nout = ''", "lowerings[0].out: it is empty\n  write out = "),
        ("[[lowerings]]\nworkflows = 'one.json'\nout = 'made'\nnodes = ''", "lowerings[0].nodes: it is empty"),
        ("[[lowerings]]\nworkflows = '*.json'\nout = 'made'", "one.json and two.json are both written to made"),
        (
            "[[lowerings]]\nworkflows = 'one.json'\nout = 'made'\n"
            "[[lowerings]]\nworkflows = '*.json'\nout = '{name}/../made'\nprogram = true\nmaps = true",
            "one.json is written to made twice, in two ways: program, maps",
        ),
        ("[[lowerings]]\nworkflows = '*.json'\nout = '../made'", "leads out of the folder of this table"),
        ("[[lowerings]]\nworkflows = '/etc/*.json'\nout = 'made'", "leads out of the folder of this table"),
        ("[[lowerings]]\nworkflows = '*.json'\nout = 'a/../../made'", "leads out of the folder of this table"),
        ("[[lowerings]]\nworkflows = 'one.json'", "no output folder"),
        ("[[lowerings]]\nworkflow = 'one.json'\nout = 'made'", "unknown key 'workflow'"),
        ("[[lowerings]]\nworkflows = 3\nout = 'made'", "not a pattern or a list of them"),
        ("[[lowerings]]\nworkflows = 'one.json'\nout = 'made'\nprogram = 'yes'", "'yes' is neither true nor false"),
        ("[lowerings]\nworkflows = 'one.json'", "not a list of tables"),
        ("lowerings = [1]", "not a list of tables"),
        ("[[lowerings", "TOML:"),
    ],
)
def test_a_wrong_table_is_told(run: Run, table: str, said: str) -> None:
    for name in ("one", "two"):
        workflow(f"{name}.json")
    Path("pflow-lower.toml").write_text(table)
    shown = run("check")
    assert shown.status == 2
    assert "pflow-lower.toml" in shown.out and "PFL616" in shown.out and said in shown.out, shown.out


def test_two_tables_that_say_different_things_of_one_folder_are_told(run: Run) -> None:
    workflow("one.json")
    for file, head, more in (
        ("pyproject.toml", "tool.pflow-lower.lowerings", ""),
        ("pflow-lower.toml", "lowerings", "program = true"),
    ):
        Path(file).write_text(f"[[{head}]]\nworkflows = 'one.json'\nout = 'made'\n{more}\n")
    for flags in ((), ("--update",)):
        shown = run("check", *flags)
        assert shown.status == 2
        assert shown.out.count("error[PFL616] one.json is written to made twice, in two ways: program; the first") == 1
    Path("pyproject.toml").write_text(Path("pyproject.toml").read_text() + "program = true\n")
    run("check", "--update")
    assert run("check").status == 0, "the same twice does no harm"


def test_unknown_keys_are_told_in_their_order(run: Run) -> None:
    Path("pflow-lower.toml").write_text("".join(f"{letter} = 1\n" for letter in "hgfedcba"))
    found = re.findall(r"unknown key '(.)'", run("check").out)
    assert found == list("hgfedcba")


def test_generated_files_do_not_count_as_workflows(run: Run) -> None:
    workflow("one.json")
    Path("pflow-lower.toml").write_text("[[lowerings]]\nworkflows = '**/*.json'\nout = 'made/{name}'\n")
    assert run("check", "--update").status == 0
    assert run("check").out == "1 folder checked: 1 up to date\n"


# --- Many


@pytest.mark.slow
def test_many_folders_are_checked_in_several_processes(run: Run) -> None:
    """The same findings, in the same order, as from one process."""
    for number in range(210):
        workflow(f"flows/flow_{number}.json")
    Path("pflow-lower.toml").write_text("[[lowerings]]\nworkflows = 'flows/*.json'\nout = 'made/{name}'\n")
    command = [sys.executable, "-m", "pflow_lower", "check"]
    written = subprocess.run([*command, "--update"], capture_output=True, text=True, check=False)
    assert written.returncode == 0, written.stdout
    for number in (3, 77, 150, 209):
        workflow(f"flows/flow_{number}.json", "Hi")
    alone = [sys.executable, "-c", ONE_CORE]
    many, one = (subprocess.run(each, capture_output=True, text=True, check=False) for each in (command, alone))
    assert (many.returncode, many.stdout, many.stderr) == (one.returncode, one.stdout, one.stderr)
    assert many.returncode == 1 and many.stdout.count("PFL611") == 4
    assert "210 folders checked: 206 up to date, 4 not up to date" in many.stdout


ONE_CORE = """
import os
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])
from pflow_lower.cli import run
run(["check"])
"""


def test_json_needs_no_pflow(run: Run) -> None:
    workflow("greet.json")
    run("greet.json", "-o", "made")
    code = "import sys; sys.modules['pflow'] = None\nfrom pflow_lower.cli import run\nrun(['check'])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (shown.returncode, shown.stdout, shown.stderr) == (0, "1 folder checked: 1 up to date\n", "")


def test_findings_as_data(run: Run) -> None:
    workflow("greet.json")
    run("greet.json", "-o", "made")
    Path("made/lowered.json").write_text("{}")
    shown = run("check", "--format", "json")
    (found,) = json.loads(shown.out)
    assert (shown.status, found["code"], found["file"], found["line"]) == (1, "PFL611", "made/lowered.json", 1)
    assert found["help"] == "pflow-lower check --update made"


def test_an_empty_path_is_a_variable_that_was_not_set(run: Run) -> None:
    workflow("flows/greet.json")
    run("flows/greet.json", "-o", "made/greet")
    assert run("check", ".").status == 0
    shown = run("check", "")
    assert shown.status == 2 and "is empty; for this folder, write `.`" in shown.err


@pytest.mark.parametrize("table", ["'*' = 3", "'*.json' = { price = ['PFL9'] }", "'*.json' = { '*' = 3 }"])
def test_what_is_wrong_with_the_table_of_suppressions_is_said(run: Run, table: str) -> None:
    workflow("flows/greet.json")
    run("flows/greet.json", "-o", "made/greet")
    Path("pyproject.toml").write_text(f"[tool.pflow-lower.lint.ignore]\n{table}\n")
    for path in ([], ["."], ["pyproject.toml"]):
        shown = run("check", *path)
        assert shown.status == 2 and "pyproject.toml:2:1: error[PFL591]" in shown.out, shown


@pytest.mark.parametrize(("folder", "argument"), [("made", "made"), ("made of it", "'made of it'"), ("-x", "./-x")])
def test_a_command_that_is_named_can_be_given(run: Run, folder: str, argument: str) -> None:
    workflow("flows/greet.json")
    run("flows/greet.json", "-o", f"./{folder}")
    Path(folder, "nodes.py").unlink()
    shown = run("check")
    assert shown.status == 2 and f"pflow-lower WORKFLOW -o {argument}; or remove what is left" in shown.out
