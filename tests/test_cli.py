"""The command, as its users meet it: what it prints where, its exit status, what it leaves on disk."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click import Context
from click.testing import CliRunner
from syrupy.assertion import SnapshotAssertion

import pflow_lower
from pflow_lower.cli import cli

GOLDEN = Path(__file__).parent.parent / "golden"
CLASSIFIER = GOLDEN / "ok" / "issue-classifier"

SMALL = {
    "nodes": [{"id": "greet", "type": "shell", "params": {"command": "echo ${item}"}, "batch": {"items": ["Ann"]}}]
}
WARNS = {"nodes": [{**SMALL["nodes"][0], "type": "no-such-type"}]}
WRONG = {"nodes": [{**SMALL["nodes"][0], "batch": {"items": "${nobody.list}", "max_retries": 0}}]}

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run the command in a folder of its own, which is its home too, and in which there are a few workflows."""
    for name, workflow in {"small": SMALL, "warns": WARNS, "wrong": WRONG}.items():
        tmp_path.joinpath(f"{name}.json").write_text(json.dumps(workflow, indent=2))
    home = dict.fromkeys(("HOME", "USERPROFILE"), str(tmp_path))  # where other tests have not filled a registry

    def run(*arguments: str, stdin: str | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "pflow_lower", *arguments],
            input=stdin,
            capture_output=True,
            encoding="utf-8",
            cwd=tmp_path,
            env={**os.environ, **home, "PYTHONUTF8": "1", "COLUMNS": "80", **environment},
            check=False,
        )

    return run


def said(run: subprocess.CompletedProcess[str]) -> str:
    """All that a run said, to compare with a snapshot."""
    return f"exit status {run.returncode}\n--- stdout\n{run.stdout}--- stderr\n{run.stderr}"


# --- Help, version, start


def test_help(run: Run, snapshot: SnapshotAssertion) -> None:
    assert said(run()) == said(run("-h")) == said(run("--help")) == snapshot


@pytest.mark.parametrize("command", ["check", "completion", "diff", "explain", "guide", "lower", "schema"])
def test_help_of_a_command(run: Run, snapshot: SnapshotAssertion, command: str) -> None:
    assert said(run(command, "--help")) == snapshot


def test_help_may_follow_an_option_of_run(run: Run) -> None:
    assert said(run("run", "--budget", "3", "--help")) == said(run("run", "--help"))


def test_every_command_is_in_the_help(run: Run) -> None:
    names = cli.list_commands(Context(cli))
    assert {"check", "completion", "diff", "lint", "lower", "prove"} < set(names)
    assert [name for name in names if f"\n  {name}  " not in run("--help").stdout] == []


def test_version(run: Run) -> None:
    shown = run("--version")
    assert (shown.stdout, shown.returncode) == (f"pflow-lower {pflow_lower.__version__}\n", 0)


HEAVY = {"click", "jinja2", "jsonschema", "pflow", "pocketflow", "pygments"}
MODULES = """
import atexit, sys
from pflow_lower.__main__ import main
atexit.register(lambda: print(*sys.modules, file=sys.stderr))
main()
"""


@pytest.mark.parametrize(
    ("arguments", "needed"),
    [
        (["--version"], ""),
        (["--help"], "click"),
        ([], "click"),
        (["small.json"], "click jinja2 jsonschema"),
        (["small.json", "--emit", "both", "--program"], "click jinja2 jsonschema"),
    ],
    ids=str,
)
def test_nothing_is_imported_that_is_not_needed(run: Run, tmp_path: Path, arguments: list[str], needed: str) -> None:
    run()  # makes the workflows
    command = [sys.executable, "-c", MODULES, *arguments]
    shown = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=True)
    assert HEAVY & set(shown.stderr.split()) <= set(needed.split())


# --- What is printed


def test_it_prints_the_expanded_ir(run: Run) -> None:
    shown = run(str(CLASSIFIER / "workflow.json"))
    assert (shown.stdout, shown.stderr, shown.returncode) == ((CLASSIFIER / "lowered.json").read_text(), "", 0)


def test_lower_can_be_said(run: Run) -> None:
    assert said(run("lower", "small.json")) == said(run("small.json"))


@pytest.mark.parametrize("name", ["issue-classifier", "issue-classifier-program"])
def test_emit(run: Run, name: str) -> None:
    case = GOLDEN / "ok" / name
    ir, nodes, *flow = (
        (case / file).read_text() for file in ("lowered.json", "nodes.py", "flow.py") if (case / file).exists()
    )
    flags = ["--program"] if flow else []
    both = run(str(case / "workflow.json"), "--emit", "both", *flags)
    python = run(str(case / "workflow.json"), "--emit", "python", *flags)
    program = f"\n# --- flow.py\n{flow[0]}" if flow else ""
    assert both.stdout == f"{ir}\n# --- nodes.py\n{nodes}{program}"
    assert python.stdout == (f"\n# --- nodes.py\n{nodes}{program}" if flow else nodes)


def test_options_may_stand_first(run: Run) -> None:
    assert said(run("--emit", "python", "small.json")) == said(run("small.json", "--emit", "python"))


def test_standard_input(run: Run) -> None:
    """Like a file; but the header has no command that would make the same files again."""
    shown = run("-", "--emit", "python", stdin=json.dumps(SMALL))
    assert shown.stdout.startswith("# Generated by pflow-lower. Do not edit.\n#\n# ruff: noqa\n")
    assert shown.stdout.splitlines()[5:] == run("small.json", "--emit", "python").stdout.splitlines()[7:]
    assert run("-", stdin=json.dumps(SMALL)).stdout == run("small.json").stdout
    assert run("-", stdin="{").stderr.startswith("<stdin>:1:2: error[PFL105] ")


def test_markdown_on_standard_input(run: Run) -> None:
    pytest.importorskip("pflow")
    text = (GOLDEN / "ok" / "markdown" / "workflow.pflow.md").read_text()
    shown = run("-", stdin=text)
    assert json.loads(shown.stdout) == json.loads((GOLDEN / "ok" / "markdown" / "lowered.json").read_text())


@pytest.mark.parametrize("stage", ["load", "validate", "analyse", "lower"])
def test_print_after(run: Run, snapshot: SnapshotAssertion, stage: str) -> None:
    shown = run("small.json", "--print-after", stage)
    assert shown.stdout == run("small.json").stdout
    assert shown.stderr == snapshot


def test_print_after_several_stages_and_before_an_error(run: Run) -> None:
    shown = run("wrong.json", "--print-after", "emit", "--print-after", "load", "--print-after", "validate")
    assert [line for line in shown.stderr.splitlines() if line.startswith("---")] == [
        "--- after load",
        "--- after validate",
    ]
    assert shown.returncode == 2


# --- What it has to say


@pytest.mark.parametrize("workflow", ["warns.json", "wrong.json", "missing.json", "."])
@pytest.mark.parametrize("form", ["text", "json"])
def test_findings(run: Run, snapshot: SnapshotAssertion, workflow: str, form: str) -> None:
    shown = run(workflow, "--format", form)
    assert said(shown) == snapshot
    if form == "json":
        assert isinstance(json.loads(shown.stderr), list)


def test_findings_as_json_are_all_there_is_on_stderr(run: Run) -> None:
    assert json.loads(run("small.json", "--format", "json", "-o", "out").stderr) == []


def test_quiet(run: Run) -> None:
    assert run("warns.json", "--quiet").stderr == ""
    assert run("warns.json", "-q", "-o", "out").stderr == ""
    assert run("wrong.json", "--quiet").stderr == run("wrong.json").stderr != ""


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["lower"], "WORKFLOW"),
        (["small.json", "more.json"], "more.json"),
        (["small.json", "--emit", "html"], "'python'"),
        (["small.json", "--print-after", "parse"], "'analyse'"),
        (["small.json", "--no-such-option"], "--no-such-option"),
        (["small.json", "-o"], "-o"),
        (["completion", "tcsh"], "'fish'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_usage(run: Run, arguments: list[str], word: str) -> None:
    """The wording is click's, which changes it now and then."""
    shown = run(*arguments)
    assert (shown.returncode, shown.stdout) == (2, "")
    assert word in shown.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        *((["-o", "out", "--emit", form], "leave out -o, or --emit") for form in ("ir", "python", "both", "graph")),
        *(
            ([flag, *more], "add -o DIR, or --emit python")
            for flag in ("--program", "--standalone")
            for more in ([], ["--emit", "graph"], ["--print-after", "load"], ["--print-changed"])
        ),
        *(
            (["--standalone", *more], "add -o DIR, or --emit python")
            for more in (["--print-after", "lower"], ["--program", "--print-after", "lower"])
        ),
        (["--maps", "--emit", "both"], "add -o DIR"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_an_option_is_never_ignored(run: Run, tmp_path: Path, arguments: list[str], said: str) -> None:
    shown = run("small.json", *arguments)
    assert (shown.returncode, shown.stdout) == (2, "")
    assert said in shown.stderr.splitlines()[-1]
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_what_is_to_be_shown_on_the_way_is_shown_of_a_program(run: Run) -> None:
    for flags in (["-o", "out", "--print-after", "load"], ["--print-after", "lower"], ["--emit", "both"]):
        assert run("small.json", "--program", *flags).returncode == 0


# --- Writing files


def contents(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_out(run: Run, tmp_path: Path) -> None:
    shown = run("small.json", "-o", "a/b")
    assert (shown.stdout, shown.returncode) == ("", 0)
    assert shown.stderr == f"wrote {Path('a/b/lowered.json')}, {Path('a/b/nodes.py')}\n"
    assert contents(tmp_path / "a").keys() == {"b/lowered.json", "b/nodes.py"}
    header = (tmp_path / "a" / "b" / "nodes.py").read_text().splitlines()[:3]
    assert header[0].startswith("# Generated by pflow-lower from ../../small.json.")
    assert header[2] == "#     pflow-lower ../../small.json -o ."


@pytest.mark.slow
def test_source_maps_are_written_where_they_are_asked_for_and_told_when_they_are_left(run: Run, tmp_path: Path) -> None:
    shown = run("small.json", "-o", "made", "--maps")
    assert shown.stderr == f"wrote {Path('made/lowered.json')}, {Path('made/nodes.py')}, source maps\n"
    names = {"lowered.json", "nodes.py"}
    assert contents(tmp_path / "made").keys() == names | {f"{name}.map.json" for name in names}
    assert run("check", "made").returncode == 0
    assert "nodes.py.map.json" in run("small.json", "-o", "made").stderr
    assert run("check", "made").returncode == 1
    assert run("check", "--update", "made").returncode == 0
    assert contents(tmp_path / "made").keys() == names
    assert run("small.json", "--maps").returncode == 2


@pytest.mark.slow
def test_the_command_in_the_header_makes_the_same_files(run: Run, tmp_path: Path) -> None:
    run("small.json", "-o", "out dir", "--program", "--nodes", "no table.toml")
    tmp_path.joinpath("no table.toml").write_text("")
    run("small.json", "-o", "out dir", "--program", "--nodes", "no table.toml")
    before = contents(tmp_path / "out dir")
    command = before["nodes.py"].splitlines()[2].removeprefix("#     ")
    assert command == "pflow-lower ../small.json -o . --program --nodes '../no table.toml'"
    again = f"{sys.executable} -m pflow_lower {command.removeprefix('pflow-lower ')}"
    shown = subprocess.run(again, shell=True, cwd=tmp_path / "out dir", capture_output=True, text=True, check=True)
    assert shown.stderr == ". is up to date\n"
    assert contents(tmp_path / "out dir") == before


def test_out_twice_changes_nothing(run: Run, tmp_path: Path) -> None:
    run("small.json", "-o", "out")
    stamps = {path: path.stat().st_mtime_ns for path in tmp_path.joinpath("out").iterdir()}
    assert run("small.json", "-o", "out").stderr == "out is up to date\n"
    assert {path: path.stat().st_mtime_ns for path in tmp_path.joinpath("out").iterdir()} == stamps


def test_out_replaces_what_it_made(run: Run, tmp_path: Path) -> None:
    run("small.json", "-o", "out")
    (tmp_path / "small.json").write_text((tmp_path / "warns.json").read_text())
    run("small.json", "-o", "out")
    assert "no-such-type" in (tmp_path / "out" / "lowered.json").read_text()


@pytest.mark.parametrize("name", ["nodes.py", "lowered.json", "flow.py"])
def test_out_spares_files_of_others(run: Run, tmp_path: Path, name: str) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / name).write_text("precious\n")
    shown = run("small.json", "-o", "out", "--program")
    assert shown.returncode == 2
    assert shown.stderr.startswith(f"{Path('out') / name}: error[PFL601]")
    assert contents(tmp_path / "out") == {name: "precious\n"}


def test_out_spares_the_workflow(run: Run, tmp_path: Path) -> None:
    run("small.json", "-o", ".")
    (tmp_path / "lowered.json").write_text(json.dumps(SMALL))
    shown = run("lowered.json", "-o", ".")
    assert (shown.returncode, "PFL601" in shown.stderr) == (2, True)
    assert json.loads((tmp_path / "lowered.json").read_text()) == SMALL


@pytest.mark.parametrize("folder", ["small.json", "small.json/below", pytest.param("a" * 5000, id="too long")])
def test_out_where_no_folder_can_be(tmp_path: Path, folder: str, run: Run) -> None:
    run()
    workflow = str(tmp_path / "small.json")
    shown = CliRunner().invoke(cli, [workflow, "-o", str(tmp_path / folder)], prog_name="pflow-lower")
    assert shown.exit_code == 2
    assert "PFL602" in shown.output


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="may write everywhere")
def test_out_into_a_folder_without_permission(run: Run, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir(mode=0o555)
    shown = run("small.json", "-o", "out")
    assert (shown.returncode, shown.stderr) == (2, "out: error[PFL602] cannot write here: permission denied\n")


def test_an_error_writes_nothing(run: Run, tmp_path: Path) -> None:
    assert run("wrong.json", "-o", "out").returncode == 2
    assert not (tmp_path / "out").exists()


def test_names_with_spaces(run: Run, tmp_path: Path) -> None:
    (tmp_path / "my flow's.json").write_text(json.dumps(SMALL))
    assert run("my flow's.json", "-o", "out").returncode == 0
    header = (tmp_path / "out" / "nodes.py").read_text().splitlines()
    assert header[0].startswith("# Generated by pflow-lower from ../my flow's.json.")
    assert header[2] == """#     pflow-lower '../my flow'"'"'s.json' -o ."""


@pytest.mark.slow
def test_standalone(run: Run, tmp_path: Path) -> None:
    run("small.json", "-o", "out", "--standalone", "--program")
    written = contents(tmp_path / "out")
    assert {"lowered.json", "nodes.py", "flow.py", "pflow_lower_runtime/__init__.py"} <= written.keys()
    assert not [name for name, text in written.items() if "import pflow_lower\n" in text or "from pflow_lower." in text]
    assert run("small.json", "-o", "out", "--standalone", "--program").stderr == "out is up to date\n"
    old = tmp_path / "out" / "pflow_lower_runtime" / "values.py"
    old.write_text(old.read_text(encoding="utf-8") + "# from an older pflow-lower\n", encoding="utf-8")
    assert run("small.json", "-o", "out", "--standalone", "--program").stderr == f"wrote {old.relative_to(tmp_path)}\n"


def test_nodes(run: Run, tmp_path: Path) -> None:
    (tmp_path / "table.toml").write_text('[nodes]\nno-such-type = "shop:Greet"\n')
    (tmp_path / "shop.py").write_text("import pocketflow\n\n\nclass Greet(pocketflow.Node):\n    pass\n")
    shown = run("warns.json", "--nodes", "table.toml", "--emit", "python", "--program")
    assert shown.stderr == ""
    assert "from shop import Greet" in shown.stdout


@pytest.mark.parametrize("table", ["missing.toml", "small.json"])
def test_nodes_that_cannot_be_read(run: Run, snapshot: SnapshotAssertion, table: str) -> None:
    assert said(run("small.json", "--nodes", table)) == snapshot


def test_a_broken_registry_of_pflow_is_a_warning(run: Run, tmp_path: Path) -> None:
    pytest.importorskip("pflow")
    (tmp_path / ".pflow").mkdir()
    (tmp_path / ".pflow" / "registry.json").write_text("{")
    shown = run("small.json", HOME=str(tmp_path), USERPROFILE=str(tmp_path))
    assert "warning[PFL412]" in shown.stderr
    assert shown.returncode == 0


# --- Terminals and pipes


def on_a_terminal(tmp_path: Path, *arguments: str, **environment: str) -> str:
    """What the command writes where stdout and stderr are a terminal."""
    pty = pytest.importorskip("pty")
    above, below = pty.openpty()
    env = {key: value for key, value in os.environ.items() if key != "NO_COLOR"} | {"TERM": "xterm"} | environment
    command = [sys.executable, "-m", "pflow_lower", *arguments]
    with subprocess.Popen(command, stdin=below, stdout=below, stderr=below, cwd=tmp_path, env=env):
        os.close(below)
        written = b""
        try:
            while part := os.read(above, 65536):
                written += part
        except OSError:  # the other end is closed
            pass
    os.close(above)
    return written.decode().replace("\r\n", "\n")


@pytest.mark.slow
def test_colour_on_a_terminal(run: Run, tmp_path: Path) -> None:
    plain = run("warns.json", "--emit", "both")
    coloured = on_a_terminal(tmp_path, "warns.json", "--emit", "both")
    assert "\x1b[33m\x1b[1mwarning[PFL330]" in coloured
    assert "\x1b[" in coloured.partition('"nodes"')[2]
    for environment in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        assert on_a_terminal(tmp_path, "warns.json", "--emit", "both", **environment) == plain.stderr + plain.stdout


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no such file")
@pytest.mark.parametrize("arguments", ["--help", "lower --help", "small.json", "wrong.json 1>&2"])
def test_output_that_cannot_be_written(run: Run, tmp_path: Path, arguments: str) -> None:
    run()
    both = "2>/dev/full" if "1>&2" in arguments else ""
    done = in_a_shell(f"{arguments} >/dev/full {both}", tmp_path)
    assert done.returncode == 2
    assert done.stderr in ("error: cannot write the output: No space left on device\n", "")


@pytest.mark.skipif(os.name == "nt", reason="no such shell")
@pytest.mark.parametrize(
    ("arguments", "status"),
    [("small.json >&-", 0), ("--help >&- 2>&-", 0), ("wrong.json 2>&-", 2), ("- <&-", 2)],
)
def test_standard_streams_that_are_closed(run: Run, tmp_path: Path, arguments: str, status: int) -> None:
    run()
    done = in_a_shell(arguments, tmp_path)
    assert done.returncode == status
    assert "Traceback" not in done.stderr


def in_a_shell(arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = f'"{sys.executable}" -m pflow_lower {arguments}'
    return subprocess.run(command, shell=True, capture_output=True, text=True, cwd=folder, check=False)


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "utf-8"])
def test_what_is_printed_is_utf_8(run: Run, tmp_path: Path, encoding: str) -> None:
    greet = {**SMALL["nodes"][0], "params": {"command": "echo ☃ ${item}"}}
    (tmp_path / "snow.json").write_text(json.dumps({"nodes": [greet]}))
    command = [sys.executable, "-m", "pflow_lower", "snow.json", "--emit", "both"]
    env = {**os.environ, "PYTHONIOENCODING": encoding}
    done = subprocess.run(command, capture_output=True, cwd=tmp_path, env=env, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert "☃" in done.stdout.decode("utf-8")


@pytest.mark.skipif(os.name == "nt", reason="no such signals")
def test_ctrl_c_has_the_exit_status_of_shells(tmp_path: Path) -> None:
    code = """if True:
        import signal
        from pflow_lower import cli, pipeline
        pipeline.run = lambda *args, **options: signal.raise_signal(signal.SIGINT)
        cli.run(["small.json"])
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert (done.returncode, done.stderr) == (130, "")


@pytest.mark.skipif(os.name == "nt", reason="no such pipes")
@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], ["lower", "--help"], ["large.json", "--emit", "both"]], ids=str
)
def test_whoever_reads_may_stop(tmp_path: Path, arguments: list[str]) -> None:
    nodes: list[dict[str, Any]] = [{**SMALL["nodes"][0], "id": f"greet-{n}"} for n in range(300)]
    edges = [{"from": f"greet-{n}", "to": f"greet-{n + 1}"} for n in range(299)]
    (tmp_path / "large.json").write_text(json.dumps({"nodes": nodes, "edges": edges}))
    ours, theirs = os.pipe()
    os.close(ours)
    command = [sys.executable, "-m", "pflow_lower", *arguments]
    run = subprocess.run(command, stdout=theirs, stderr=subprocess.PIPE, cwd=tmp_path, check=False)
    os.close(theirs)
    assert (run.returncode, run.stderr) == (0, b"")


# --- Completion


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_script(run: Run, shell: str) -> None:
    shown = run("completion", shell)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert f"_PFLOW_LOWER_COMPLETE={shell}_complete" in shown.stdout
    assert "pflow-lower" in shown.stdout


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("pflow-lower comp", ["plain,completion", "file,comp"]),
        ("pflow-lower --em", ["plain,--emit"]),
        ("pflow-lower small.json --pro", ["plain,--program"]),
        ("pflow-lower small.json --emit b", ["plain,both"]),
        ("pflow-lower lower sm", ["file,sm"]),
        ("pflow-lower completion z", ["plain,zsh"]),
        ("pflow-lower expl", ["plain,explain", "file,expl"]),
        ("pflow-lower explain pfl60", ["plain,PFL601", "plain,PFL602", "plain,PFL603"]),
        ("pflow-lower explain nodes", ["file,nodes"]),
        ("pflow-lower schema fi", ["plain,findings"]),
        ("pflow-lower gui", ["plain,guide", "file,gui"]),
        ("pflow-lower small.json --format s", ["plain,sarif"]),
        ("pflow-lower small.json --print-ch", ["plain,--print-changed"]),
        ("pflow-lower small.json --emit g", ["plain,graph"]),
    ],
)
def test_completion(run: Run, words: str, expected: list[str]) -> None:
    shown = run(_PFLOW_LOWER_COMPLETE="bash_complete", COMP_WORDS=words, COMP_CWORD=str(words.count(" ")))
    assert shown.stdout.splitlines() == expected


def test_files_that_nobody_asked_for(run: Run, tmp_path: Path) -> None:
    (tmp_path / "workflow.json").write_text(json.dumps(SMALL))
    done = run("workflow.json", "--program")
    assert done.returncode == 2 and "add -o DIR" in done.stderr
    done = run("workflow.json", "-o", "")
    assert done.returncode == 2 and "is empty" in done.stderr


def test_what_an_earlier_run_left_is_named(run: Run, tmp_path: Path) -> None:
    (tmp_path / "workflow.json").write_text(json.dumps(SMALL))
    run("workflow.json", "-o", "out", "--program")
    (tmp_path / "out" / "mine.py").write_text("x = 1\n")
    done = run("workflow.json", "-o", "out")
    assert done.returncode == 0
    assert "flow.py is left from an earlier run" in done.stderr and "mine.py" not in done.stderr


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="a shell's pipes")
def test_a_judgement_that_nobody_reads_to_its_end_is_no_pass(run: Run, tmp_path: Path) -> None:
    run("small.json", "-o", "gen")
    tmp_path.joinpath("gen", "nodes.py").write_text("# tampered\n")
    command = f'"{sys.executable}" -m pflow_lower'
    for arguments, status in (("check", 2), ("lint small.json wrong.json", 2), ("small.json", 0)):
        reading, writing = os.pipe()
        os.close(reading)
        ended = subprocess.run(
            f"{command} {arguments}", shell=True, cwd=tmp_path, stdout=writing, stderr=subprocess.PIPE, check=False
        )
        os.close(writing)
        assert ended.returncode == status and b"Traceback" not in ended.stderr, (arguments, ended)
