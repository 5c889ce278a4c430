"""Hostile workflows through everything that reads one: none makes a traceback, none becomes more than text.

    python tests/fuzz_hostile.py --examples 10000

A workflow is a sound one in which strings, keys and values were replaced: by text that tries to get out of a Python
literal, a comment, an f-string, a template, HTML, Markdown, Mermaid or a shell command, or by whatever JSON there is.
It is lowered, linted, planned, compared with itself, drawn, shown on a page and reported in every form of findings.
`tests/test_fuzz_hostile.py` does so for some hundred.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import copy
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from helpers.html_page import Page, harmless
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from pflow_lower import pipeline
from pflow_lower.diagnostics.diagnostic import LowerError
from pflow_lower.diagnostics.formats.show import FORMATS, render
from pflow_lower.options import Options
from pflow_lower.tools.diff.node_changes import compare
from pflow_lower.tools.lint.findings import lint_findings
from pflow_lower.tools.lower.mermaid import before_and_after
from pflow_lower.tools.plan.known import WrongInput
from pflow_lower.tools.plan.run import plan
from pflow_lower.tools.view.explore import explore
from pflow_lower.tools.view.page import render as page

GOLDEN = Path(__file__).resolve().parent.parent / "golden"
SOUND = [json.loads(path.read_bytes()) for path in sorted(GOLDEN.glob("ok/*/workflow.json"))]
CALLED = "pwned"
"""What every attack on Python calls."""

ATTACKS = [
    f'"); {CALLED}() #',
    f"'); {CALLED}() #",
    f'"""\n{CALLED}()\n"""',
    f"'''\n{CALLED}()\n'''",
    f"\n{CALLED}()\n",
    f"\r{CALLED}()",
    f"\u2028{CALLED}()\u2029",
    f"{{{CALLED}()}}",
    f"{{{{ {CALLED}() }}}}",
    "{% raw %}",
    f"\\\n{CALLED}()",
    f'\\"; {CALLED}()',
    f'${{item}}"); {CALLED}() #',
    f"${{{CALLED}()}}",
    f'${{a ?? "}}"); {CALLED}() #"}}',
    "<script>pwned()</script>",
    "</script><script>pwned()</script>",
    "<img src=x onerror=pwned()>",
    "</style></title></textarea><svg/onload=pwned()>",
    "--><b onclick=pwned()>",
    "javascript:pwned()",
    "&lt;script&gt;&#x3c;",
    "::error file=x::pwned",
    "%0A::set-output name=x::y",
    "]]><x/>",
    'a"] --> b; click a "javascript:pwned()"',
    "```\n# pwned\n",
    "| a | b |\n<!-- -->",
    "$(pwned) `pwned` ; pwned",
    "__class__",
    "class",
    "nodes:PwnedBatch",
    "os:system",
    "\x00\x1b[31m\x7f\u202e\ufeff",
    "é☃😀" * 30,
    "a" * 300,
]

ATTACK = st.sampled_from(ATTACKS)
TEXTS = st.one_of(ATTACK, st.text(max_size=20), st.lists(ATTACK, max_size=3).map("".join))
VALUES = st.recursive(
    st.one_of(TEXTS, st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXTS, inner, max_size=3)),
    max_leaves=6,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths of everything inside `value`."""
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, child in children:
        yield (*path, step)
        yield from places(child, (*path, step))


@st.composite
def workflows(draw: st.DrawFn) -> Any:
    """A sound workflow, changed in some places."""
    workflow = copy.deepcopy(draw(st.sampled_from(SOUND)))
    for _ in range(draw(st.integers(1, 4))):
        found = list(places(workflow))
        if not found:
            break
        texts = [path for path in found if isinstance(path[-1], str) and path[-1] not in ("id", "type", "from", "to")]
        path = draw(st.sampled_from(texts if texts and draw(st.integers(0, 3)) else found))
        holder = workflow
        for step in path[:-1]:
            holder = holder[step]
        how = draw(st.sampled_from(["beside"] * 8 + ["text", "everywhere", "key", "value", "drop", "twice"]))
        old = holder[path[-1]]
        if how == "beside" and isinstance(old, str):
            holder[path[-1]] = draw(st.sampled_from(["{} {}", "{1}{0}", "{1}"])).format(old, draw(TEXTS))
        elif how == "beside":
            continue
        elif how == "everywhere" and isinstance(old, str) and old:  # an id with its edges and references
            new = draw(TEXTS)
            workflow = json.loads(json.dumps(workflow).replace(json.dumps(old)[1:-1], json.dumps(new)[1:-1]))
        elif how == "key" and isinstance(holder, dict):
            holder[draw(TEXTS)] = holder.pop(path[-1])
        elif how == "drop":
            del holder[path[-1]]
        elif how == "twice" and isinstance(holder, list):
            holder.append(copy.deepcopy(old))
        else:
            holder[path[-1]] = draw(TEXTS if how == "text" and isinstance(old, str) else VALUES)
    return workflow


def check(workflow: Any, file: Path, seen: Counter[str]) -> None:
    """Raises: AssertionError, or whatever must not be raised."""
    file.write_text(json.dumps(workflow, ensure_ascii=False), encoding="utf-8", errors="surrogatepass")
    seen["workflows"] += 1
    explored = explore(str(file))
    findings = list(explored.findings)
    if explored.compiled is not None:
        seen["lowered"] += 1
        source = explored.compiled.source
        for name, text in explored.compiled.files.items():
            if name.endswith(".py"):
                inert(text)
        seen["programs"] += "flow.py" in explored.compiled.files
        pipeline.run(file, Options(out=file.parent / "out"))  # with its source maps
        findings += lint_findings(source, str(file))
        assert compare(source, source) == ()
        before_and_after(source.data, explored.compiled.lowered.document)
        with contextlib.suppress(LowerError, WrongInput):
            plan(str(file))
    for form in FORMATS:
        render(findings, form)
    if explored.text:
        seen["pages"] += 1
        harmless(Page(page(explored, findings)))


def inert(text: str) -> None:
    """Generated Python has none of the calls that attacks want."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call):  # a step's variable may well be called after its id
            assert ast.unparse(node.func).rpartition(".")[2] != CALLED


def search(max_examples: int, seen: Counter[str], **more: Any) -> Callable[[], None]:
    """A function that tries so many workflows."""
    folder = tempfile.TemporaryDirectory()

    @given(workflows())
    @settings(
        max_examples=max_examples,
        deadline=None,
        database=None,
        report_multiple_bugs=False,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
        **more,
    )
    def run(workflow: Any) -> None:
        check(workflow, Path(folder.name) / "workflow.json", seen)

    def all_of_them() -> None:
        with folder:
            run()

    all_of_them.hypothesis = run  # type: ignore[attr-defined]  # for `seed`
    return all_of_them


def main() -> None:
    """Run it and say what was seen."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--examples", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 2**32)
    chosen = parser.parse_args()
    seen: Counter[str] = Counter()
    tried = search(chosen.examples, seen)
    seed(chosen.seed)(tried.hypothesis)  # type: ignore[attr-defined]
    try:
        tried()
    finally:
        sys.stdout.write(f"seed {chosen.seed}: {dict(seen)}\n")


if __name__ == "__main__":
    main()
