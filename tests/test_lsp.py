"""The language server, driven over standard input and output by a client of the protocol."""

from __future__ import annotations

import asyncio
import json
import random
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_lsp
from lsprotocol import types
from pytest_lsp import ClientServerConfig, LanguageClient

from pflow_lower.analyse.sentences import names_nothing
from pflow_lower.tools.lsp.analysis import Analysis
from pflow_lower.tools.lsp.buffers import is_workflow
from pflow_lower.tools.lsp.fixes import fix_of
from pflow_lower.tools.lsp.hover import hover
from pflow_lower.tools.lsp.text import Moved, Place, Text, clean

GOLDEN = Path(__file__).parent.parent / "golden"
CLASSIFIER = GOLDEN / "ok" / "issue-classifier"
SHOW = "pflow-lower.showGeneratedCode"

CONFIG = ClientServerConfig(server_command=[sys.executable, "-m", "pflow_lower", "lsp", "--stdio"])
CAPABILITIES = types.ClientCapabilities(
    window=types.WindowClientCapabilities(show_document=types.ShowDocumentClientCapabilities(support=True))
)

WORKFLOW = """\
{
  "inputs": {"style": {"type": "string", "description": "how it sounds", "default": "terse"}},
  "start_node": "list",
  "nodes": [
    {"id": "list", "type": "shell", "purpose": "List the *issues*", "params": {"command": "ls"}},
    {
      "id": "classify",
      "type": "llm",
      "params": {"prompt": "😀😀 \\"${style}\\": ${issue.title} of ${issues.count} (${__index__})"},
      "batch": {"items": "${list.stdout}", "as": "issue", "parallel": true}
    },
    {"id": "report", "type": "llm", "params": {"prompt": "${classify.results}"}}
  ],
  "edges": [{"from": "list", "to": "classify"}, {"from": "classify", "to": "report"}],
  "outputs": {"all": {"source": "report.response"}}
}
"""
FIXED = WORKFLOW.replace("${issues.count}", "${list.stdout}")


@pytest_lsp.fixture(config=CONFIG)
async def client(lsp_client: LanguageClient) -> AsyncIterator[None]:
    await lsp_client.initialize_session(types.InitializeParams(capabilities=CAPABILITIES))
    yield
    await lsp_client.shutdown_session()


class Editor:
    """What an editor does with one document; the text is the editor's, the file may not even exist."""

    def __init__(self, client: LanguageClient, path: Path, text: str, language: str = "json") -> None:
        self.client = client
        self.uri = path.as_uri()
        self.text = text
        self.version = 1
        client.text_document_did_open(
            types.DidOpenTextDocumentParams(types.TextDocumentItem(self.uri, language, 1, text))
        )

    def type(self, text: str) -> None:
        self.text = text
        self.version += 1
        self.client.text_document_did_change(
            types.DidChangeTextDocumentParams(
                types.VersionedTextDocumentIdentifier(self.version, self.uri),
                [types.TextDocumentContentChangeWholeDocument(text)],
            )
        )

    async def findings(self) -> list[tuple[str, str]]:
        """The code of every finding about the present text, and the words that it underlines.

        To be awaited right after a change: what was told while something else was awaited is not kept.
        """
        return [(str(found.code), self.words(found.range)) for found in await self.diagnostics()]

    async def diagnostics(self) -> list[types.Diagnostic]:
        for _ in range(10):  # versions in between may be published too, or be left out
            told = await asyncio.wait_for(
                self.client.wait_for_notification(types.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS), timeout=60
            )
            if told.uri == self.uri and told.version == self.version:
                return list(told.diagnostics)
        raise AssertionError("no findings for the present text")

    def words(self, range: types.Range) -> str:
        """The text in a range; counted in UTF-16, as the protocol has it."""
        lines = self.text.split("\n")
        start, end = range.start, range.end
        assert start.line == end.line, "a finding is shown on one line"
        return (
            lines[start.line]
            .encode("utf-16-le", "surrogatepass")[2 * start.character : 2 * end.character]
            .decode("utf-16-le", "surrogatepass")
        )

    def at(self, words: str, inside: str = "") -> dict[str, Any]:
        """The position in the middle of `words` (of `inside` in them), as parameters of a request."""
        offset = self.text.index(words) + (words.index(inside) if inside else 0) + len(inside or words) // 2
        before = self.text[:offset]
        line = before.count("\n")
        column = len(before[before.rfind("\n") + 1 :].encode("utf-16-le", "surrogatepass")) // 2
        return {"text_document": types.TextDocumentIdentifier(self.uri), "position": types.Position(line, column)}

    async def hover(self, words: str, inside: str = "") -> str:
        told = await self.client.text_document_hover_async(types.HoverParams(**self.at(words, inside)))
        if told is None:
            return ""
        assert isinstance(told.contents, types.MarkupContent)
        return told.contents.value

    async def definition(self, words: str, inside: str = "") -> tuple[int, str]:
        """The line, from 1, and the words that the definition of `words` is at."""
        found = await self.client.text_document_definition_async(types.DefinitionParams(**self.at(words, inside)))
        assert isinstance(found, types.Location)
        assert found.uri == self.uri
        return found.range.start.line + 1, self.words(found.range)

    async def actions(self, words: str) -> list[types.CodeAction | types.Command]:
        """What is offered at `words`. (lsprotocol reads an action that has a command as a bare `Command`.)"""
        position = self.at(words)["position"]
        found = await self.client.text_document_code_action_async(
            types.CodeActionParams(
                types.TextDocumentIdentifier(self.uri), types.Range(position, position), types.CodeActionContext([])
            )
        )
        return list(found or ())

    async def lenses(self) -> list[types.CodeLens]:
        params = types.CodeLensParams(types.TextDocumentIdentifier(self.uri))
        return list(await self.client.text_document_code_lens_async(params) or ())


def apply(text: str, edit: types.TextEdit | Any) -> str:
    counted = Text(text)
    start = counted.offset(edit.range.start.line, edit.range.start.character)
    end = counted.offset(edit.range.end.line, edit.range.end.character)
    return text[:start] + edit.new_text + text[end:]


def errors(client: LanguageClient) -> list[str]:
    return [said.message for said in client.log_messages if said.type is types.MessageType.Error]


# --- Findings


@pytest.mark.asyncio
async def test_findings_follow_the_text_of_the_buffer(client: LanguageClient, tmp_path: Path) -> None:
    file = tmp_path / "workflow.json"
    file.write_text(FIXED, encoding="utf-8")  # what the file says does not count
    editor = Editor(client, file, WORKFLOW)
    [found] = await editor.diagnostics()
    assert (found.code, found.source, found.severity) == ("PFL301", "pflow-lower", types.DiagnosticSeverity.Error)
    assert found.message.startswith("classify.params.prompt: ${issues.count} names no node or input")
    assert editor.words(found.range) == "${issues.count}"
    editor.type(FIXED)
    assert await editor.findings() == []
    editor.type(FIXED.replace('"parallel": true', '"paralel": true, "max_retries": 99'))
    assert await editor.findings() == [("PFL202", '"paralel"'), ("PFL204", "99")]
    editor.type(FIXED.replace('"as": "issue",', '"as": "issue"'))
    assert await editor.findings() == [("PFL105", '"parallel"')]
    client.text_document_did_close(types.DidCloseTextDocumentParams(types.TextDocumentIdentifier(editor.uri)))
    told = await client.wait_for_notification(types.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS)
    assert (told.uri, list(told.diagnostics)) == (editor.uri, [])
    assert not errors(client)


@pytest.mark.asyncio
async def test_lint_is_among_the_findings(client: LanguageClient, tmp_path: Path) -> None:
    same = '{"id": "a", "type": "llm", "params": {"prompt": "hi"}, "batch": {"items": ["x", "y"]}}'
    text = '{"ir_version": "0.1.0", "nodes": [' + same + "]}"
    editor = Editor(client, tmp_path / "flow.json", text)
    assert "PFL501" in [code for code, _ in await editor.findings()]
    (tmp_path / "pyproject.toml").write_text('[tool.pflow-lower.lint.ignore]\n"*.json" = { a = ["PFL501"] }\n')
    editor.type(text + "\n")
    assert "PFL501" not in [code for code, _ in await editor.findings()]


@pytest.mark.asyncio
async def test_findings_in_markdown(client: LanguageClient, tmp_path: Path) -> None:
    pytest.importorskip("pflow")
    text = (GOLDEN / "bad" / "markdown" / "workflow.pflow.md").read_text(encoding="utf-8")
    editor = Editor(client, tmp_path / "notes.pflow.md", text, "markdown")
    assert await editor.findings() == [("PFL301", "${lst.stdout}"), ("PFL204", "500"), ("PFL301", "${ntoe}")]
    assert not errors(client)


@pytest.mark.asyncio
async def test_files_are_read_beside_the_document(client: LanguageClient, tmp_path: Path) -> None:
    text = FIXED.replace('"command": "ls"', '"command": "./list.sh"')
    editor = Editor(client, tmp_path / "workflow.json", text)
    assert await editor.findings() == [("PFL115", '"./list.sh"')]
    (tmp_path / "list.sh").write_text("ls ${stylo}\n", encoding="utf-8")
    client.workspace_did_change_watched_files(types.DidChangeWatchedFilesParams([]))
    assert await editor.findings() == [("PFL301", '"./list.sh"')]


@pytest.mark.asyncio
async def test_other_files_are_left_alone(client: LanguageClient, tmp_path: Path) -> None:
    other = Editor(client, tmp_path / "package.json", '{"name": "${x}", "nodes": 3, }')
    assert await other.findings() == []
    readme = Editor(client, tmp_path / "README.md", "# ${nothing}\n\n## Steps\n\n### a\n", "markdown")
    assert await readme.findings() == []
    assert await readme.hover("${nothing}") == ""
    assert await other.lenses() == []
    # A buffer without a file, of a language that the user has told the editor about.
    unnamed = Editor(client, tmp_path / "unnamed", '{"nodes": []}', "pflow")
    assert [code for code, _ in await unnamed.findings()] == ["PFL204"]


@pytest.mark.parametrize(
    ("text", "name", "expected"),
    [
        ('{"ir_version": "0.1.0"}', "a.json", True),
        ('{"nodes": [{"id": "a", "type": "t", "params": {}}, {"id": "b"}]}', "a.json", True),
        ('{"nodes": [{"id": "a", "type": "t", "batch": {}}, ', "a.json", True),
        ('{"nodes": [{"id": "a", "type": "t", "params": {}}]}', "a.txt", False),
        ('{"nodes": [{"id": "a", "type": "t", "params": {}, "position": {"x": 1}}]}', "flow.json", False),
        (
            '{"nodes": [{"id": "a", "type": "t", "parameters": {}, "typeVersion": 1}], "connections": {}}',
            "n.json",
            False,
        ),
        ('{"compilerOptions": {"types": []}, ', "tsconfig.json", False),
        ("[1, 2]", "a.json", False),
        ("", "a.json", False),
        ("", "a.pflow.md", True),
        ("", "A.PFLOW.JSON", True),
        ("# Read me", "README.md", False),
    ],
)
def test_what_counts_as_a_workflow(text: str, name: str, expected: bool) -> None:
    assert is_workflow(text, name, "") is expected


def test_a_workflow_stays_one_while_it_is_edited() -> None:
    for text in ('{"nod', '{"nodes": [{"type": "shell"}]}'):
        assert is_workflow(text, "a.json", "json", before=True)
        assert not is_workflow(text, "a.json", "json", before=False)
    assert not is_workflow('{"name": "npm"}', "a.json", "json", before=True)


@pytest.mark.parametrize("case", sorted(path.name for path in (GOLDEN / "bad").iterdir()))
def test_every_finding_of_the_bad_cases_underlines_something(case: str) -> None:
    """Not one character of something longer, and no line break."""
    [file] = (GOLDEN / "bad" / case).glob("workflow.*")
    if file.name.endswith(".md"):
        pytest.importorskip("pflow")
    analysis = Analysis(file.read_bytes().decode("utf-8", "replace"), str(file))
    text = analysis.text.text
    for finding, place in analysis.located:
        words = text[place.start : place.end]
        assert words or not text, finding
        assert len(words) > 1 or not words or not (text[place.end : place.end + 1].isalnum()), finding


# --- Hover, definitions, references

HOVERS = [
    (
        "${style}",
        "style",
        ['**input** `style`: string, optional, default `"terse"`', "how it sounds", "same for every"],
    ),
    (
        "${issue.title}",
        "issue",
        ["**item** `issue` of the batch `classify`", "one of `${list.stdout}`", "Different for"],
    ),
    ("${__index__}", "index", ["position of the item in this batch, from 0", "Different for every item"]),
    (
        "${list.stdout}",
        "stdout",
        ["**output** `stdout` of the node `list` (`shell`)", "List the \\*issues\\*", "as `list_stdout`"],
    ),
    ('"items": "${list.stdout}"', "${list", ["output", "Makes the items of `classify`"]),
    ("${classify.results}", "results", ["batch node `classify`", "what each item gave, in the order of the items"]),
    ('"as": "issue"', "as", ["**batch** `as`", "Default `item`"]),
    ('"parallel"', "", ["**batch** `parallel`", "Default `false`"]),
    ('"batch"', "", ["up to 10 at once", "`ClassifyBatch`"]),
    ('"source": "report.response"', "response", ["**output** `response` of the node `report`"]),
    ('"from": "classify"', "classify", ["**batch node** `classify`", "`error_count`"]),
    ('"type": "llm"', "llm", []),
]


@pytest.mark.asyncio
async def test_hover(client: LanguageClient, tmp_path: Path) -> None:
    editor = Editor(client, tmp_path / "workflow.json", FIXED)
    for words, inside, expected in HOVERS:
        said = await editor.hover(words, inside)
        assert all(part in said for part in expected), said
        assert bool(said) is bool(expected), words
    assert not errors(client)


SOUND = sorted(p for p in (GOLDEN / "ok").glob("*/workflow.*") if not (p.parent / "stderr.txt").exists())


@pytest.mark.parametrize("path", SOUND, ids=lambda path: path.parent.name)
def test_hover_knows_every_name_of_a_sound_workflow(path: Path) -> None:
    if path.name.endswith(".md"):
        pytest.importorskip("pflow")
    analysis = Analysis(path.read_text("utf-8"), str(path))
    for occurrence in analysis.occurrences:
        found = hover(analysis, occurrence.root.start)
        assert found is not None and names_nothing("") not in found[0], occurrence.symbol


def test_batches_inside_each_other_have_an_item_each() -> None:
    path = next(path for path in SOUND if path.parent.name == "nested-batches")
    analysis = Analysis(path.read_text("utf-8"), str(path))
    text = analysis.text.text
    for alias, items in (("file", "${files}"), ("page", "${file.pages}")):
        named = [found for found in analysis.occurrences if found.symbol.kind == "item" and found.symbol.name == alias]
        assert len(named) == text.count(alias + ".") + 1  # where it is used, and where it gets its name
        assert analysis.names is not None
        declared = analysis.names.declaration(named[0].symbol)
        assert declared is not None and text[declared.start - 7 : declared.end] == f'"as": "{alias}'
        told = hover(analysis, named[-1].root.start)
        assert told is not None and f"one of `{items}`" in told[0]


@pytest.mark.asyncio
async def test_hover_in_markdown(client: LanguageClient, tmp_path: Path) -> None:
    pytest.importorskip("pflow")
    text = (GOLDEN / "ok" / "markdown" / "workflow.pflow.md").read_text(encoding="utf-8")
    editor = Editor(client, tmp_path / "notes.pflow.md", text, "markdown")
    assert "one of `${list.stdout}`" in await editor.hover("${note}")
    assert "Read once, before the loop, as `audience`" in await editor.hover("${audience}")
    assert "of those that succeeded" in await editor.hover("${summarise.results}", "results")
    assert "**batch** `max_concurrent`" in await editor.hover("max_concurrent: 4", "max_concurrent")
    assert "up to 4 at once" in await editor.hover("```yaml batch", "batch")
    assert await editor.hover("What the notes have") == ""
    assert await editor.definition("${list.stdout}", "list") == (24, "list")
    assert await editor.definition("${folder}") == (7, "folder")
    assert await editor.definition("${note}") == (44, "note")
    editor.type(text.replace("### combine", "#\u2009## combine"))
    assert "${list.stdout}" in await editor.hover("${note}")
    assert not errors(client)


DEFINITIONS = [
    ("${style}", "style", (2, "style")),
    ("${issue.title}", "title", (10, "issue")),
    ("${__index__}", "index", (10, '"${list.stdout}"')),
    ("${classify.results}", "classify", (7, "classify")),
    ('"start_node": "list"', "list", (5, "list")),
    ('"to": "report"', "report", (12, "report")),
    ('"source": "report.response"', "report", (12, "report")),
]


@pytest.mark.asyncio
async def test_definitions_and_references(client: LanguageClient, tmp_path: Path) -> None:
    editor = Editor(client, tmp_path / "workflow.json", FIXED)
    for words, inside, expected in DEFINITIONS:
        assert await editor.definition(words, inside) == expected
    places = {}
    for declared in (False, True):
        found = await client.text_document_references_async(
            types.ReferenceParams(**editor.at('"id": "list"', "list"), context=types.ReferenceContext(declared))
        )
        assert {editor.words(place.range) for place in found or ()} == {"list"}
        places[declared] = [place.range.start.line + 1 for place in found or ()]
    assert places == {False: [3, 9, 10, 14], True: [3, 5, 9, 10, 14]}


@pytest.mark.asyncio
async def test_a_text_that_cannot_be_read_is_still_known(client: LanguageClient, tmp_path: Path) -> None:
    editor = Editor(client, tmp_path / "workflow.json", FIXED)
    await editor.findings()
    editor.type(FIXED.replace('"purpose":', '"purpose" 😀\n\n'))  # moves what comes after
    assert await editor.findings() == [("PFL105", "😀")]
    assert "one of `${list.stdout}`" in await editor.hover("${issue.title}")
    assert await editor.definition("${classify.results}", "classify") == (9, "classify")
    [lens] = await editor.lenses()
    assert editor.words(lens.range) == "classify"
    assert not errors(client)


# --- Generated code


@pytest.mark.asyncio
async def test_lens_shows_the_generated_class(client: LanguageClient) -> None:
    text = (CLASSIFIER / "workflow.json").read_text(encoding="utf-8")
    editor = Editor(client, CLASSIFIER / "workflow.json", text)
    [lens] = await editor.lenses()
    assert editor.words(lens.range) == "classify"
    assert lens.command is not None
    assert lens.command.title == "show generated code"
    params = types.ExecuteCommandParams(lens.command.command, lens.command.arguments)
    shown = await client.workspace_execute_command_async(params)
    expected = (CLASSIFIER / "nodes.py").read_text(encoding="utf-8")
    assert (shown["node"], shown["class"], shown["shown"]) == ("classify", "ClassifyBatch", True)
    assert shown["code"].startswith("class ClassifyBatch(ThreadedBatchNode):\n")
    assert shown["code"] in expected
    [document] = client.shown_documents
    assert document.uri == shown["uri"]
    file = Path(document.uri.removeprefix("file://"))
    assert file.read_text(encoding="utf-8") == expected
    assert file.stat().st_mode & 0o222 == 0
    assert document.selection is not None
    line = expected.splitlines()[document.selection.start.line]
    assert line == "class ClassifyBatch(ThreadedBatchNode):"
    await client.workspace_execute_command_async(params)  # a read-only file is replaced
    assert [again.uri for again in client.shown_documents] == [document.uri] * 2
    client.error = None
    await client.shutdown_async(None)
    client.exit(None)
    assert client._server is not None
    assert await client._server.wait() == 0
    assert not file.exists()
    client.capabilities = None  # the session is over


@pytest.mark.asyncio
async def test_what_has_no_generated_code_says_so(client: LanguageClient, tmp_path: Path) -> None:
    editor = Editor(client, tmp_path / "workflow.json", WORKFLOW)
    for uri, node in ((editor.uri, "classify"), (editor.uri, "nobody"), ("file:///nowhere.json", "x")):
        assert await client.workspace_execute_command_async(types.ExecuteCommandParams(SHOW, [uri, node])) is None
    assert client.messages[0].message == (
        "pflow-lower: there is no generated code of `classify`: ${issues.count} names no node or input"
    )
    assert len(client.messages) == 3
    actions = await editor.actions('"parallel"')
    assert [action.title for action in actions] == ["Show the generated code of `classify`"]
    assert SHOW in str(actions[0].command)


# --- Fixes


@pytest.mark.asyncio
async def test_a_fix_makes_its_finding_go_away(client: LanguageClient, tmp_path: Path) -> None:
    text = FIXED.replace("${style}", "${ sytle ?? 1 }").replace("${classify.results}", "${clasify.results ?? []}")
    text = text.replace('"parallel"', '"paralel"').replace('"to": "report"', '"to": "reprot"')
    text = text.replace('"source": "report', '"source": "reprt')
    text = text.replace('"type": "llm",\n', '"type": "llmm",\n')
    editor = Editor(client, tmp_path / "workflow.json", text)
    for _ in range(8):
        found = await editor.diagnostics()
        if not found:
            break
        actions = [action for one in found for action in await editor.actions(editor.words(one.range))]
        fixes = [action for action in actions if isinstance(action, types.CodeAction)]
        assert fixes, found
        assert (fixes[0].kind, fixes[0].is_preferred) == (types.CodeActionKind.QuickFix, True)
        assert fixes[0].diagnostics is not None
        assert fixes[0].diagnostics[0] in found
        assert fixes[0].edit is not None
        [edit] = (fixes[0].edit.changes or {})[editor.uri]
        editor.type(apply(editor.text, edit))
    assert editor.text == FIXED.replace("${style}", "${style ?? 1}").replace(
        "${classify.results}", "${classify.results ?? []}"
    )


# --- Odd input


@pytest.mark.asyncio
async def test_characters_that_others_take_for_line_breaks(client: LanguageClient, tmp_path: Path) -> None:
    text = WORKFLOW.replace("how it sounds", "a\u2028b\u0085c\x7f 😀").replace("\n", "\r\n")
    editor = Editor(client, tmp_path / "workflow.json", "\ufeff" + text)
    assert await editor.findings() == [("PFL301", "${issues.count}")]
    editor.type("\ufeff" + text.replace("😀😀", "😀\u2028\ud83d"))
    found = await editor.diagnostics()
    assert [(one.code, one.range.start.line) for one in found] == [("PFL301", 8)]
    assert "**input** `style`" in await editor.hover("${style}")
    assert not errors(client)


@pytest.mark.asyncio
async def test_an_error_of_ours_is_logged_and_the_server_goes_on(client: LanguageClient, tmp_path: Path) -> None:
    editor = Editor(client, tmp_path / "workflow.json", FIXED)
    assert await client.workspace_execute_command_async(types.ExecuteCommandParams(SHOW, [])) is None
    [said] = errors(client)
    assert said.startswith("pflow-lower: please report this error\nTraceback")
    assert await editor.hover("${style}")


@pytest.mark.slow
@pytest.mark.asyncio
async def test_a_large_workflow_keeps_nobody_waiting(client: LanguageClient, tmp_path: Path) -> None:
    node = {"type": "llm", "params": {"prompt": "${item} ${lst.x}"}, "batch": {"items": "${a.b}"}}
    large = json.dumps({"nodes": [{"id": f"n{number}", **node} for number in range(3_000)]})
    editor = Editor(client, tmp_path / "large.json", large)
    nothing = await client.text_document_hover_async(
        types.HoverParams(types.TextDocumentIdentifier("file:///other.json"), types.Position(0, 0))
    )
    assert nothing is None
    assert editor.uri not in client.diagnostics
    for size in range(4):  # edits while the first text is still looked at: only the last one counts
        editor.type(large[: len(large) // (size + 2)])
    editor.type(FIXED)
    assert await editor.findings() == []
    assert not errors(client)


def test_a_fix_is_never_made_from_a_name_that_has_to_be_escaped(tmp_path: Path) -> None:
    params = {"command": "true"}
    nodes = [{"id": "a\n\\b", "type": "shell", "params": params}, {"id": "c", "type": "shell", "params": params}]
    text = json.dumps({"nodes": nodes, "start_node": "a\\b"})
    analysis = Analysis(text, str(tmp_path / "workflow.json"))
    [(finding, place)] = analysis.located
    assert finding.code == "PFL209"
    assert "did you mean" in finding.help
    assert fix_of(finding, place, text) is None


def edits(text: str, chance: random.Random, count: int) -> Iterator[str]:
    """`text` after one, two, ... random edits."""
    pieces = [
        "${",
        "}",
        '"',
        "{",
        "[",
        "\\",
        "\\ud83d",
        "😀",
        "\n",
        ",",
        "null",
        "a.b[${x}]",
        "```",
        "### ",
        "\0",
        " ?? ",
    ]
    for _ in range(count):
        at = chance.randrange(len(text) + 1)
        cut = chance.choice((0, 0, 1, 5, 40))
        other = chance.randrange(len(text) + 1)
        text = text[:at] + chance.choice([*pieces, "", text[other : other + 30]]) + text[at + cut :]
        yield text


CASES = sorted(path for path in GOLDEN.glob("*/*/workflow.*") if path.stat().st_size < 20_000)


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.parent.name)
def test_random_edits_of_every_case_break_nothing(path: Path) -> None:
    if path.name.endswith(".md"):
        pytest.importorskip("pflow")
    chance = random.Random(path.parent.name)
    original = path.read_bytes().decode("utf-8", "replace")
    for start in range(3):
        for text in edits(original, chance, 12):
            analysis = Analysis(text, str(path))
            size = len(analysis.text.text)
            assert size == len(text)
            for finding, place in analysis.located:
                assert 0 <= place.start <= place.end <= size
                assert analysis.text.units(place.start) <= analysis.text.units(place.end)
                fix_of(finding, place, analysis.text.text)
            for occurrence in analysis.occurrences:
                spelled = analysis.text.text[occurrence.root.start : occurrence.root.end]
                assert spelled == occurrence.symbol.name or "\\" in spelled or '"' in spelled, (start, occurrence)
                hover(analysis, occurrence.root.start)
                if analysis.names is not None:
                    analysis.names.declaration(occurrence.symbol)


@pytest.mark.slow
@pytest.mark.asyncio
async def test_random_typing_leaves_the_server_in_its_senses(client: LanguageClient, tmp_path: Path) -> None:
    chance = random.Random(7)
    editors = [Editor(client, tmp_path / "workflow.json", FIXED)]
    if (sys.modules.get("pflow") or pytest.importorskip("pflow")) is not None:
        text = (GOLDEN / "ok" / "markdown" / "workflow.pflow.md").read_text(encoding="utf-8")
        editors.append(Editor(client, tmp_path / "notes.pflow.md", text, "markdown"))
    for editor in editors:
        original = editor.text
        for text in edits(original, chance, 40):
            editor.type(text)
            position = types.Position(chance.randrange(30), chance.randrange(90))
            document = types.TextDocumentIdentifier(editor.uri)
            await client.text_document_hover_async(types.HoverParams(document, position))
            await client.text_document_definition_async(types.DefinitionParams(document, position))
            await editor.lenses()
            context = types.CodeActionContext([])
            span = types.Range(position, types.Position(position.line + 2, 0))
            await client.text_document_code_action_async(types.CodeActionParams(document, span, context))
        editor.type(original)
        assert await editor.findings() == []
    assert not errors(client)


# --- Positions


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-32"])
def test_every_offset_comes_back(encoding: str) -> None:
    text = Text("a😀é\r\n\n😀\rz\u2028y", encoding)
    for offset in range(len(text.text) + 1):
        line, unit = text.units(offset)
        if text.text[offset - 1 : offset + 1] != "\r\n":  # between the two there is no place
            assert text.offset(line, unit) == offset
    assert text.offset(0, 99) == 3
    assert text.offset(99, 0) == len(text.text)
    assert text.units(4) == (0, {"utf-8": 7, "utf-16": 4, "utf-32": 3}[encoding]) or encoding


def test_positions_of_the_protocol_are_those_of_its_encoding() -> None:
    assert [Text("😀é${x}", encoding).units(2) for encoding in ("utf-8", "utf-16", "utf-32")] == [
        (0, 6),
        (0, 3),
        (0, 2),
    ]


def test_what_no_file_can_hold_keeps_its_place() -> None:
    assert clean("\ufeffa\ud83db") == " a?b"


@pytest.mark.parametrize(
    ("old", "new", "places"),
    [
        ("abcdef", "abXcdef", [0, 1, 3, 4, 5, 6]),
        ("abcdef", "abef", [0, 1, None, None, 2, 3]),
        ("abcdef", "abXXXef", [0, 1, None, None, 5, 6]),
        ("aaaa", "aaaaa", [0, 1, 2, 3]),
        ("x", "", [None]),
        ("abc", "abc", [0, 1, 2]),
    ],
)
def test_places_move_with_an_edit(old: str, new: str, places: list[int | None]) -> None:
    moved = Moved(old, new)
    forward = [moved.forward(Place(start, start + 1)) for start in range(len(old))]
    assert [place and place.start for place in forward] == places
    for start, place in enumerate(places):
        assert place is None or moved.back(place) in (start, place)
    assert Moved("abcdef", "abXXXef").back(3) is None


# --- The process


@pytest_lsp.fixture(config=CONFIG)
async def utf_8_client(lsp_client: LanguageClient) -> AsyncIterator[None]:
    general = types.GeneralClientCapabilities(position_encodings=[types.PositionEncodingKind.Utf8])
    told = await lsp_client.initialize_session(
        types.InitializeParams(capabilities=types.ClientCapabilities(general=general))
    )
    assert told.capabilities.position_encoding == types.PositionEncodingKind.Utf8
    yield
    await lsp_client.shutdown_session()


@pytest.mark.asyncio
async def test_positions_are_in_the_encoding_that_the_client_chose(
    utf_8_client: LanguageClient, tmp_path: Path
) -> None:
    editor = Editor(utf_8_client, tmp_path / "workflow.json", WORKFLOW)
    [found] = await editor.diagnostics()
    line = WORKFLOW.splitlines()[found.range.start.line].encode("utf-8")
    assert line[found.range.start.character : found.range.end.character] == b"${issues.count}"
    # Without window/showDocument the class comes as text only.
    editor.type(FIXED)
    shown = await utf_8_client.workspace_execute_command_async(
        types.ExecuteCommandParams(SHOW, [editor.uri, "classify"])
    )
    assert shown["shown"] is False
    assert "class ClassifyBatch(ThreadedBatchNode):" in shown["code"]
    assert not utf_8_client.shown_documents


def test_it_ends_when_the_editor_is_gone() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "pflow_lower", "lsp"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")


def test_without_pygls_it_says_what_to_install() -> None:
    script = "import sys; sys.modules['pygls'] = None; from pflow_lower.cli import run; run(['lsp'])"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr == 'pflow-lower: the language server needs pygls: pip install "pygls>=2,<3"\n'
