"""No input is slow: every regular expression of the compiler, and the scanner of `${...}`, counted on growing text."""

from __future__ import annotations

import ast
import importlib
import itertools
import json
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from helpers.regex_steps import Counter, TooManySteps, pieces

import pflow_lower
from pflow_lower import pipeline
from pflow_lower.emit import python_text
from pflow_lower.emit.source_map import maps_of
from pflow_lower.ir import template
from pflow_lower.ir.workflow import SourceIR, SourceNode
from pflow_lower.load.load import from_data
from pflow_lower.options import Options
from pflow_lower.tools.diff.pairing import pair_up
from pflow_lower.tools.lint import shell
from pflow_lower.tools.lint.context import LintContext
from pflow_lower.tools.shared.watch import mentioned
from pflow_lower.validate.validate import source_of

PACKAGE = Path(pflow_lower.__file__).parent
ANCHORED = {"match", "fullmatch"}
SCANNING = {"search", "finditer", "findall", "sub", "subn", "split"}
LENGTHS = (20, 40, 80)
LINEAR = 3.0
"""By how much the steps may grow where the text is doubled: 2 is linear, 4 is quadratic."""
FEW = 8
"""So many steps for a character are not looked into: a quadratic pattern takes more at the greatest length."""
LEFT = {
    "diagnostics/explanations.py": "reads what ships with the package, nothing else",
    "load/markdown_positions.py": "known to be quadratic in the spaces of one line; a parser is to replace them",
}
"""Modules whose patterns are not looked at, and why."""


class Pattern(NamedTuple):
    place: str
    text: str
    flags: int
    uses: frozenset[str]


def module_of(file: Path) -> str:
    return ".".join(("pflow_lower", *file.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__")


def patterns() -> Iterator[Pattern]:
    """Every pattern that the sources of the package hand to `re`, with what is asked of it."""
    for file in sorted(PACKAGE.rglob("*.py"), key=str):
        if file.relative_to(PACKAGE).as_posix() in LEFT:
            continue
        tree = ast.parse(file.read_text(encoding="utf-8"))
        asked = uses_of_names(tree)
        named = {id(node.value): node.targets[0].id for node in tree.body if is_named(node)}
        for node in ast.walk(tree):
            method = called(node)
            if method is None or not node.args:  # type: ignore[attr-defined]
                continue
            place = f"{file.relative_to(PACKAGE).as_posix()}:{named.get(id(node), node.lineno)}"  # type: ignore[attr-defined]
            if name := named.get(id(node)):
                compiled = getattr(importlib.import_module(module_of(file)), name)
                yield Pattern(place, compiled.pattern, compiled.flags, frozenset(asked.get(name) or SCANNING))
            else:
                uses = SCANNING if method == "compile" else {method}
                yield Pattern(place, text_of(node.args[0]), flags_of(node), frozenset(uses))  # type: ignore[attr-defined]


def is_named(node: ast.AST) -> bool:
    return isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and called(node.value) == "compile"


def called(node: ast.AST) -> str | None:
    """The function of `re` that a call calls."""
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
        return None
    of_re = isinstance(node.func.value, ast.Name) and node.func.value.id == "re"
    return node.func.attr if of_re and node.func.attr in {"compile", *ANCHORED, *SCANNING} else None


def uses_of_names(tree: ast.Module) -> dict[str, set[str]]:
    """Which methods are called on a name; all, where it is handed on."""
    found: dict[str, set[str]] = {}
    methods = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            found.setdefault(node.value.id, set()).add(node.attr)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and id(node) not in methods:
            found.setdefault(node.id, set()).update(SCANNING)
    return found


def text_of(node: ast.expr) -> str:
    """The text of a pattern; what is put into an f-string is taken for a word."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(part.value if isinstance(part, ast.Constant) else "key" for part in node.values)
    if isinstance(node, ast.BinOp):
        return text_of(node.left) + text_of(node.right)
    raise AssertionError(f"line {node.lineno}: name the pattern at the top of its module, so that this test sees it")


def flags_of(node: Any) -> int:
    given = [*node.args[1:], *(keyword.value for keyword in node.keywords if keyword.arg == "flags")]
    names = {part.attr for argument in given for part in ast.walk(argument) if isinstance(part, ast.Attribute)}
    return sum(int(getattr(re, name)) for name in names if name in re.RegexFlag.__members__)


PATTERNS = sorted(set(patterns()))


def steps(pattern: Pattern, text: str) -> int:
    worst = 0
    for use in pattern.uses & (ANCHORED | SCANNING):
        counter = Counter(pattern.text, pattern.flags)
        if use in SCANNING:
            counter.find_all(text)
        else:
            counter.match(text, whole=use == "fullmatch")
        worst = max(worst, counter.steps)
    return worst


def adversaries(pattern: Pattern) -> Iterator[Callable[[int], str]]:
    """Texts of any length: a start, something over and over, and an end that does not fit."""
    own = sorted(pieces(pattern.text, pattern.flags), key=len)
    usual = [" ", "a", '"', '\\"', "/", "${", "\n"]
    pumps = [*usual, *own[:10], *(first + second for first, second in itertools.permutations(own[:5], 2))]
    starts = ["", '"', *own[-1:], *(text + "a" for text in own[-1:])]
    for pump, start in itertools.product(dict.fromkeys(pumps), dict.fromkeys(starts)):
        yield lambda n, start=start, pump=pump: start + (pump * n)[:n] + "\x01"  # type: ignore[misc]


def roomy(work: Callable[[], None]) -> None:
    """Run `work` where recursion has room: the counting matcher goes one level down with each character."""
    failure: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except (Exception, pytest.fail.Exception) as error:  # noqa: BLE001 - raised again in the test's own thread
            failure.append(error)

    limit = sys.getrecursionlimit()
    size = threading.stack_size(512 * 1024 * 1024)
    try:
        sys.setrecursionlimit(50_000)
        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
    finally:
        sys.setrecursionlimit(limit)
        threading.stack_size(size)
    if failure:
        raise failure[0]


def slow_text(pattern: Pattern) -> str:
    """What makes the pattern slow; "" if nothing does."""
    for make in adversaries(pattern):
        try:
            longest = make(LENGTHS[-1])
            if steps(pattern, longest) < FEW * len(longest):
                continue
            counts = [steps(pattern, make(length)) for length in LENGTHS]
        except TooManySteps:
            return f"{make(LENGTHS[-1])!r}: exponential"
        if counts[2] > LINEAR * counts[1] and counts[1] > LINEAR * counts[0]:
            return f"{make(LENGTHS[0])!r}: {counts}"
    return ""


def test_patterns_are_found() -> None:
    assert len(PATTERNS) > 50


@pytest.mark.slow
@pytest.mark.parametrize("pattern", PATTERNS, ids=lambda pattern: pattern.place)
def test_a_pattern_is_linear(pattern: Pattern) -> None:
    def work() -> None:
        slow = slow_text(pattern)
        assert not slow, f"{pattern.text!r} on {slow}"

    roomy(work)


@pytest.mark.parametrize(
    ("text", "uses"),
    [
        (r"\s+$", "search"),
        (r'"(?:[^"\\]|\\.)*"', "finditer"),
        (r"(?:a|b|ab)*c", "match"),
        (r"\s*(`{3,}|~{3,})\s*(.*?)\s*$", "match"),
        (r"[^\s:]*/\w+", "findall"),
    ],
)
def test_a_slow_pattern_is_seen(text: str, uses: str) -> None:
    def work() -> None:
        assert slow_text(Pattern("here", text, 0, frozenset({uses})))

    roomy(work)


PIECES = ["${", "$${", "{", "}", "a", ".", "[0]", "[${a}]", '"', '\\"', " ", " ?? ", "?", "true", "{}", "12"]


def read_by_the_scanner(text: str, monkeypatch: pytest.MonkeyPatch) -> int:
    """How many characters `parse` looks at, those of the patterns counted as `Counter` does."""
    seen = 0

    class Counted:
        def __init__(self, pattern: re.Pattern[str]) -> None:
            self.pattern = pattern
            self.counter = Counter(pattern.pattern, pattern.flags)

        def match(self, source: str, at: int) -> re.Match[str] | None:
            nonlocal seen
            before = self.counter.steps
            self.counter.match(source, at)
            seen += self.counter.steps - before
            return self.pattern.match(source, at)

        def search(self, source: str, at: int) -> re.Match[str] | None:
            nonlocal seen
            found = self.pattern.search(source, at)
            seen += (found.end() if found else len(source)) - at
            return found

    with monkeypatch.context() as patched:
        for name, value in vars(template).copy().items():
            if isinstance(value, re.Pattern):
                patched.setattr(template, name, Counted(value))
        template.parse.__wrapped__(text)
    return seen


def test_the_scanner_of_templates_is_linear(monkeypatch: pytest.MonkeyPatch) -> None:
    pumps = [*PIECES, *(first + second for first, second in itertools.permutations(PIECES, 2))]
    pumps += ["true ?? ", "a[${b}].", '"}${" ?? ', '"${x" ?? ', "$${a{b}", '${a ?? "}" ?? ']

    def work() -> None:
        for pump, start in itertools.product(pumps, ("", "${a ?? ", '${"')):
            counts = [read_by_the_scanner(start + pump * n + "!", monkeypatch) for n in (8, 16, 32)]
            grown = counts[2] > LINEAR * counts[1] and counts[1] > LINEAR * counts[0]
            assert not grown, (start, pump, counts)

    roomy(work)


def test_what_looks_like_a_path_is_found_in_one_pass() -> None:
    text = "a" * 400_000 + " " + "0123456789abcdef" * 20_000 + " x:./prompt.md"
    assert mentioned(text) == ["./prompt.md"]


def test_two_thousand_operands_do_not_hang_a_command(tmp_path: Path) -> None:
    operands = " ?? ".join(["true"] * 2_000)
    workflow = tmp_path / "workflow.json"
    node = f'{{"id": "a", "type": "shell", "params": {{"command": "${{{operands} ?? !}}"}}}}'
    workflow.write_text(f'{{"ir_version": "0.1.0", "nodes": [{node}]}}', encoding="utf-8")
    command = [sys.executable, "-m", "pflow_lower", str(workflow)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=tmp_path, check=False)
    assert "error[PFL" in done.stderr


def inline_items(number: int) -> dict[str, Any]:
    """A batch over a list that is written out, each item another reference."""
    items = [f"${{list.response.f{n}}}" for n in range(number)]
    node = {"id": "say", "type": "llm", "params": {"prompt": "${item}"}, "batch": {"items": items}}
    first = {"id": "list", "type": "http", "params": {"url": "x"}}
    return {"nodes": [first, node], "edges": [{"from": "list", "to": "say"}]}


def lost_nodes(number: int) -> dict[str, Any]:
    """Nodes that no edge leads to, from all of which the same chain goes on."""
    ids = ["start", *(f"lost{n}" for n in range(number)), *(f"chain{n}" for n in range(number))]
    edges = [(f"lost{n}", "chain0") for n in range(number)] + [
        (f"chain{n}", f"chain{n + 1}") for n in range(number - 1)
    ]
    nodes = [{"id": name, "type": "shell", "params": {"command": "x"}} for name in ids]
    return {"nodes": nodes, "edges": [{"from": one, "to": two} for one, two in edges]}


def calls_in(work: Callable[[], object]) -> int:
    """How many functions are called by `work`, those written in C included."""
    seen = 0

    def count(_frame: object, event: str, _argument: object) -> None:
        nonlocal seen
        seen += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(before)
    return seen


@pytest.mark.parametrize("workflow", [inline_items, lost_nodes])
def test_twice_as_long_a_workflow_takes_twice_as_many_calls(workflow: Callable[[int], dict[str, Any]]) -> None:
    def calls(number: int) -> int:
        made = workflow(number)
        return calls_in(lambda: pflow_lower.lower(made))

    calls(1)  # what is imported and remembered
    assert calls(640) < 2.5 * calls(320)


def called_otherwise(number: int, prefix: str) -> SourceIR:
    """Batches of long lists, which another prefix gives other names."""
    nodes = [
        {
            "id": f"{prefix}{n}",
            "type": "shell",
            "params": {"command": f"echo {n} ${{item}}"},
            "batch": {"items": [f"{n}, {item}" for item in range(200)]},
        }
        for n in range(number)
    ]
    return source_of(from_data({"nodes": nodes}))


def test_what_renamed_nodes_say_is_looked_at_once_for_each_not_for_each_pair() -> None:
    def calls(number: int) -> int:
        old, new = called_otherwise(number, "a"), called_otherwise(number, "b")
        pairs, removed = pair_up(old, new)
        assert [(one.number, two.number) for one, two in pairs] == [(n, n) for n in range(number)]
        assert not removed
        return calls_in(lambda: pair_up(old, new))

    assert calls(40) < 2.5 * calls(20)


def counted(monkeypatch: pytest.MonkeyPatch, owner: object, name: str) -> list[object]:
    """The first argument of every call of the function `name` of `owner`."""
    asked: list[object] = []
    original = getattr(owner, name)

    def call(first: object, *others: Any, **named: Any) -> Any:
        asked.append(first)
        return original(first, *others, **named)

    monkeypatch.setattr(owner, name, call)
    return asked


def test_a_long_list_is_not_written_once_for_each_level_that_it_is_nested(monkeypatch: pytest.MonkeyPatch) -> None:
    deep = [[[number + 1000 * row for number in range(100)] for row in range(100)]]
    written = counted(monkeypatch, python_text, "literal")
    python_text.lay_out(python_text.PyLiteral([deep]))
    assert len(written) < 1.5 * 100 * 100


def test_a_reference_is_looked_at_once_however_often_it_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    evaluated = counted(monkeypatch, shell, "evaluate")
    command = "echo ${item} '${item}' " * 50
    node = {"id": "a", "type": "shell", "params": {"command": command}, "batch": {"items": ["x", "y"]}}
    assert not list(shell.quoted_item(*context_and_node({"nodes": [node]})))
    assert evaluated == ["${item}"] * 2 * 2


def context_and_node(workflow: dict[str, Any]) -> tuple[LintContext, SourceNode]:
    ir = source_of(from_data(workflow))
    return LintContext.of(ir), ir.nodes[0]


def test_the_parts_of_a_value_that_is_not_told_apart_are_not_looked_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    workflow = {"inputs": {}, "nodes": [inline_items(300)["nodes"][1] | {"batch": {"items": list(range(300))}}]}
    file = tmp_path / "w.json"
    file.write_text(json.dumps(workflow), encoding="utf-8")
    compiled = pipeline.run(str(file), Options())
    whole = ("nodes", 0, "batch", "items")
    maps = maps_of(compiled.lowered, compiled.marked)
    looked_for = counted(monkeypatch, type(compiled.lowered.positions), "find")
    kept = maps_of(compiled.lowered, compiled.marked, {whole})
    assert len(looked_for) < 100
    assert kept == {
        name: [one for one in rows if one.path[:4] != whole or len(one.path) == 4] for name, rows in maps.items()
    }


def test_the_registry_of_pflow_is_read_once_not_for_each_node(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    registry = pytest.importorskip("pflow.registry").Registry
    monkeypatch.setenv("HOME", str(tmp_path))
    step = "### say{n}\n\nSays it.\n\n- type: shell\n- command: echo ${{item}}\n- batch:\n    items: [1]\n\n"
    steps = "".join(step.format(n=n) for n in range(20))
    (tmp_path / "w.pflow.md").write_text(f"# Say\n\nSays it.\n\n## Steps\n\n{steps}", encoding="utf-8")
    asked = counted(monkeypatch, registry, "load")
    pipeline.run(str(tmp_path / "w.pflow.md"), Options(ask_pflow=True))
    assert len(asked) == 1
