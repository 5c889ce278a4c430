"""view in a real browser: what is pointed at, the keyboard, contrast, and what must not run."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers.whole_files import put

from pflow_lower.diagnostics.diagnostic import Diagnostic, Position, Severity
from pflow_lower.tools.view.explore import explore
from pflow_lower.tools.view.page import render

GOLDEN = Path(__file__).parent.parent / "golden"
CLASSIFIER = GOLDEN / "ok" / "issue-classifier" / "workflow.json"
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
BROWSER = next(filter(None, map(shutil.which, NAMES)), None)
WANTED = bool(os.environ.get("PFLOW_LOWER_BROWSER_TESTS"))
"""Set where a browser was installed for these tests: then one that is missing or does not start is a failure."""
FLAGS = """
    --headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking
    --disable-component-update --disable-sync
""".split()

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not WANTED and (BROWSER is None or importlib.util.find_spec("playwright") is None),
        reason="needs Chromium on the PATH, and pflow-lower[dev]",
    ),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    assert BROWSER is not None, "PFLOW_LOWER_BROWSER_TESTS is set, but there is no Chromium"
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=BROWSER, args=FLAGS)
        yield chromium
        chromium.close()


class Tab:
    """A page in the browser; whatever it complains about is kept, and so is whatever it asks the network for."""

    def __init__(self, browser: Any, **options: Any) -> None:
        self.page = browser.new_page(**{"viewport": {"width": 1280, "height": 800}, **options})
        self.said: list[str] = []
        self.asked: list[str] = []
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("response", lambda response: self.asked.append(response.url))
        self.page.on("requestfailed", lambda request: self.asked.append(request.failure))

    def lines(self, kind: str) -> set[str]:
        """The ids of the lines that are lit."""
        return set(self.page.eval_on_selector_all(f".l.{kind} > .n", "all => all.map(each => each.id)"))

    def focused(self) -> str:
        return str(self.page.evaluate("document.activeElement.id || document.activeElement.className.baseVal || ''"))

    def in_sight(self, selector: str) -> bool:
        script = """selector => {
            const row = document.querySelector(selector).getBoundingClientRect();
            const pane = document.querySelector(selector).closest('.code').getBoundingClientRect();
            return row.top >= pane.top - 1 && row.bottom <= pane.bottom + 1;
        }"""
        return bool(self.page.evaluate(script, selector))

    def settled(self, condition: str) -> None:
        """Wait until a condition holds. The page's policy keeps the browser from polling by itself."""
        from playwright.sync_api import Error

        for _ in range(400):
            with contextlib.suppress(Error):  # the page is being loaded again
                if self.page.evaluate(condition):
                    return
            self.page.wait_for_timeout(50)
        pytest.fail(f"never: {condition}")


@pytest.fixture
def show(browser: Any, tmp_path: Path) -> Iterator[Any]:
    tabs: list[Tab] = []

    def show(workflow: Path, *, findings: Any = (), plan: Any = None, **options: Any) -> Tab:
        file = tmp_path / f"page{len(tabs)}.html"
        file.write_text(render(explore(str(workflow)), findings, plan), encoding="utf-8")
        tab = Tab(browser, **options)
        tabs.append(tab)
        tab.page.goto(file.as_uri())
        return tab

    yield show
    for tab in tabs:
        tab.page.close()
        assert tab.said == []
        assert all(url.startswith(("file:", "http://127.0.0.1:")) for url in tab.asked)


def line_of(tab: Tab, pane: int, text: str) -> str:
    script = """([pane, text]) => [...document.querySelectorAll(`#pane${pane} .l`)]
        .find(line => line.textContent.includes(text)).firstElementChild.id"""
    return str(tab.page.evaluate(script, [pane, text]))


def test_pointing_at_a_line_lights_what_it_became(show: Any) -> None:
    tab = show(CLASSIFIER, viewport={"width": 1280, "height": 480})
    prompt = line_of(tab, 0, '"prompt": "Title')
    tab.page.hover(f"#{prompt}")
    lit = tab.lines("hit")
    assert {prompt, line_of(tab, 1, "Title: {text(issue")} <= lit
    assert line_of(tab, 1, "class ClassifyBatch") in tab.lines("near")
    assert "classify.params.prompt" in tab.page.inner_text("#trace")
    assert tab.page.eval_on_selector_all(".box.lit", "all => all.length") == 1
    # The other side scrolls to it.
    tab.settled("document.querySelector('#pane1').scrollTop > 0")
    first = min((id for id in lit if id.startswith("p1-")), key=lambda id: int(id[3:]))
    tab.settled(
        f"document.getElementById('{first}').getBoundingClientRect().bottom"
        " < document.querySelector('#pane1').getBoundingClientRect().bottom"
    )
    assert tab.page.eval_on_selector_all("#ribbons path", "all => all.length") >= 1
    # And nothing is lit any more when the pointer is somewhere else.
    tab.page.hover("h1")
    tab.settled("!document.querySelector('.hit, .near, .lit')")


def test_pointing_at_generated_code_lights_where_it_came_from(show: Any) -> None:
    tab = show(CLASSIFIER)
    tab.page.hover(f"#{line_of(tab, 1, 'items = peek')}")
    assert line_of(tab, 0, '"items": "${list_issues') in tab.lines("hit")
    tab.settled("document.querySelector('#pane0').scrollTop > 0")


def test_the_keyboard_does_everything(show: Any) -> None:
    tab = show(CLASSIFIER)
    page = tab.page
    stops = []
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement === document.body"):
            break
        stops.append(
            page.evaluate(
                "document.activeElement.closest('.graph, .bar, .code, .gutter, .tabs, .tools, .steps, header')"
                "?.className ?? 'skip'"
            )
        )
        outline = (
            "getComputedStyle(document.activeElement.querySelector('rect:last-of-type') ?? document.activeElement)"
        )
        assert page.evaluate(f"{outline}.outlineStyle !== 'none' || {outline}.strokeWidth === '3px'"), stops
    # One stop for each thing, in the order in which they are read.
    moves = ["skip", "tools", "steps", "steps", "graph", "bar", "code", "gutter", "tabs", "code"]
    assert [stop for stop in stops if stop] == moves

    page.focus(".skip")
    page.keyboard.press("Enter")
    start = tab.focused()
    assert start.startswith("p0-")
    page.keyboard.press("ArrowDown")
    assert int(tab.focused()[3:]) > int(start[3:])
    page.keyboard.press("ArrowUp")
    assert tab.focused() == start
    page.focus(f"#{line_of(tab, 0, 'max_concurrent')}")
    page.keyboard.press("Enter")
    assert tab.focused() == line_of(tab, 1, "max_concurrent = 5")
    assert tab.in_sight(f"#{tab.focused()}")
    page.keyboard.press("ArrowLeft")
    assert tab.focused().startswith("p0-")
    assert tab.lines("hit")
    page.keyboard.press("Escape")
    assert not tab.lines("hit") | tab.lines("near")
    page.keyboard.press("End")
    last = tab.focused()
    page.keyboard.press("ArrowDown")
    assert tab.focused() == last


def test_tabs_and_graphs_take_arrow_keys(show: Any) -> None:
    tab = show(CLASSIFIER)
    page = tab.page
    page.focus("[role=tab][aria-selected=true]")
    seen = []
    for _ in range(3):
        page.keyboard.press("ArrowRight")
        seen.append(page.inner_text("[role=tab][aria-selected=true]"))
        assert page.eval_on_selector_all("[role=tabpanel]:not([hidden])", "all => all.length") == 1
    assert seen == ["flow.py", "lowered.json", "nodes.py"]
    page.keyboard.press("End")
    # A node of the graph leads to its lines, in whichever tab they are.
    page.focus(".box")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    assert tab.focused() in {f"p0-{at}" for at in range(22, 26)}
    page.keyboard.press("ArrowRight")
    assert page.inner_text("[role=tab][aria-selected=true]") == "lowered.json"
    assert tab.focused().startswith("p3-")


def test_findings_lead_to_their_lines(show: Any) -> None:
    found = Diagnostic("PFL501", Severity.WARNING, "twice the money", "report", "", Position(47, 9), "do less")
    tab = show(CLASSIFIER, findings=[found], plan={"classify": {"items": "40"}})
    tab.page.click("summary")
    tab.page.click(".findings a")
    assert tab.focused() == "f0"
    assert tab.in_sight("#f0")
    assert not tab.page.evaluate("document.querySelector('.findings').open")


def test_the_theme_can_be_chosen(show: Any) -> None:
    tab = show(CLASSIFIER, color_scheme="dark")
    colour = "getComputedStyle(document.body).backgroundColor"
    dark = tab.page.evaluate(colour)
    tab.page.click("#theme")
    light = tab.page.evaluate(colour)
    assert light != dark and "light" in tab.page.inner_text("#theme")
    tab.page.reload()
    assert tab.page.evaluate(colour) == light
    tab.page.click("#theme")
    assert tab.page.evaluate(colour) == dark


@pytest.mark.parametrize(
    ("case", "width", "scheme"),
    [
        ("ok/issue-classifier", 1280, "light"),
        ("ok/issue-classifier", 1280, "dark"),
        ("ok/issue-classifier", 390, "light"),
        ("ok/hostile-strings", 1280, "dark"),
        ("bad/many-errors-in-order", 1280, "light"),
        ("bad/many-errors-in-order", 390, "dark"),
    ],
)
def test_axe_has_nothing_to_say(show: Any, case: str, width: int, scheme: str) -> None:
    from axe_playwright_python.sync_playwright import Axe

    plan = {"classify": {"items": "40", "calls": "40 to 120"}}
    view = {"viewport": {"width": width, "height": 800}, "color_scheme": scheme}
    tab = show(GOLDEN / case / "workflow.json", plan=plan, **view)
    tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]

    def violations() -> list[Any]:
        found = Axe().run(tab.page, options={"runOnly": tags}).response["violations"]
        return [(rule["id"], [node["html"][:200] for node in rule["nodes"][:3]]) for rule in found]

    assert violations() == []
    # The same with something lit, or where nothing can be, with the list of findings open.
    line = tab.page.query_selector(".code a[data-l]")
    line.focus() if line else tab.page.click("summary")
    tab.page.wait_for_timeout(300)  # colours fade in
    assert violations() == []


@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_is_cut_off(show: Any, width: int) -> None:
    for path in ("ok/hostile-strings", "ok/long-prompt", "bad/many-errors-in-order"):
        tab = show(GOLDEN / path / "workflow.json", viewport={"width": width, "height": 800})
        assert tab.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
        wide = tab.page.eval_on_selector_all(".code", "all => all.filter(e => e.scrollWidth > e.clientWidth).length")
        assert wide == 0, path


def test_a_print_has_every_file_in_full(show: Any) -> None:
    tab = show(CLASSIFIER)
    tab.page.emulate_media(media="print")
    cut = "all => all.filter(e => e.scrollHeight > e.clientHeight + 1 || !e.offsetHeight).length"
    assert tab.page.eval_on_selector_all(".code", "all => all.length") == 4
    assert tab.page.eval_on_selector_all(".code", cut) == 0
    assert tab.page.pdf().startswith(b"%PDF")


def test_what_an_escape_may_have_missed_cannot_run(show: Any, browser: Any, tmp_path: Path) -> None:
    tab = show(CLASSIFIER)
    file = Path(tab.page.url.removeprefix("file://"))
    attack = """<img src="http://127.0.0.1:9/x" onerror="document.title='no'"><script>document.title='no'</script>
        <style>body{display:none}</style><base href="http://127.0.0.1:9/">
        <a href="javascript:document.title='no'" id=js>x</a>"""
    text = file.read_text(encoding="utf-8")
    (tmp_path / "attack.html").write_text(text.replace("<h1>", f"<h1>{attack}", 1), encoding="utf-8")
    other = Tab(browser)
    other.page.goto((tmp_path / "attack.html").as_uri())
    other.page.click("#js")
    other.page.wait_for_timeout(200)
    assert other.page.title() == "workflow.json · pflow-lower"
    assert other.page.is_visible("main")
    assert len([text for text in other.said if "Content Security Policy" in text]) >= 5
    assert {asked for asked in other.asked if not asked.startswith("file:")} == {"csp"}
    other.page.close()


def test_a_large_workflow_opens(show: Any, tmp_path: Path) -> None:
    node = {"type": "llm", "params": {"prompt": "Look at ${item}"}, "batch": {"items": "${rows}"}}
    nodes = [{"id": f"n{at}", **node} for at in range(120)]
    edges = [{"from": f"n{at}", "to": f"n{at + 1}"} for at in range(119)]
    workflow = tmp_path / "large.json"
    workflow.write_text(json.dumps({"inputs": {"rows": {"type": "array"}}, "nodes": nodes, "edges": edges}, indent=1))
    tab = show(workflow)
    tab.page.focus(".code a[tabindex='0']")
    tab.page.keyboard.press("End")
    assert tab.in_sight(f"#{tab.focused()}")
    tab.page.focus(f"#{line_of(tab, 0, chr(34) + 'n100' + chr(34))}")
    tab.settled("document.querySelector('.graph').scrollTop > 300")
    # As many rows as it takes, and none of them wider than the window.
    assert tab.page.evaluate("document.querySelector('.graph').scrollWidth <= innerWidth")
    boxes = "all => new Set(all.map(each => Math.round(each.getBoundingClientRect().top))).size"
    assert 10 < tab.page.eval_on_selector_all(".box", boxes) < 60


MARKDOWN = GOLDEN / "ok" / "markdown" / "workflow.pflow.md"


@pytest.mark.parametrize("size", [(1024, 700), (1440, 900)])
def test_nothing_moves_or_widens_while_the_mouse_moves(show: Any, size: tuple[int, int]) -> None:
    pytest.importorskip("pflow")
    tab = show(MARKDOWN, viewport={"width": size[0], "height": size[1]})
    frame = """() => [document.documentElement.scrollWidth, document.documentElement.scrollHeight, scrollX, scrollY,
        ...[...document.querySelectorAll("header, header > *, .graph, .side, .gutter, footer")]
            .flatMap(each => Object.values(each.getBoundingClientRect().toJSON()))].join()"""
    place = """row => {
        if (!row.checkVisibility({contentVisibilityAuto: false})) return null;
        row.scrollIntoView({block: "center", behavior: "instant"});
        const box = row.getBoundingClientRect();
        return [box.left + Math.min(60, box.width / 2), box.top + box.height / 2];
    }"""
    before = tab.page.evaluate(frame)
    for row in tab.page.query_selector_all(".l, .box"):
        point = row.evaluate(place)
        if point is None:
            continue
        tab.page.mouse.move(*point)
        assert tab.page.evaluate(frame) == before, row.text_content()
        said = tab.page.text_content("#trace")
        assert "._" not in said and len(said) < 200
    tab.page.wait_for_timeout(200)
    assert tab.page.evaluate(frame) == before


@pytest.mark.parametrize("width", [500, 1024, 1900])
def test_rows_of_the_graph_hold_every_box_and_word(show: Any, tmp_path: Path, width: int) -> None:
    nodes = [{"id": f"n{at}", "type": "shell", "params": {"command": "x"}} for at in range(40)]
    edges = [{"from": f"n{at}", "to": f"n{at + 1}"} for at in range(37)]
    edges += [{"from": "n30", "to": "n8", "action": "again"}, {"from": "n4", "to": "n38", "action": "error"}]
    edges += [{"from": "n18", "to": "n39", "action": "error"}, {"from": "n39", "to": "n17"}]
    path = tmp_path / "workflow.json"
    path.write_text(json.dumps({"nodes": nodes, "edges": edges}, indent=1), encoding="utf-8")
    tab = show(path, viewport={"width": width, "height": 800})
    outside = """() => {
        const all = document.querySelector(".graph svg").getBoundingClientRect();
        return [...document.querySelectorAll(".box, .word, .edge")].filter((each) => {
            const own = each.getBoundingClientRect();
            return own.left < all.left - 1 || own.right > all.right + 1 || own.top < all.top || own.bottom > all.bottom;
        }).map((each) => each.outerHTML);
    }"""
    assert tab.page.evaluate(outside) == []
    boxes = tab.page.eval_on_selector_all(
        ".box > rect:last-of-type",
        """all => all.map(each => {
        const {left, top, right, bottom} = each.getBoundingClientRect();
        return [left, top, right, bottom];
    })""",
    )
    for at, (left, top, right, bottom) in enumerate(boxes):
        assert all(left >= r or right <= x or top >= b or bottom <= y for x, y, r, b in boxes[:at])
    # Wider windows have fewer rows.
    tab.page.set_viewport_size({"width": 2 * width, "height": 800})
    assert tab.page.evaluate(outside) == []


def test_the_first_screen_starts_at_the_first_class(show: Any) -> None:
    tab = show(CLASSIFIER)
    seen = tab.page.inner_text("#pane1")
    assert "class ClassifyBatch" in seen and "import" not in seen.partition("class ClassifyBatch")[0].replace(
        "imports", ""
    )
    assert tab.in_sight(f"#{line_of(tab, 1, 'class ClassifyBatch')}")
    tab.page.click("#pane1 .fold")
    tab.page.wait_for_function("document.querySelector('#pane1').innerText.includes('from pflow_lower')")


def test_a_node_without_a_batch_shows_its_step(show: Any) -> None:
    tab = show(GOLDEN / "ok" / "two-batches-in-a-chain" / "workflow.json")
    plain = tab.page.query_selector(".box:not(.batch)")
    name = plain.get_attribute("aria-label").partition(":")[0]
    plain.click()
    assert tab.page.inner_text("[role=tab][aria-selected=true]") == "flow.py"
    lit = tab.page.eval_on_selector_all(
        "#pane2 .whole, #pane2 .hit, #pane2 .near", "all => all.map(e => e.textContent)"
    )
    assert any(name in text for text in lit)
    # A batch after that shows its class again: nobody chose the other tab.
    tab.page.click(".box.batch")
    assert tab.page.inner_text("[role=tab][aria-selected=true]") == "nodes.py"


def test_nodes_are_found_and_batches_come_one_after_the_other(show: Any) -> None:
    tab = show(CLASSIFIER)
    page = tab.page
    page.keyboard.press("/")
    page.keyboard.type("Classify")
    assert page.inner_text("#hits").startswith("1 of ")
    assert page.eval_on_selector_all(".box.lit", "all => all.length") == 1
    page.keyboard.press("Enter")
    assert page.inner_text("#hits").startswith("2 of ")
    page.keyboard.press("Escape")
    assert not page.query_selector(".found, .dim")
    page.keyboard.type("such a text is nowhere")
    assert page.inner_text("#hits") == "nothing"
    page.keyboard.press("Escape")
    page.click("#next")
    assert "classify" in page.inner_text("#trace")
    assert tab.in_sight(f"#{line_of(tab, 1, 'class ClassifyBatch')}")


def test_the_borders_can_be_dragged_and_take_arrow_keys(show: Any) -> None:
    tab = show(CLASSIFIER)
    page = tab.page
    width = "document.querySelector('.side').offsetWidth"
    before = page.evaluate(width)
    box = page.query_selector(".gutter").bounding_box()
    page.mouse.move(box["x"] + 20, box["y"] + 50)
    page.mouse.down()
    page.mouse.move(box["x"] + 220, box["y"] + 90)
    page.mouse.up()
    assert abs(page.evaluate(width) - before - 200) < 3
    page.focus(".gutter")
    page.keyboard.press("ArrowLeft")
    assert page.evaluate(width) < before + 200
    height = "document.querySelector('.graph').offsetHeight"
    tall = page.evaluate(height)
    page.focus(".bar")
    page.keyboard.press("ArrowUp")
    assert page.evaluate(height) < tall


def test_the_served_page_loads_again_when_the_workflow_is_saved(show: Any, browser: Any, tmp_path: Path) -> None:
    workflow = tmp_path / "workflow.json"
    workflow.write_bytes(CLASSIFIER.read_bytes())
    command = [sys.executable, "-u", "-m", "pflow_lower", "view", "--serve", "--no-open", str(workflow)]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    tab = Tab(browser)
    try:
        assert server.stdout is not None
        tab.page.goto(server.stdout.readline().strip())
        line = line_of(tab, 0, "max_concurrent")
        tab.page.focus(f"#{line}")
        tab.page.click("[role=tab]:last-child")
        text = workflow.read_text(encoding="utf-8")
        put(workflow, text.replace('"max_concurrent": 5', '"max_concurrent": 7'))
        tab.settled("document.querySelector('#pane0').textContent.includes('\"max_concurrent\": 7')")
        # The reader is where they were.
        tab.settled(f"document.activeElement?.id === '{line}'")
        assert tab.page.inner_text("[role=tab][aria-selected=true]") == "lowered.json"
        put(workflow, text[:500])
        tab.settled("document.body.textContent.includes('There is no generated code')")
        put(workflow, text)
        tab.settled("document.querySelector('#pane0').textContent.includes('\"max_concurrent\": 5')")
        assert [text for text in tab.said if not re.search("favicon", text)] == []
    finally:
        server.kill()
        server.communicate()  # and close the pipe
    tab.settled("document.getElementById('trace').textContent.startsWith('The server has stopped')")
    tab.page.close()
