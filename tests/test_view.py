"""view: the page as HTML, where it is put, and the server that keeps it up to date."""

from __future__ import annotations

import contextlib
import http.client
import io
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from click.testing import CliRunner
from helpers.html_page import Page, harmless
from helpers.whole_files import put
from hypothesis import given, settings
from hypothesis import strategies as st

from pflow_lower.cli import cli, run
from pflow_lower.diagnostics.diagnostic import Diagnostic, Position, Severity
from pflow_lower.tools.view.explore import explore
from pflow_lower.tools.view.graph import graph_of
from pflow_lower.tools.view.labels import labels
from pflow_lower.tools.view.layout import HEIGHT, WIDTH, lay_out
from pflow_lower.tools.view.page import render

GOLDEN = Path(__file__).parent.parent / "golden"
CLASSIFIER = GOLDEN / "ok" / "issue-classifier" / "workflow.json"
HOSTILE = "</script></style></title><img src=x onerror=alert(1)><!-- ]]> &lt; \" ' ` {{ 7*7 }} \u202e\u0000"


def page_of(path: Path, **more: Any) -> Page:
    return Page(render(explore(str(path)), **more))


def written(folder: Path, data: Any, name: str = "workflow.json") -> Path:
    return put(folder / name, data if isinstance(data, str) else json.dumps(data, indent=2))


class Run(NamedTuple):
    exit_code: object
    stdout: str
    stderr: str


def view(*arguments: object, command: Sequence[str] = ("view", "--no-open")) -> Run:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), pytest.raises(SystemExit) as exited:
        run([*command, *map(str, arguments)])
    return Run(exited.value.code, out.getvalue(), err.getvalue())


def batch_workflow(prompt: str = "Say ${item}", name: str = "say", **batch: Any) -> dict[str, Any]:
    node = {"id": name, "type": "llm", "params": {"prompt": prompt}, "batch": {"items": "${words}", **batch}}
    return {"inputs": {"words": {"type": "array"}}, "nodes": [node], "edges": []}


CASES = sorted(path for path in GOLDEN.glob("*/*/workflow.*"))


@pytest.mark.parametrize("path", CASES, ids=lambda path: f"{path.parent.parent.name}/{path.parent.name}")
def test_every_golden_workflow_has_a_page(path: Path) -> None:
    if path.suffix == ".md":
        pytest.importorskip("pflow")
    explored = explore(str(path))
    html = render(explored)
    page = Page(html)
    harmless(page)
    assert html == render(explored)
    ids = page.all("id")
    assert len(ids) == len(set(ids))
    assert {href[1:] for href in page.all("href") if href} <= set(ids)
    assert {*page.all("aria-controls"), *page.all("aria-labelledby")} <= set(ids)
    texts = [explored.text, *(explored.compiled.files.values() if explored.compiled else ())]
    shown = [page.text(pane) for pane in page.lines]
    for text in texts:
        if text and not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ufeff]", text):
            assert text.rstrip("\n") in [each.rstrip("\n") for each in shown]


def test_lines_lead_to_what_they_became_and_back() -> None:
    source = CLASSIFIER.read_text(encoding="utf-8").splitlines()
    page = page_of(CLASSIFIER)
    href = {attributes["id"]: attributes.get("href") for _, attributes in page.elements if "id" in attributes}

    def line(pane: int, text: str) -> str:
        return f"p{pane}-{next(at for at, line in enumerate(page.lines[pane], 1) if text in line)}"

    prompt = next(at for at, text in enumerate(source, 1) if '"prompt": "Title' in text)
    became = href[f"p0-{prompt}"]
    assert became is not None
    assert '"prompt": ' in page.lines[1][int(became.partition("-")[2]) - 1]
    assert href[became[1:]] == f"#p0-{prompt}"
    assert href[line(1, "items = peek")] == f"#{line(0, 'items')}"
    assert href[line(1, "class ClassifyBatch")] == f"#{line(0, chr(34) + 'parallel' + chr(34))}"  # what its base is for
    assert href[line(3, '"type": "nodes:ClassifyBatch"')] == "#" + line(0, '"id": "classify"').replace("24", "25")


def test_a_line_of_a_long_prompt_leads_to_its_own_line(tmp_path: Path) -> None:
    pytest.importorskip("pflow")
    page = page_of(GOLDEN / "ok" / "markdown" / "workflow.pflow.md")
    at = next(at for at, line in enumerate(page.lines[1], 1) if "It is file {call.index}" in line)
    href = next(a["href"] for _, a in page.elements if a.get("id") == f"p1-{at}")
    assert "It is file ${__index__}" in page.lines[0][int(href.partition("-")[2]) - 1]


def test_hostile_text_stays_text(tmp_path: Path) -> None:
    hostile = HOSTILE.replace("\u0000", "")
    data = batch_workflow(hostile + "${item}", name=hostile, **{"as": "item"})
    data["nodes"].append({"id": "b", "type": hostile, "purpose": hostile, "params": {hostile: hostile}})
    data["edges"] = [{"from": hostile, "to": "b", "action": hostile}]
    data["outputs"] = {hostile: {"source": "${b}", "description": hostile}}
    # As the author's editor would write it: no escape is left to JSON.
    path = written(tmp_path, json.dumps(data, indent=2, ensure_ascii=False), "<b>&'.json")
    explored = explore(str(path))
    extra = [Diagnostic("PFL301", Severity.WARNING, hostile, hostile, hostile, Position(1, 1), f"{hostile}\n{hostile}")]
    page = Page(render(explored, extra, {hostile: {hostile: hostile}, "b": {"items": hostile}}))
    harmless(page)
    assert page.texts["h1"] == ["<b>&'.json"]
    assert "\u202e" not in "".join(text for texts in page.texts.values() for text in texts)
    assert "U+202E" in page.text(0)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_no_text_of_a_workflow_becomes_markup(data: st.DataObject) -> None:
    pieces = st.sampled_from(
        [*HOSTILE.split(), "${item}", "${words}", "<b>", "\r", "\u2028", "\u202e", "\x1b", "```", "é"]
    )
    text = st.lists(pieces, max_size=4).map(" ".join)
    workflow = batch_workflow(data.draw(text), name=data.draw(text), **{data.draw(text): data.draw(text)})
    workflow["nodes"].append({"id": data.draw(text), "type": data.draw(text), data.draw(text): data.draw(text)})
    workflow["edges"].append({"from": data.draw(text), "to": data.draw(text), "action": data.draw(text)})
    source = json.dumps(workflow, ensure_ascii=data.draw(st.booleans()), indent=data.draw(st.sampled_from([None, 2])))
    explored = explore("-", stdin=Stdin(source.encode()))
    harmless(Page(render(explored)))


class Stdin:
    def __init__(self, content: bytes) -> None:
        self._content = content

    def read(self, _size: int = -1) -> bytes:
        return self._content


@pytest.mark.slow
def test_the_page_depends_on_nothing_but_the_workflow(tmp_path: Path) -> None:
    made = set()
    for seed in ("0", "1"):
        folder = tmp_path / seed
        folder.mkdir()
        written(folder, CLASSIFIER.read_text(encoding="utf-8"))
        command = [sys.executable, "-m", "pflow_lower", "view", "workflow.json", "--no-open", "--out", "page.html"]
        subprocess.run(command, cwd=folder, env={**os.environ, "PYTHONHASHSEED": seed}, check=True, capture_output=True)
        made.add((folder / "page.html").read_bytes())
    assert len(made) == 1


def test_a_workflow_with_errors_shows_them_in_place_and_no_code(tmp_path: Path) -> None:
    path = written(tmp_path, batch_workflow("${wrods}"))
    result = view(path, "--out", tmp_path / "page.html")
    assert result.exit_code == 2
    assert "error[PFL301]" in result.stderr
    page = Page((tmp_path / "page.html").read_text(encoding="utf-8"))
    assert set(page.lines) == {0}
    assert any("did you mean ${words}?" in text for text in page.texts["p"])
    assert "There is no generated code: the workflow has errors." in page.texts["p"]
    # In place: right below the line that it is about.
    order = [a.get("id") or a.get("class") for tag, a in page.elements if tag in ("a", "div")]
    line = next(at for at, text in enumerate(page.lines[0], 1) if "wrods" in text)
    assert order[order.index(f"p0-{line}") + 1] == "f0"


def test_text_that_is_no_json_is_shown_with_what_is_wrong(tmp_path: Path) -> None:
    result = view(written(tmp_path, '{"nodes": [\n  oops\n]}\n'), "--out", tmp_path / "page.html")
    assert result.exit_code == 2
    page = Page((tmp_path / "page.html").read_text(encoding="utf-8"))
    assert page.text(0) == '{"nodes": [\n  oops\n]}\n'
    assert "f0" in page.all("id")


def test_there_is_no_page_of_nothing(tmp_path: Path) -> None:
    (tmp_path / "bytes.json").write_bytes(b"\xff\xfe\x00")
    for name, code in (("missing.json", "PFL101"), ("bytes.json", "PFL103")):
        result = view(tmp_path / name, "--out", tmp_path / "page.html")
        assert (result.exit_code, code in result.stderr) == (2, True)
        assert not (tmp_path / "page.html").exists()


def test_standard_input_has_a_page(tmp_path: Path) -> None:
    out = tmp_path / "page.html"
    command = [sys.executable, "-m", "pflow_lower", "view", "-", "--no-open", "--out", str(out)]
    result = subprocess.run(command, input=CLASSIFIER.read_bytes(), capture_output=True, check=True)
    assert result.stderr == b""
    assert Page(out.read_text(encoding="utf-8")).texts["h1"] == ["standard input"]


def test_a_file_of_the_users_is_not_replaced_and_ours_is(tmp_path: Path) -> None:
    theirs = written(tmp_path, "<!doctype html>\n<p>mine", "page.html")
    result = view(CLASSIFIER, "--out", theirs)
    assert (result.exit_code, "PFL601" in result.stderr) == (2, True)
    assert theirs.read_text(encoding="utf-8") == "<!doctype html>\n<p>mine"
    ours = tmp_path / "ours.html"
    assert view(written(tmp_path, batch_workflow("1 ${item}")), "--out", ours).exit_code == 0
    assert view(written(tmp_path, batch_workflow("2 ${item}")), "--out", ours).exit_code == 0
    assert "2 ${item}" in Page(ours.read_text(encoding="utf-8")).text(0)


def test_without_out_a_workflow_always_has_the_same_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    path = written(tmp_path, batch_workflow())
    first, again = view(path), view(path)
    assert first.stdout == again.stdout
    place = Path(first.stdout.strip())
    assert place.is_file() and (tmp_path / "tmp") in place.parents
    assert not list(tmp_path.glob("*.html"))
    assert view(written(tmp_path, batch_workflow(), "other.json")).stdout != first.stdout
    if os.name == "posix":
        # A folder that others can write to may hold a trap: it is not used.
        place.parent.chmod(0o777)
        assert Path(view(path).stdout.strip()).parent != place.parent


def test_the_page_is_opened_unless_told_not_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", lambda url: not opened.append(url))
    out = tmp_path / "a page.html"
    assert view(CLASSIFIER, "--out", out, command=["view"]).exit_code == 0
    assert opened == [out.as_uri()]
    view(CLASSIFIER, "--out", out)
    assert len(opened) == 1


def test_findings_and_a_plan_stand_where_they_belong() -> None:
    finding = Diagnostic(
        "PFL501", Severity.WARNING, "twice the money", "classify.batch", "", Position(32, 7), "do less"
    )
    page = page_of(CLASSIFIER, findings=[finding], plan={"classify": {"items": "40", "calls": "40 to 120"}})
    order = [a.get("id") or a.get("class") for tag, a in page.elements if tag in ("a", "div", "ul")]
    assert order[order.index("p0-32") + 1] == "f0"
    assert order[order.index("p0-24") + 1] == "facts"
    assert {"items", "calls"} <= set(page.texts["b"])
    assert " 40 to 120" in page.texts["li"]
    assert "1 warning" in page.texts["summary"]


def test_lint_and_plan_are_on_the_page(tmp_path: Path) -> None:
    node = {
        "id": "say",
        "type": "llm",
        "params": {"prompt": "Hello"},
        "batch": {"items": ["a", "b"], "max_concurrent": 3},
    }
    path = written(tmp_path, {"nodes": [node], "edges": []})
    assert view(path, "--out", tmp_path / "page.html").exit_code == 0
    page = Page((tmp_path / "page.html").read_text(encoding="utf-8"))
    linted = CliRunner().invoke(cli, ["lint", str(path)]).output
    codes = set(re.findall(r"PFL5\d\d", linted))
    assert codes and codes <= {text.split()[-1] for text in page.texts["b"]}
    facts = "".join(page.texts["li"])
    assert "SayBatch" in facts and " 2" in facts
    assert {"items", "calls"} <= set(page.texts["b"])
    # What the user accepts is not a finding here either.
    accepted = f'[tool.pflow-lower.lint.ignore]\n"*.json" = {{ say = {json.dumps(sorted(codes))} }}\n'
    (tmp_path / "pyproject.toml").write_text(accepted, encoding="utf-8")
    assert view(path, "--out", tmp_path / "page.html").exit_code == 0
    page = Page((tmp_path / "page.html").read_text(encoding="utf-8"))
    assert not codes & {text.split()[-1] for text in page.texts["b"]}


def test_a_workflow_that_starts_itself_has_a_page_that_says_so(tmp_path: Path) -> None:
    nodes = [{"id": f"a{at}", "type": "workflow", "params": {"workflow": "./again.json"}} for at in range(3)]
    edges = [{"from": "a0", "to": "a1"}, {"from": "a1", "to": "a2"}]
    path = written(tmp_path, {"nodes": nodes, "edges": edges}, "again.json")
    assert view(path, "-o", tmp_path).exit_code == 0
    page = Page((tmp_path / "again.html").read_text(encoding="utf-8"))
    assert "".join(page.texts["li"]).count("the workflow ./again.json starts itself") == 3


def test_what_keeps_a_program_from_being_made_is_said(tmp_path: Path) -> None:
    data = batch_workflow()
    data["nodes"].append({"id": "again", "type": "shell", "params": {"command": "x"}, "approval": "required"})
    explored = explore(str(written(tmp_path, data)))
    assert explored.compiled is not None
    page = Page(render(explored))
    assert page.all("data-name") == ["nodes.py", "lowered.json"]
    assert any("PFL450" in text for text in page.texts["b"])


# Places and the drawing


def test_the_extent_of_a_value_is_its_lines(tmp_path: Path) -> None:
    document = explore(str(CLASSIFIER)).document
    assert document is not None
    lines = CLASSIFIER.read_text(encoding="utf-8").splitlines()

    def text(*path: str | int) -> list[str]:
        extent = document.positions.extent(path)
        assert extent is not None
        return [line.strip() for line in lines[extent[0] - 1 : extent[1]]]

    assert text("nodes", 1, "batch", "as") == ['"as": "issue",']
    assert (text("nodes", 1, "batch")[0], text("nodes", 1, "batch")[-1]) == ('"batch": {', "}")
    assert text("nodes", 1)[1] == '"id": "classify",'
    assert text("nodes", 1, "batch", "nowhere") == text("nodes", 1, "batch")
    assert text() == [line.strip() for line in lines]


def test_the_extent_of_a_value_in_markdown_is_its_lines() -> None:
    pytest.importorskip("pflow")
    path = GOLDEN / "ok" / "markdown" / "workflow.pflow.md"
    document = explore(str(path)).document
    assert document is not None
    lines = path.read_text(encoding="utf-8").splitlines()
    for place, first, last in (
        (("nodes", 1), "### summarise", "```"),
        (("nodes", 1, "params", "model"), "- model: gpt-5", "- model: gpt-5"),
        (("nodes", 1, "batch", "as"), "as: note", "as: note"),
        (("nodes", 2, "params", "prompt"), "What do these", "${summarise.results}"),
        (("outputs",), "## Outputs", "## Outputs"),
    ):
        extent = document.positions.extent(place)
        assert extent is not None
        assert lines[extent[0] - 1].startswith(first), place
        assert lines[extent[1] - 1].startswith(last), place


def test_the_graph_has_the_edges_that_count() -> None:
    nodes = [{"id": name, "type": "shell"} for name in "abc"]
    written = [{"from": "a", "to": "b"}, {"from": "a", "to": "c"}, {"from": "a", "to": "b", "action": ""}, {"from": 1}]
    graph = graph_of({"nodes": nodes, "edges": written}, [])
    assert graph is not None
    assert [(curve.start, curve.end, curve.word) for curve in graph.curves] == [(0, 2, ""), (0, 1, '""')]


EDGES = st.integers(1, 12).flatmap(
    lambda count: st.tuples(
        st.just(count), st.lists(st.tuples(st.integers(0, count - 1), st.integers(0, count - 1)), max_size=25)
    )
)


@given(EDGES)
def test_boxes_never_overlap_and_edges_go_forward_where_they_can(graph: tuple[int, list[tuple[int, int]]]) -> None:
    count, edges = graph
    laid = lay_out(count, edges)
    assert len(laid.places) == count and len(laid.curves) == len(laid.labels) == len(edges)
    for at, (x, y) in enumerate(laid.places):
        assert 0 <= x <= laid.width - WIDTH and 0 <= y <= laid.height - HEIGHT
        for x2, y2 in laid.places[:at]:
            assert abs(x - x2) >= WIDTH or abs(y - y2) >= HEIGHT
    if all(a < b for a, b in edges):
        assert all(laid.places[a][0] < laid.places[b][0] for a, b in edges)


@pytest.mark.slow
def test_a_chain_of_thousands_is_laid_out_in_a_row() -> None:
    laid = lay_out(5000, [(at, at + 1) for at in range(4999)])
    assert len({y for _, y in laid.places}) == 1
    assert [x for x, _ in laid.places] == sorted({x for x, _ in laid.places})
    assert laid.columns == list(range(5000))


def test_labels_of_different_nodes_are_different() -> None:
    pattern = [f"{kind}_{at}_of_all_regions" for at in range(100) for kind in ("fetch_commits", "notify_images")]
    shown = labels(pattern, 17)
    assert len(set(shown)) == 200
    assert all("_7_" in label for name, label in zip(pattern, shown, strict=True) if "_7_" in name)
    crossed = [f"aaaa_{a}_{'b' * 20}_{b}" for a in "XYZ" for b in "123"]
    assert len(set(labels(crossed, 17))) == 9
    assert labels(["a", "b", "a"], 17) == ["a", "b", "a"]
    assert labels(["classify", "日本語日本語日本語日本語"], 17)[0] == "classify"


@given(st.lists(st.text("ab_\u202e語", max_size=40), max_size=12), st.integers(8, 20))
def test_a_label_fits_and_tells_its_node_from_others(names: list[str], room: int) -> None:
    shown = labels(names, room)
    assert all(len(label) + label.count("語") <= room and label.isprintable() for label in shown)
    same = {name.replace("\u202e", "�"): label for name, label in zip(names, shown, strict=True)}
    assert len(set(same.values())) == len(same)


@pytest.mark.slow
@pytest.mark.parametrize("indent", [1, 2, None])
def test_many_items_are_folded_and_the_page_stays_small(tmp_path: Path, indent: int | None) -> None:
    """Ten times the items, the same page."""
    sizes = []
    for count in (2_000, 20_000):
        data = batch_workflow(items=[{"id": at, "name": f"row {at}"} for at in range(count)])
        html = render(explore(str(written(tmp_path, json.dumps(data, indent=indent)))))
        page = Page(html) if indent is None else None
        assert page is None or page.open == []
        ids = set(re.findall(r' id="(p\d-\d+)"', html))
        assert set(re.findall(r' href="#(p\d-\d+)"', html)) <= ids
        assert "left out" in html and "row 0" in html
        sizes.append(len(html))
    assert sizes[1] < 400_000
    assert sizes[1] < 1.2 * sizes[0]


def test_a_long_prompt_is_shown_in_full(tmp_path: Path) -> None:
    path = written(tmp_path, batch_workflow("\n".join(f"line {at} ${{item}}" for at in range(300))))
    page = page_of(path)
    assert "line 299" in page.text(1) and "left out" not in page.text(1)


def test_header_and_imports_are_folded(tmp_path: Path) -> None:
    page = page_of(CLASSIFIER)
    folded = {a["id"]: a for _, a in page.elements if a.get("hidden") == "until-found"}
    assert set(folded) == {"head1", "head2"}
    assert {"head1", "head2"} <= set(page.all("aria-controls"))


def test_a_folder_takes_the_page_as_it_takes_the_files_of_lower(tmp_path: Path) -> None:
    path = written(tmp_path, batch_workflow(), "say.json")
    assert view(path, "-o", tmp_path / "pages").exit_code == 0
    assert view(path, "-o", tmp_path / "pages" / "named.html").exit_code == 0
    assert sorted(each.name for each in (tmp_path / "pages").iterdir()) == ["named.html", "say.html"]
    (tmp_path / "is-a-folder.html").mkdir()
    assert view(path, "-o", tmp_path / "is-a-folder.html").exit_code == 0
    assert (tmp_path / "is-a-folder.html" / "say.html").is_file()
    assert view(path, "-o", "").exit_code == 2


def test_what_the_loader_keeps_for_itself_is_not_shown() -> None:
    pytest.importorskip("pflow")
    html = render(explore(str(GOLDEN / "ok" / "markdown" / "workflow.pflow.md")))
    data = json.loads(re.search(r'id="links">(.*?)</script>', html, re.S)[1])  # type: ignore[index]
    assert not [label for label, *_ in data["links"] if "._" in label]


# The server


class Served:
    """`view --serve` in a process of its own."""

    def __init__(self, path: Path) -> None:
        command = [sys.executable, "-u", "-m", "pflow_lower", "view", "--serve", "--no-open", str(path)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().strip()
        self.port = int(self.url.rstrip("/").rpartition(":")[2])

    def ask(self, path: str = "/", method: str = "GET", **headers: str) -> tuple[int, str, http.client.HTTPMessage]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        found = answer.status, answer.read().decode(), answer.headers
        connection.close()
        return found

    def words(self) -> Iterator[str]:
        """The words that the events bring."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request("GET", "/events")
        answer = connection.getresponse()
        while True:
            line = answer.readline().decode()
            if line.startswith("data: "):
                yield line.removeprefix("data: ").strip()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    server = Served(written(tmp_path, batch_workflow()))
    yield server
    if server.process.poll() is None:
        server.process.kill()
    server.process.communicate()


def test_the_server_has_one_page_for_this_machine_only(served: Served) -> None:
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/", served.url)
    status, html, headers = served.ask()
    assert status == 200 and headers["Cache-Control"] == "no-store"
    assert (
        headers["X-Content-Type-Options"] == "nosniff"
        and "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    )
    page = Page(html)
    harmless(page)
    assert "connect-src 'self'" in page.all("content")[0]
    assert "Say ${item}" in page.text(0)
    assert served.ask(Host=f"localhost:{served.port}")[0] == 200
    for host in ("evil.example", f"evil.example:{served.port}", "127.0.0.1", ""):
        status, text, _ = served.ask(Host=host)
        assert (status, "Say" in text) == (403, False), host
        assert served.ask("/events", Host=host)[0] == 403
    assert served.ask("/../../etc/passwd")[0] == 404
    assert served.ask("/favicon.ico")[0] == 404
    assert served.ask(method="POST")[0] == 501
    status, text, headers = served.ask(method="HEAD")
    assert (status, text) == (200, "") and int(headers["Content-Length"]) > 1000


def test_the_server_follows_the_file(served: Served, tmp_path: Path) -> None:
    words = served.words()
    first = next(words)
    assert f'data-live="{first}"' in served.ask()[1]
    written(tmp_path, batch_workflow("Shout ${item}"))
    second = next(words)
    assert second != first and "Shout" in Page(served.ask()[1]).text(0)
    # Half a file, as an editor may leave it for a moment, is shown with what is wrong.
    written(tmp_path, '{"nodes": [')
    next(words)
    page = Page(served.ask()[1])
    assert "PFL105" in "".join(page.texts["b"]) and set(page.lines) == {0}
    (tmp_path / "workflow.json").unlink()
    next(words)
    assert "PFL101" in "".join(Page(served.ask()[1]).texts["b"])
    written(tmp_path, batch_workflow())
    assert next(words) == first


def test_the_server_follows_files_that_the_workflow_reads(tmp_path: Path) -> None:
    put(tmp_path / "prompt.md", "One ${item}")
    server = Served(written(tmp_path, batch_workflow("./prompt.md")))
    try:
        words = server.words()
        next(words)
        put(tmp_path / "prompt.md", "Two of ${item}")
        next(words)
        assert "Two of" in Page(server.ask()[1]).text(1)
        (tmp_path / "prompt.md").unlink()
        next(words)
        assert "PFL115" in "".join(Page(server.ask()[1]).texts["b"])
        put(tmp_path / "prompt.md", "Three of ${item}")
        next(words)
        assert "Three of" in Page(server.ask()[1]).text(1)
    finally:
        server.process.kill()
        server.process.communicate()


@pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")
def test_the_server_stops_cleanly(served: Served) -> None:
    words = served.words()
    next(words)  # a browser is connected
    served.process.send_signal(signal.SIGINT)
    out, err = served.process.communicate(timeout=30)
    assert (served.process.returncode, out, err) == (0, "", "")


def test_the_server_says_when_there_is_nothing_to_serve(tmp_path: Path) -> None:
    result = view("--serve", tmp_path / "missing.json")
    assert (result.exit_code, "PFL101" in result.stderr) == (2, True)
    assert view("--serve", "-").exit_code == 2
    assert view("--serve", CLASSIFIER, "--out", tmp_path / "x.html").exit_code == 2
