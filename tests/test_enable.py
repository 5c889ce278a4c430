"""`enable`, `disable`, `status`: one file in site-packages, which must never stop Python or pflow."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

pytest.importorskip("pflow")

import pflow_lower
import pflow_lower.templates

pytestmark = pytest.mark.slow

LETTER = Path(__file__).parent / "pflow_flows" / "letter.pflow.md"
RUN = (str(LETTER), "letter=a", "style=odd", "-p")
SAID = '"stdout": "odd a 1"'


class Place:
    """A Python environment of its own, with pflow (linked) and pflow-lower (copied)."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.dump = folder / "dump"
        self.home = folder / "home"
        self.home.mkdir(parents=True)
        try:
            venv.create(folder / "venv", symlinks=os.name != "nt")
            self.python = folder / "venv" / ("Scripts" if os.name == "nt" else "bin") / Path(sys.executable).name
            if not self.python.exists():
                self.python = self.python.with_name("python")
            self.site = Path(self.run("-c", "import sysconfig; print(sysconfig.get_path('purelib'))").stdout.strip())
            self._link()
        except OSError as error:
            pytest.skip(f"no environment can be made here: {error}")
        self.package = self.site / "pflow_lower"
        self.file = self.site / "pflow_lower.pth"

    def _link(self) -> None:
        libraries = self.folder / "libraries"
        libraries.mkdir()
        for entry in Path(sysconfig.get_path("purelib")).iterdir():
            if "pflow_lower" not in entry.name and entry.suffix != ".pth":
                (libraries / entry.name).symlink_to(entry)
        (self.site / "libraries.pth").write_text(f"{libraries}\n")
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(Path(pflow_lower.__file__).parent, self.site / "pflow_lower", ignore=ignored)
        templates = Path(pflow_lower.templates.__file__).parent
        shutil.copytree(templates, self.site / "pflow_lower" / "templates", ignore=ignored, dirs_exist_ok=True)

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        env = {key: value for key, value in os.environ.items() if not key.startswith(("PFLOW_LOWER", "PYTHON"))}
        env |= {"HOME": str(self.home), "USERPROFILE": str(self.home), "PYTHONUTF8": "1"} | environment
        command = [str(self.python), *arguments]
        return subprocess.run(command, capture_output=True, encoding="utf-8", env=env, cwd=self.folder, check=False)

    def lower(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return self.run("-m", "pflow_lower", *arguments, **environment)

    def pflow(self, **environment: str) -> tuple[bool, str]:
        """Run a workflow in plain pflow, which must succeed: whether batches were lowered, and its stderr."""
        shutil.rmtree(self.dump, ignore_errors=True)
        done = self.run("-m", "pflow.cli", *RUN, PFLOW_LOWER_DUMP=str(self.dump), **environment)
        assert (done.returncode, SAID in done.stdout) == (0, True), done.stderr
        return self.dump.exists(), done.stderr


@pytest.fixture(scope="module")
def shared_place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place(tmp_path_factory.mktemp("place"))


@pytest.fixture
def place(shared_place: Place, tmp_path: Path) -> Place:
    """The environment with pflow-lower enabled, and a whole pflow-lower in it."""
    assert shared_place.lower("enable").returncode == 0
    return shared_place


def test_enable_disable_status(shared_place: Place) -> None:
    place = shared_place
    place.file.unlink(missing_ok=True)
    assert place.pflow() == (False, "")
    assert place.lower("status").stdout.startswith(f"off: there is no {place.file}\npflow 0.16.")

    enabled = place.lower("enable")
    assert (enabled.stdout, enabled.stderr, enabled.returncode) == (f"wrote {place.file}\n", "", 0)
    text = place.file.read_text()
    assert "disable` removes it" in text.splitlines()[0]
    assert [line[0] for line in text.splitlines()[:-1]] == ["#"] * 3  # one line of code
    assert place.lower("enable").returncode == 0
    assert place.file.read_text() == text
    assert place.lower("status").stdout.startswith(f"on, by {place.file}\n")
    for length in (len(text) - 3, len(text) - 40, text.rindex("import sys") + 5, text.rindex("import sys"), 60):
        place.file.write_text(text[:length])
        assert place.lower("status").stdout.startswith(f"off: {place.file} is damaged; write it again"), length
    assert place.lower("enable").returncode == 0
    assert place.file.read_text() == text
    assert place.pflow() == (True, "")
    assert place.pflow(PFLOW_LOWER="0") == (False, "")
    assert "PFLOW_LOWER=0 in this shell: off" in place.lower("status", PFLOW_LOWER="0").stdout

    assert place.lower("disable").stdout == f"removed {place.file}\n"
    assert place.lower("disable").stdout == "nothing to disable\n"
    assert not list(place.site.glob("*pflow_lower*.pth")) and not list(place.site.glob(".pflow_lower*"))
    assert place.pflow(PFLOW_LOWER="1") == (False, "")


def test_enable_when_asked(shared_place: Place) -> None:
    assert shared_place.lower("enable", "--when-asked").returncode == 0
    assert shared_place.lower("status").stdout.startswith(f"only with PFLOW_LOWER=1, by {shared_place.file}\n")
    assert shared_place.pflow() == (False, "")
    assert shared_place.pflow(PFLOW_LOWER="1") == (True, "")


def test_whether_a_plain_pflow_would_run_generated_code(shared_place: Place) -> None:
    def is_in_force(**environment: str) -> bool:
        asked = "from pflow_lower.pflow.enable import is_in_force; print(is_in_force())"
        return shared_place.run("-c", asked, **environment).stdout == "True\n"

    shared_place.lower("enable")
    assert is_in_force() and not is_in_force(PFLOW_LOWER="0")
    shared_place.lower("enable", "--when-asked")
    assert is_in_force(PFLOW_LOWER="1") and not is_in_force()
    shared_place.lower("disable")
    assert not is_in_force(PFLOW_LOWER="1")


def test_a_program_that_starts_a_workflow_with_keys_of_ours(place: Place) -> None:
    """What PFL450 says helps: pflow's own node asks the schema of what it starts before anything else of pflow runs."""
    folder = place.folder / "program"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    (folder / "child.pflow.md").write_text(
        "# Child\n\n## Inputs\n\n### n\n\nN.\n\n- type: array\n\n## Steps\n\n### get\n\nGet.\n\n- type: shell\n\n"
        "```yaml batch\nitems: ${n}\nas: x\nrate: 100/s\n```\n\n```shell command\necho ${x}\n```\n"
    )
    (folder / "parent.pflow.md").write_text(
        "# Parent\n\n## Steps\n\n### each\n\nEach.\n\n- type: workflow\n- workflow: ./child.pflow.md\n"
        "- inputs:\n    n: ${it}\n\n```yaml batch\nitems: [[1, 2], [3]]\nas: it\n```\n"
    )
    written = place.lower(str(folder / "parent.pflow.md"), "--program", "-o", str(folder / "made"))
    assert written.returncode == 0 and "run `pflow-lower enable`" in written.stderr
    done = place.run(str(folder / "made" / "flow.py"))
    assert (done.returncode, json.loads(done.stdout)["each"]["success_count"]) == (0, 2), done.stderr
    assert place.lower("disable").returncode == 0
    refused = place.run(str(folder / "made" / "flow.py"))
    assert refused.returncode == 1 and "'rate' was unexpected" in refused.stderr


def test_other_programs_pay_nothing(place: Place) -> None:
    """No module of ours or of pflow's is imported, nor any other that Python would not import anyway."""
    modules = "import sys; print(*sorted(sys.modules))"
    enabled = place.run("-c", modules).stdout
    place.file.unlink()
    assert place.run("-c", modules).stdout == enabled
    assert "pflow" not in enabled


def test_pflow_commands_that_compile_nothing_import_nothing_of_ours(place: Place) -> None:
    script = "import sys, pflow.cli, pflow.runtime; print(*[m for m in sys.modules if m.startswith('pflow_lower')])"
    found = place.run("-c", script).stdout.split()
    names = ("install", "lazy_install", "messages", "stubs", "versions")
    types = {
        "pflow_lower.node_types",
        "pflow_lower.node_types.allowed_values",
        "pflow_lower.node_types.pflow_types",
    }  # a table, which names the reference version
    ours = {"pflow_lower", "pflow_lower.before_pflow", "pflow_lower.pflow"}
    assert set(found) <= {*ours, *types, *(f"pflow_lower.pflow.{name}" for name in names)}


def test_a_deleted_package(place: Place, tmp_path: Path) -> None:
    shutil.move(place.package, tmp_path / "away")
    try:
        lowered, said = place.pflow()
        assert not lowered
        assert said.startswith("pflow-lower is off for this run, it cannot start (ModuleNotFoundError:")
        assert said.count("\n") == 1 and str(place.file) in said
        assert place.pflow(PFLOW_LOWER="0") == (False, "")
    finally:
        shutil.move(tmp_path / "away", place.package)


SYNTAX, EXIT = "def broken(:\n", "raise SystemExit(7)\n"
DAMAGES = [
    *((SYNTAX, f"{module}.py") for module in ("__init__", "lowering/lower", "pflow/__init__", "pflow/lazy_install")),
    *((SYNTAX, f"pflow/{module}.py") for module in ("install", "engine_0_16/adapter", "classes")),
    *((EXIT, f"pflow/{module}.py") for module in ("lazy_install", "engine_0_16/adapter")),
    *((None, f"{module}.py") for module in ("pflow/lazy_install", "pflow/messages", "runtime/batch")),
]


@pytest.mark.parametrize(("damage", "module"), DAMAGES)
def test_a_broken_package(place: Place, module: str, damage: str | None) -> None:
    file = place.package / module
    whole = file.read_text(encoding="utf-8")
    try:
        if damage is None:
            file.unlink()
        else:
            file.write_text(damage, encoding="utf-8")
        lowered, said = place.pflow()
    finally:
        file.write_text(whole, encoding="utf-8")
    assert not lowered
    assert said.startswith(("pflow-lower is off for this run", "pflow-lower: letter.pflow.md runs interpreted"))
    assert "Traceback" not in said


def test_broken_templates(place: Place) -> None:
    """What fails as late as while a workflow is lowered leaves that workflow to the interpreter."""
    file = place.package / "templates" / "batch_node.py.jinja"
    whole = file.read_text(encoding="utf-8")
    try:
        file.write_text("{% nonsense", encoding="utf-8")
        lowered, said = place.pflow()
    finally:
        file.write_text(whole, encoding="utf-8")
    assert not lowered
    assert said.startswith("pflow-lower: letter.pflow.md runs interpreted, since it could not be lowered: ")


OTHER_PFLOWS = {
    "no such function": "",
    "no engine": "def compile_workflow(*_):\n    return 'compiled'\n",
}


@pytest.mark.parametrize("kind", OTHER_PFLOWS)
def test_another_pflow(place: Place, kind: str) -> None:
    fake = place.site / "pflow"
    for package in ("", "runtime", "runtime/compilation", "core", "core/workflow"):
        (fake / package).mkdir(parents=True, exist_ok=True)
        (fake / package / "__init__.py").touch()
    try:
        (fake / "runtime" / "compilation" / "compiler.py").write_text(OTHER_PFLOWS[kind] + "STARTED = True\n")
        (fake / "core" / "workflow" / "validator.py").write_text("class WorkflowValidator:\n    pass\n")
        script = (
            "import pflow.core.workflow.validator, pflow.runtime.compilation.compiler as c\n"
            "print(c.STARTED, getattr(c, 'compile_workflow', str)())"
        )
        done = place.run("-c", script)
        enabled = place.lower("enable")
    finally:
        shutil.rmtree(fake)
    assert (done.returncode, done.stdout.split()) == (0, ["True", "compiled"] if OTHER_PFLOWS[kind] else ["True"])
    assert ("pflow-lower is off for this run: pflow 0.16" in done.stderr) == bool(OTHER_PFLOWS[kind])
    assert (enabled.returncode, "supports pflow 0.8.1, 0.15 and 0.16" in enabled.stderr) == (2, True)


def test_files_of_others_are_spared(shared_place: Place) -> None:
    place = shared_place
    place.file.write_text("# somebody else's\n")
    try:
        for command in ("enable", "disable"):
            done = place.lower(command)
            assert (done.returncode, "is not pflow-lower's" in done.stderr) == (2, True)
        assert place.file.read_text() == "# somebody else's\n"
    finally:
        place.file.unlink()


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="may write everywhere")
def test_a_folder_without_permission(shared_place: Place) -> None:
    shared_place.file.unlink(missing_ok=True)
    shared_place.site.chmod(0o555)
    try:
        done = shared_place.lower("enable")
    finally:
        shared_place.site.chmod(0o755)
    assert (done.returncode, "cannot write" in done.stderr) == (2, True)
