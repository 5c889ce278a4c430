"""Reading workflows: what comes out is plain data with positions, or an error with a place. Never a traceback."""

from __future__ import annotations

import enum
import io
import json
import os
import sys
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pflow_lower
from pflow_lower.diagnostics.diagnostic import LowerError, Position, Severity
from pflow_lower.ir.document import Document
from pflow_lower.load.json_positions import JsonPositions, index, spelled
from pflow_lower.load.load import MAX_BYTES, from_bytes, from_json, load
from pflow_lower.load.plain_data import MAX_DEPTH
from pflow_lower.node_types.pflow_types import REFERENCE
from pflow_lower.validate.validate import validate

SMALL = '{"ir_version": "0.1.0", "nodes": [{"id": "a", "type": "x"}]}'


def refused(source: Any) -> str:
    """The findings about a workflow that cannot be loaded. `source` may be bytes for standard input."""
    stdin = io.BytesIO(source) if isinstance(source, bytes) else None
    with pytest.raises(LowerError) as caught:
        load("-" if stdin else source, stdin=stdin)
    return str(caught.value)


# --- JSON -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (b'{"a": 1, "a": 2}', '<stdin>:1:10: error[PFL106] the key "a" stands twice; first on line 1'),
        (b'{"a": {"b\\u0062": 1,\n "bb": 2}}', '<stdin>:2:2: error[PFL106] a: the key "bb" stands twice'),
        (b'{"a": NaN}', "<stdin>:1:7: error[PFL107] NaN is not JSON"),
        (b'{"a": [1, -Infinity]}', "<stdin>:1:11: error[PFL107] -Infinity is not JSON"),
        (b'{"a": 1e999}', "<stdin>:1:7: error[PFL107] the number 1e999 is too large"),
        (b'{"a": "x\\ud83d"}', "<stdin>:1:9: error[PFL108] \\ud83d is half of a surrogate pair"),
        (b'{"\\udc00": 1}', "<stdin>:1:3: error[PFL108] \\udc00 is half of a surrogate pair"),
        (b'{"a":' * 100_000, "<stdin>:1:501: error[PFL109] nested more than 100 levels deep"),
        (b"[" * 101 + b"]" * 101, "<stdin>:1:101: error[PFL109] nested more than 100 levels deep"),
        (b'["x"]', "<stdin>:1:1: error[PFL110] a workflow is an object {...}, this is a list"),
        (b"[]", "error[PFL110]"),
        (b'{"a": 1,}', "<stdin>:1:8: error[PFL105] a comma before }"),
        (b'{"a": [1, ]}', "<stdin>:1:9: error[PFL105] a comma before ]"),
        (b"{'a': 1}", '<stdin>:1:2: error[PFL105] `\'` is not JSON\n  strings are written in double quotes: "..."'),
        (b'{"a": 1 // x\n}', "<stdin>:1:9: error[PFL105] a comment is not JSON"),
        (b"{a: 1}", "<stdin>:1:2: error[PFL105] a key was expected, not `a`"),
        (b'{"a" 1}', "<stdin>:1:6: error[PFL105] a colon is missing before `1`"),
        (b'{"a": 1\n "b": 2}', '<stdin>:2:2: error[PFL105] a comma is missing before `"b"`'),
        (b'{"a": True}', "<stdin>:1:7: error[PFL105] a value was expected, not `True`"),
        (b'{"a": 1', "<stdin>:1:8: error[PFL105] the file ends in the middle"),
        (b'{"a": "x', "<stdin>:1:7: error[PFL105] the string that starts here has no closing quote"),
        (b'{"a": "x\ty"}', "<stdin>:1:9: error[PFL105] a string cannot contain '\\t' as it is"),
        (b'{"a": "\\x"}', "<stdin>:1:8: error[PFL105]"),
        (b'{"a": 1} {"b": 2}', "<stdin>:1:10: error[PFL105] the JSON value has ended, but `{` follows"),
        (b"", "<stdin>: error[PFL104] the file is empty"),
        (b"\xef\xbb\xbf  \n", "<stdin>: error[PFL104] the file is empty"),
        (b'\xff\xfe{\x00"\x00', "<stdin>: error[PFL103] the file is UTF-16"),
        (b"\xff\xfe\0\0{\0\0\0", "<stdin>: error[PFL103] the file is UTF-32"),
        (b"\x7fELF\x02\x01\x01\x00", "<stdin>: error[PFL103] the file is not text: byte 7 is NUL"),
        (b'{\n "\xc3\xa9\xff"}', "<stdin>:2:4: error[PFL103] byte 0xff is not UTF-8"),
    ],
)
def test_what_is_wrong_with_a_file(source: bytes, expected: str) -> None:
    assert expected in refused(source)


def test_all_repeated_keys_and_all_strange_numbers_are_reported() -> None:
    assert refused(b'{"a": 1, "a": 2, "b": {"c": 1, "c": 2, "c": 3}}').count("PFL106") == 3
    assert refused(b'{"a": NaN, "b": [Infinity, -1e400, 1], "a": 2}').count("error[") == 4


@pytest.mark.skipif(not hasattr(sys, "set_int_max_str_digits"), reason="no limit on integers here")
def test_a_number_that_python_will_not_read() -> None:
    assert "error[PFL107] the number 9999" in refused(b'{"a": ' + b"9" * 5000 + b"}")
    assert "error[PFL107] the number 9999" in refused(b'{"a": ' + b"9" * 5000 + b", 12x}")


def test_an_integer_that_python_reads_is_not_too_large() -> None:
    assert refused(b'{"a": NaN, "b": ' + b"9" * 400 + b"}").count("PFL107") == 1


def test_a_byte_order_mark_is_no_content() -> None:
    document = from_bytes(b"\xef\xbb\xbf" + SMALL.encode(), "w.json")
    assert document.data == json.loads(SMALL)
    assert document.positions.find(("ir_version",)) == Position(1, 16)


def test_exactly_the_depth_that_is_allowed() -> None:
    depth = MAX_DEPTH - 1
    text = '{"a": ' + "[" * depth + "]" * depth + "}"
    from_json(text, "w.json")
    load(json.loads(text))


def test_what_pflow_fills_in() -> None:
    document = from_json('{"nodes": [{"id": "a", "type": "x", "parameters": {"p": 1}}]}', "w.json")
    assert document.data == {"ir_version": "0.1.0", "nodes": [{"id": "a", "type": "x", "params": {"p": 1}}]}
    assert document.positions.find(("nodes", 0, "params", "p")) == Position(1, 57)


# --- files ------------------------------------------------------------------------------------------


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    assert refused(tmp_path / "none.json").endswith("error[PFL101] cannot read the file: no such file or directory")
    assert "error[PFL101] cannot read the file: is a directory\n" in refused(tmp_path)
    assert "error[PFL101]" in refused("a\0b")
    secret = tmp_path / "secret.json"
    secret.write_text(SMALL)
    secret.chmod(0)
    if not os.access(secret, os.R_OK):
        assert "permission denied" in refused(secret)


def test_a_file_that_is_too_large(tmp_path: Path) -> None:
    large = tmp_path / "large.json"
    with large.open("wb") as file:
        file.truncate(100 * 1024 * 1024)
    assert "the file is too large: it has 104,857,600 bytes, the limit is 33,554,432 bytes" in refused(large)
    assert "the file is too large: it has more, the limit is" in refused(b" " * (MAX_BYTES + 1))


def test_the_name_or_the_content_decides(tmp_path: Path) -> None:
    plain = tmp_path / "workflow.txt"
    plain.write_text("\n  " + SMALL)
    assert load(plain).data == json.loads(SMALL)
    assert load(str(plain)).name == str(plain)
    named = tmp_path / "w.json"
    named.write_text("# Not JSON")
    assert "error[PFL105]" in refused(named)
    assert "error[PFL111]" in refused(b"# A title\n\nand nothing else\n")
    assert "error[PFL111]" in refused(b"[A link](x) and nothing else\n")


# --- Python data ------------------------------------------------------------------------------------


def test_data_that_is_no_json() -> None:
    circle: dict[str, Any] = {}
    circle["a"] = {"b": circle}
    shared: list[Any] = [1]
    for _ in range(60):
        shared = [shared, shared]
    for data, expected in [
        (circle, "error[PFL109] a.b.a.b: nested more than 100 levels deep, or contains itself"),
        ({"a": shared}, "error[PFL102] a[0][0][0]: too large once its repeated parts are written out"),
        ({"a": [frozenset({1})]}, "error[PFL113] a[0]: a frozenset has no JSON form (frozenset({1}))\n  use a list"),
        ({"a": 1j}, "error[PFL113] a: a complex has no JSON form (1j)"),
        ({"a": float("inf")}, "error[PFL107] a: inf is a number that JSON cannot hold"),
        ({"a": "\ud800"}, "error[PFL108] a: \\ud800 is half"),
        ({"\udfff": 1}, "error[PFL108]"),
        ({(1, 2): 1}, "error[PFL113] (1, 2) cannot be a key in JSON"),
        ({1: 1, "1": 2}, "error[PFL106] two keys are the same once they are strings"),
    ]:
        assert expected in refused(data)


class Numbered(enum.IntEnum):
    ONE = 1


class Named(str, enum.Enum):
    TEA = "tea"


class Shown(float):
    def __repr__(self) -> str:
        return "half of it"


def test_what_is_a_text_or_a_number_is_the_plain_one() -> None:
    """What an enum prints of itself is no Python that anybody could run."""
    nodes = [
        {"id": "a", "type": "shell", "params": {"command": "cat", "stdin": "${item}"}, "batch": {"items": items}}
        for items in ([Numbered.ONE, Named.TEA, Shown(0.5), {Named.TEA: True}], [1, "tea", 0.5, {"tea": True}])
    ]
    of_python, plain = (load({"nodes": [one]}).data["nodes"][0]["batch"]["items"] for one in nodes)
    assert [*map(type, of_python), *map(type, of_python[3])] == [int, str, float, dict, str]
    assert of_python == plain
    made, expected = (pflow_lower.lower({"nodes": [one]}).files for one in nodes)
    assert made == expected


def test_data_is_copied_and_has_no_positions() -> None:
    data = {"nodes": [{"id": "a", "type": "x", "params": {True: [1]}}]}
    document = load(data)
    assert data == {"nodes": [{"id": "a", "type": "x", "params": {True: [1]}}]}
    document.data["nodes"][0]["params"][True].append(2)
    assert data["nodes"][0]["params"] == {True: [1]}
    assert document.positions.find(("nodes", 0)) is None
    (warning,) = document.warnings
    assert warning.render() == (
        '<data>: warning[PFL114] a.params: the key True is not a string; in the expanded IR it is "true"\n'
        "  put it in quotes if a string is meant"
    )
    assert validate(document)[1] == [warning]


@pytest.mark.parametrize(
    ("value", "read", "said"),
    [
        (date(2024, 1, 2), "2024-01-02", 'a date has no JSON form; in the expanded IR it is "2024-01-02"'),
        (datetime(2024, 1, 2, 3), "2024-01-02 03:00:00", "a datetime has no JSON form; in the expanded IR it is"),
        (b"x", "b'x'", "a bytes has no JSON form; in the expanded IR it is"),
        ({"b", "a"}, "{'a', 'b'}", "a set has no JSON form; in the expanded IR it is"),
        (set(), "set()", "a set has no JSON form; in the expanded IR it is"),
        (("a", (1,)), ["a", [1]], "a tuple has no JSON form; it is read as a list"),
    ],
)
def test_what_yaml_has_and_json_has_not_is_read_as_its_text(value: Any, read: Any, said: str) -> None:
    document = load({"nodes": [{"id": "a", "type": "x", "params": {"v": [value]}}]})
    assert document.data["nodes"][0]["params"]["v"] == [read]
    assert not document.is_plain
    assert document.warnings[0].render().startswith(f"<data>: warning[PFL113] a.params.v[0]: {said}")


# --- positions in JSON ------------------------------------------------------------------------------


def test_positions_in_json() -> None:
    text = '{"a": [1, {"b\\n": "x\\u00e9 \\"${y}\\" \\ud83d\\ude00${z}"}],\r\n\t"c": {}}'
    positions = JsonPositions(text)
    inner = ("a", 1, "b\n")
    assert positions.find(()) == Position(1, 1)
    assert positions.find(inner) == Position(1, 19)
    assert positions.find_key(inner) == Position(1, 12)
    assert positions.find(inner, "${y}") == Position(1, text.index("${y}") + 1)
    assert positions.find(inner, "${z}") == Position(1, text.index("${z}") + 1)
    assert positions.find(inner, "not there") == Position(1, 19)
    assert positions.find(("c",)) == Position(2, 7)
    assert positions.find(("c", "d", 3)) == Position(2, 7)  # the nearest parent
    assert positions.find_key(("c", "d")) == Position(2, 7)


values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text()),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=4), inner, max_size=4)),
    max_leaves=15,
)


@settings(deadline=None, max_examples=200, derandomize=True)
@given(values, st.sampled_from([None, 1, "\t"]), st.booleans())
def test_every_value_stands_where_its_position_says(data: Any, indent: Any, ascii: bool) -> None:
    text = json.dumps(data, indent=indent, ensure_ascii=ascii)
    root, repeated = index(text)
    assert repeated == []
    todo = [(root, data)]
    while todo:
        span, value = todo.pop()
        assert json.loads(text[span.start : span.end]) == value
        if isinstance(value, dict):
            assert list(span.members) == list(value)
            todo += [(span.members[key], value[key]) for key in value]
            assert all(text[member.key or 0] == '"' for member in span.members.values())
        elif isinstance(value, list):
            assert len(span.items) == len(value)
            todo += list(zip(span.items, value, strict=True))


@settings(deadline=None, max_examples=200, derandomize=True)
@given(st.text())
def test_spelled_undoes_escapes(text: str) -> None:
    raw = json.dumps(text)[1:-1]
    value, offsets = spelled(raw)
    assert value == text
    assert len(offsets) == len(text)


# --- Markdown ---------------------------------------------------------------------------------------

MARKDOWN = """---
owner: me
---
# Issues

Sorts issues.

## Inputs

### style

How to write.

- type: string

## Steps

### list-issues

Lists them.

- type: shell

```shell command
echo '[1]' # items: ${nothing}
```

### classify

Says what each one is.

- type: llm
- inputs:
    1: x
- batch:
    items: ${list-issues.stdout}
    as: issue
    max_retries: 3

```markdown prompt
In ${style} style:

${issue.title}
```

### again

Inline items.

- type: shell
- command: echo ${item.x}
- batch: {items: [{x: 1}, {x: "${style}"}], parallel: true}

## Outputs

### out

All of it.

- source: ${again.results}
"""


@pytest.fixture
def scratch_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    return home


def markdown(folder: Path, text: str) -> Document:
    path = folder / "issues.pflow.md"
    path.write_text(text, encoding="utf-8")
    return load(path)


def test_markdown_and_its_positions(tmp_path: Path, scratch_home: Path, capfd: pytest.CaptureFixture[str]) -> None:
    document = markdown(tmp_path, MARKDOWN)
    nodes = document.data["nodes"]
    assert [node["id"] for node in nodes] == ["list-issues", "classify", "again"]
    assert nodes[1]["params"]["prompt"] == "In ${style} style:\n\n${issue.title}"
    assert document.data["ir_version"] == "0.1.0"
    lines = MARKDOWN.splitlines()
    for path, text, shown in [
        (("nodes", 1), None, "classify"),
        (("nodes", 1, "id"), None, "classify"),
        (("nodes", 1, "type"), None, "llm"),
        (("nodes", 1, "batch", "items"), None, "${list-issues.stdout}"),
        (("nodes", 1, "batch", "as"), None, "issue"),
        (("nodes", 1, "batch"), None, "batch:"),
        (("nodes", 1, "batch", "max_retries"), None, "3"),
        (("nodes", 1, "params", "prompt"), None, "In ${style}"),
        (("nodes", 1, "params", "prompt"), "${issue.title}", "${issue.title}"),
        (("nodes", 1, "params", "nothing"), None, "classify"),
        (("nodes", 0, "params", "command"), "${nothing}", "${nothing}"),
        (("nodes", 2, "batch", "items"), None, "[{x: 1}"),
        (("nodes", 2, "batch", "items", 1, "x"), "${style}", "${style}"),
        (("nodes", 2, "batch", "parallel"), None, "true"),
        (("nodes", 2, "params", "command"), "${item.x}", "${item.x}"),
        (("inputs", "style"), None, "style"),
        (("inputs", "style", "type"), None, "string"),
        (("outputs", "out", "source"), None, "${again.results}"),
        (("edges", 0), None, "list-issues"),
    ]:
        position = document.positions.find(path, text)
        assert position is not None
        assert lines[position.line - 1][position.column - 1 :].startswith(shown), (path, position)
    assert document.positions.find_key(("nodes", 1, "batch", "as")) == Position(37, 5)
    assert list(scratch_home.iterdir()) == []
    assert capfd.readouterr() == ("", "")
    (odd,) = validate(document)[1]
    assert odd.render() == (
        f"{tmp_path}/issues.pflow.md:34:5: warning[PFL114] classify.params.inputs: "
        'the key 1 is not a string; in the expanded IR it is "1"\n  put it in quotes if a string is meant'
    )


def test_markdown_from_standard_input() -> None:
    document = load("-", stdin=io.BytesIO(MARKDOWN.encode()))
    assert document.name == "<stdin>"
    assert len(document.data["nodes"]) == 3


def test_files_beside_the_workflow(tmp_path: Path) -> None:
    text = MARKDOWN.replace("- type: llm\n", "- type: llm\n- prompt: ./prompt.md\n").replace(
        "```markdown prompt\nIn ${style} style:\n\n${issue.title}\n```\n", ""
    )
    with pytest.raises(LowerError, match=r"issues\.pflow\.md:33:11: error\[PFL115\] \./prompt\.md: no such file"):
        markdown(tmp_path, text)
    (tmp_path / "prompt.md").write_text("Sort ${issue.title}", encoding="utf-8")
    node = markdown(tmp_path, text).data["nodes"][1]
    assert node["params"]["prompt"] == "Sort ${issue.title}"
    assert node["_source_files"] == {"prompt": "./prompt.md"}
    (tmp_path / "prompt.md").write_bytes(b"\xff")
    with pytest.raises(LowerError, match="PFL115"):
        markdown(tmp_path, text)
    assert "error[PFL115] ./prompt.md stands beside a workflow file" in refused(text.encode())


def test_files_beside_a_json_workflow(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    node = {
        "id": "a",
        "type": "http",
        "params": {"prompt": "./prompt.md", "headers": "sub/headers.json", "url": "./not-a-file.md", "x": 1},
        "batch": {"items": [{"command": "../run.sh"}, {"command": "${x}/run.sh"}]},
    }
    path = tmp_path / "in" / "w.json"
    (path.parent / "sub").mkdir(parents=True)
    path.write_text(json.dumps({"nodes": [node]}, indent=1))
    with pytest.raises(
        LowerError, match=r"w\.json:7:15: error\[PFL115\] a\.params\.prompt: cannot read the file \./prom"
    ):
        load(path)
    (path.parent / "prompt.md").write_text("Say ${item.x}")
    (path.parent / "sub" / "headers.json").write_text('{"h": "${y}"}')
    (tmp_path / "run.sh").write_text("echo hi")
    read = load(path).data["nodes"][0]
    assert read["params"] == {"prompt": "Say ${item.x}", "headers": {"h": "${y}"}, "url": "./not-a-file.md", "x": 1}
    assert read["batch"]["items"] == [{"command": "echo hi"}, {"command": "${x}/run.sh"}]
    assert read["_source_files"] == {
        "prompt": "./prompt.md",
        "headers": "sub/headers.json",
        "batch.items[0].command": "../run.sh",
    }
    assert "came without a folder" in refused({"nodes": [node]})
    del node["batch"]
    assert load({"nodes": [node]}).data["nodes"] == [node]
    for content in (b"\xff", b"{", b"[" * 5000, b'{"a": NaN}'):
        (path.parent / "sub" / "headers.json").write_bytes(content)
        with pytest.raises(LowerError, match="PFL115"):
            load(path)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("## Steps", "## Stps", "error[PFL111]"),
        ("### classify", "### list-issues", ":28:1: error[PFL111] Duplicate entity ID 'list-issues'"),
        (
            "    as: issue",
            "   as: issue",
            # at the line itself, not at the heading
            ":37:4: error[PFL111] YAML syntax error in parameters for 'classify': expected <block end>",
        ),
        ("    1: x", "    2024-01-01: x", "error[PFL113] classify.params.inputs: 2024-01-01 cannot be a key in JSON"),
        ("    1: x", "    k: .nan", "error[PFL107] classify.params.inputs.k: nan is a number"),
        ("    1: x", "    1: x\n    '1': y", "error[PFL106] classify.params.inputs: two keys are the same"),
        ("    1: x", "    k: " + "[" * 200 + "]" * 200, "error[PFL109]"),
        ("    1: x", "    k: " + "[" * 5000 + "]" * 5000, "error[PFL109]"),
    ],
)
def test_what_is_wrong_with_markdown(tmp_path: Path, old: str, new: str, expected: str) -> None:
    with pytest.raises(LowerError) as caught:
        markdown(tmp_path, MARKDOWN.replace(old, new, 1))
    assert expected in str(caught.value)


def test_aliases_of_yaml_cannot_blow_up(tmp_path: Path) -> None:
    bomb = "".join(f"    l{i}: &l{i} [" + ", ".join([f"*l{i - 1}"] * 9) + "]\n" for i in range(1, 12))
    with pytest.raises(LowerError, match="PFL102"):
        markdown(tmp_path, MARKDOWN.replace("    1: x\n", "    l0: &l0 [1]\n" + bomb, 1))


def test_without_pflow(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "pflow"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pflow", None)
    message = "error[PFL112] a Markdown workflow is read by pflow, which is not installed"
    assert f'{message}\n  pip install "pflow-cli=={REFERENCE}.*" markdown-it-py' in refused(MARKDOWN.encode())
    assert load("-", stdin=io.BytesIO(SMALL.encode())).data["nodes"]


# --- anything ---------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=300, derandomize=True)
@given(
    st.one_of(
        st.binary(),
        st.text().map(str.encode),
        values.map(lambda data: json.dumps(data).encode()),
        st.tuples(st.integers(0, len(SMALL)), st.binary(max_size=3)).map(
            lambda cut: SMALL.encode()[: cut[0]] + cut[1] + SMALL.encode()[cut[0] :]
        ),
        st.tuples(st.integers(0, len(MARKDOWN)), st.text(max_size=5), st.integers(0, 20)).map(
            lambda cut: (MARKDOWN[: cut[0]] + cut[1] + MARKDOWN[cut[0] + cut[2] :]).encode()
        ),
    ),
    st.sampled_from(["w.json", "w.pflow.md", "<stdin>"]),
)
def test_no_file_is_a_surprise(content: bytes, name: str) -> None:
    """Any bytes are loaded or refused with findings; nothing else ever comes out."""
    try:
        document = from_bytes(content, name)
    except LowerError as error:
        str(error).encode()
        return
    json.dumps(document.data).encode()
    for path in ((), ("nodes",), ("nodes", 0, "params", "x"), ("edges", 0), ("outputs", "o", "source")):
        assert document.positions.find(path, "${x}") is not None
        assert document.positions.find_key(path) is not None
    for finding in validate(document)[1]:
        finding.render().encode()


CONFLICT = "Be brief.\n<<<<<<< HEAD\nGreet ${item}.\n=======\nSay hello to ${item}.\n>>>>>>> other\n"
BRIEF = """# W

Greets.

## Steps

### greet

Greets.

- type: llm
- batch:
    items: [1, 2]
- prompt: ./prompt.md

Some prose.

%s
"""


def conflicts(file: Path, text: str) -> list[tuple[str, int]]:
    file.write_text(text)
    found = [one for one in load(file).warnings if one.code == "PFL120"]
    assert all(one.severity is Severity.WARNING and one.position is not None for one in found)
    return [(Path(one.file).name, one.position.line) for one in found if one.position is not None]


@pytest.mark.parametrize("name", ["w.json", "w.pflow.md"])
def test_a_conflict_in_a_prompt_file_is_placed_there_once(name: str, tmp_path: Path) -> None:
    if name.endswith(".md"):
        pytest.importorskip("pflow")
        text = BRIEF % ""
    else:
        batch = {"items": [1], "as": "item"}
        nodes = [{"id": x, "type": "llm", "params": {"prompt": "./prompt.md"}, "batch": batch} for x in "ab"]
        text = json.dumps({"ir_version": "0.1.0", "nodes": nodes, "edges": [{"from": "a", "to": "b"}]})
    (tmp_path / "prompt.md").write_text(CONFLICT)
    assert conflicts(tmp_path / name, text) == [("prompt.md", 2)]
    for whole in (
        "Title\n=======\nGreet ${item}.\n",
        CONFLICT.replace(">>>>>>> ", "> "),
        CONFLICT.replace("<<<<<<< ", "  <<<<<<< "),
    ):
        (tmp_path / "prompt.md").write_text(whole)
        assert conflicts(tmp_path / name, text) == []


@pytest.mark.parametrize(
    ("written", "is_one"),
    [
        (CONFLICT, True),
        ("```shell command\n" + CONFLICT + "```", True),
        (CONFLICT.replace("\n", "\r\n"), True),
        ("Title\n=======\n", False),
    ],
)
def test_a_conflict_in_the_markdown_itself(written: str, is_one: bool, tmp_path: Path) -> None:
    pytest.importorskip("pflow")
    (tmp_path / "prompt.md").write_text("Greet ${item}.")
    text = BRIEF % written
    if "command" in written:
        text = text.replace("- prompt: ./prompt.md\n", "").replace("type: llm", "type: shell")
    expected = [] if not is_one else [("w.pflow.md", text.splitlines().index("<<<<<<< HEAD") + 1)]
    assert conflicts(tmp_path / "w.pflow.md", text) == expected


def test_a_file_that_yaml_does_not_read_is_named(tmp_path: Path) -> None:
    pytest.importorskip("pflow")
    file = tmp_path / "w.pflow.md"
    file.write_text("# W\n\nW.\n\n## Steps\n\n### ask\n\nAsks.\n\n- type: http\n- headers: ./headers.yaml\n")
    (tmp_path / "headers.yaml").write_text("a: \x01\n")
    with pytest.raises(
        LowerError, match=r"w\.pflow\.md:12:12: error\[PFL115\] the file .*headers\.yaml cannot be read"
    ):
        load(file)


SIDES = "<<<<<<< HEAD\nA: ${item}\n=======\nB: ${item}\n>>>>>>> other\n"


@pytest.mark.parametrize("workflow", ["w.json", "w.pflow.md"])
@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("prompt.md", "Grüße\n  für".encode("latin-1"), "prompt.md:1:3: error[PFL115] ask{at}: byte 0xfc is not UTF-8"),
        ("prompt.md", b"\xef\xbb\xbfok\nno\xe9", "prompt.md:2:3: error[PFL115] ask{at}: byte 0xe9 is not UTF-8"),
        ("prompt.md", "Hi".encode("utf-16"), "prompt.md: error[PFL115] ask{at}: the file is UTF-16"),
        ("headers.json", b'{"a": "\xff"}', "headers.json:1:8: error[PFL115] ask{at}: byte 0xff is not UTF-8"),
        ("headers.json", b'{"a": 1\n} }', "headers.json:2:3: error[PFL115] ask{at}: "),
        ("headers.json", f'{{"a": 1,\n{SIDES}}}'.encode(), "headers.json:2:1: error[PFL115] ask{at}: a merge conflict"),
        ("headers.yaml", f"a: 1\n{SIDES}".encode(), "headers.yaml:2:1: error[PFL115] ask{at}: a merge conflict"),
        ("headers.yaml", b"a: 1\nb: [", "headers.yaml:2:5: error[PFL115] ask{at}: YAML: "),
    ],
)  # fmt: skip
def test_what_is_wrong_in_a_file_is_told_at_its_place_there(
    workflow: str, name: str, content: bytes, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    key, kind = name.partition(".")[0], "llm" if name == "prompt.md" else "http"
    if workflow.endswith(".json"):
        if name.endswith(".yaml"):
            return  # a JSON workflow reads none
        Path(workflow).write_text(json.dumps({"nodes": [{"id": "ask", "type": kind, "params": {key: f"./{name}"}}]}))
        expected = expected.replace("{at}", f".params.{key}")
    else:
        pytest.importorskip("pflow")
        Path(workflow).write_text(f"# W\n\nW.\n\n## Steps\n\n### ask\n\nAsks.\n\n- type: {kind}\n- {key}: ./{name}\n")
        expected = expected.replace(" ask{at}:", "")
    Path(name).write_bytes(content)
    with pytest.raises(LowerError) as caught:
        load(workflow)
    (found,) = caught.value.diagnostics
    assert found.render().startswith(expected)
    assert found.via is not None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            '{"nodes": [\n>>>>>>> theirs\n]}',
            "w.json:2:1: error[PFL105] a merge conflict is not resolved: its marker `>",
        ),
        ('{"nodes": [\n=======\n]}', "w.json:2:1: error[PFL105] a merge conflict is not resolved: its marker `==="),
        ('{"nodes": [\n======\n]}', "w.json:2:1: error[PFL105] a value was expected, not `=`"),
        ('{"nodes": [\n  <<<<<<< HEAD\n]}', "w.json:2:3: error[PFL105] a value was expected, not `<`"),
    ],
)
def test_what_is_left_of_a_conflict_in_json(
    text: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("w.json").write_text(text)
    with pytest.raises(LowerError) as caught:
        load("w.json")
    assert str(caught.value).startswith(expected)


@pytest.mark.parametrize(
    ("parameter", "expected"),
    [
        ("- bad yaml: [", "w.pflow.md:7:1: error[PFL111] 'bad yaml: ["),
        ("```yaml batch\nitems: [1]\n>>>>>>> theirs\n```", "w.pflow.md:14:1: error[PFL111] a merge conflict is not"),
        (f"```yaml batch\n{SIDES}```", "w.pflow.md:13:1: error[PFL111] a merge conflict is not resolved"),
    ],
)
def test_a_marker_in_a_code_block_is_not_what_is_wrong_elsewhere(
    parameter: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("pflow")
    monkeypatch.chdir(tmp_path)
    code = "```shell command\ncat <<X\n<<<<<<< HEAD\nX\n```\n"
    Path("w.pflow.md").write_text(f"# W\n\nW.\n\n## Steps\n\n### say\n\nSays.\n\n- type: shell\n{parameter}\n\n{code}")
    with pytest.raises(LowerError) as caught:
        load("w.pflow.md")
    assert caught.value.diagnostics[0].render().startswith(expected)
