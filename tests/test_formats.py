"""Findings in every form, as their readers take them."""

from __future__ import annotations

import json
import os
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any
from urllib.parse import unquote

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft4Validator, Draft7Validator
from syrupy.assertion import SnapshotAssertion

import pflow_lower
from pflow_lower.cli import cli
from pflow_lower.diagnostics.codes import CODES
from pflow_lower.diagnostics.diagnostic import Diagnostic, LowerError, Position, Severity
from pflow_lower.diagnostics.explanations import explanation
from pflow_lower.diagnostics.formats.file_paths import path_of, uri_of
from pflow_lower.diagnostics.formats.show import FORMATS, render, show_findings

SARIF = Draft4Validator(
    json.loads(Path(__file__).with_name("schemas").joinpath("sarif-schema-2.1.0.json").read_text("utf-8")),
    format_checker=Draft4Validator.FORMAT_CHECKER,
)
FINDINGS = Draft7Validator(
    json.loads((Path(pflow_lower.__file__).parent / "diagnostics/formats/findings.schema.json").read_text("utf-8"))
)

PLAIN = Diagnostic(
    code="PFL301",
    severity=Severity.ERROR,
    message="${lst.stdout} names no node or input",
    where="classify.batch.items",
    file="flows/triage.json",
    position=Position(14, 20),
    help="did you mean ${list.stdout}?",
)
HOSTILE = Diagnostic(
    code="PFL330",
    severity=Severity.WARNING,
    message="50% of ]]> <b>&amp;\x00\x1b[31m\ud800\r\n::error::forged, a: b\u2028\ufffe [x](https://example.org) {0}",
    where='a:b,"c"\n::warning::',
    file="dir with space/ä%41:,\\\x07.json",
    position=Position(1, 1),
    help="first\n::stop-commands::x\n</failure>",
)
STDIN = PLAIN._replace(file="<stdin>")
BARE = Diagnostic(code="PFL602", severity=Severity.ERROR, message="cannot write here")
ALL = [PLAIN, HOSTILE, STDIN, BARE]


def is_file_name(name: str) -> bool:
    """Whether a command line can hold it: bytes that are not text are there as U+DC80 to U+DCFF."""
    try:
        return bool(os.fsencode(name)) or not name
    except UnicodeEncodeError:
        return False


texts = st.text(st.characters(exclude_categories=()) | st.sampled_from("\0\r\n\x1b\ud800\u2028\ufffe%:,<>&\"'{}[]()"))
findings = st.builds(
    Diagnostic,
    code=st.sampled_from(sorted(CODES)),
    severity=st.sampled_from(Severity),
    message=texts.filter(bool),
    where=texts,
    file=texts.map(lambda name: name.replace("\0", "").replace("\ud800", "\udcff")).filter(is_file_name),
    position=st.none() | st.builds(Position, st.integers(1, 10**6), st.integers(1, 10**6)),
    help=texts,
)


@pytest.fixture(autouse=True)
def no_checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GITHUB_WORKSPACE", raising=False)


@pytest.mark.parametrize("form", FORMATS)
def test_every_form(form: str, snapshot: SnapshotAssertion) -> None:
    made = render(ALL, form)
    here = Path.cwd()
    assert made.replace(f'"version": "{pflow_lower.__version__}"', '"version": "VERSION"').replace(
        f'"semanticVersion": "{pflow_lower.__version__}"', '"semanticVersion": "VERSION"'
    ) == snapshot(name=form)
    assert str(here) not in made


@pytest.mark.parametrize("form", FORMATS)
@given(found=st.lists(findings, max_size=3))
def test_any_finding_can_be_written_to_a_file_in_utf_8(form: str, found: list[Diagnostic]) -> None:
    text = render(found, form)
    if form == "text":  # a file name that is not text is shown as a terminal shows it
        assert len(text.splitlines()) >= len(found)
    else:
        text.encode()


# --- JSON


def test_json_is_what_its_schema_says() -> None:
    Draft7Validator.check_schema(FINDINGS.schema)
    FINDINGS.validate(json.loads(render(ALL, "json")))
    FINDINGS.validate(json.loads(render([], "json")))


@given(found=st.lists(findings, max_size=3))
def test_json_gives_back_every_character(found: list[Diagnostic]) -> None:
    data = json.loads(render(found, "json"))
    FINDINGS.validate(data)
    for finding, written in zip(found, data, strict=True):
        # a surrogate pair in two halves is one character to a reader of JSON
        assert joined(written["message"]) == joined(finding.message)


def joined(text: str) -> str:
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


# --- SARIF


def sarif(found: list[Diagnostic]) -> dict[str, Any]:
    log: dict[str, Any] = json.loads(render(found, "sarif"))
    SARIF.validate(log)
    (run,) = log["runs"]
    assert isinstance(run, dict)
    return run


@given(found=st.lists(findings, max_size=3))
def test_sarif_is_what_the_standard_says(found: list[Diagnostic]) -> None:
    run = sarif(found)
    assert len(run["results"]) == len(found)
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    for finding, result in zip(found, run["results"], strict=True):
        assert rules[result["ruleIndex"]] == result["ruleId"] == finding.code


def test_sarif_explains_its_rules() -> None:
    (rule, *_) = sarif([PLAIN])["tool"]["driver"]["rules"]
    told = explanation("PFL301")
    assert told is not None
    assert rule["name"] == "ReferenceToNothing"
    assert rule["shortDescription"]["text"] == "Reference to nothing."
    assert rule["fullDescription"]["text"] == told.summary
    assert rule["help"]["markdown"] == told.markdown
    assert "```" not in rule["help"]["text"] and '    {"id"' in rule["help"]["text"]
    assert "helpUri" not in rule


def test_sarif_locates_what_can_be_located(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    monkeypatch.chdir(tmp_path / "sub")
    monkeypatch.setenv("GITHUB_WORKSPACE", str(tmp_path))
    found = [PLAIN, PLAIN._replace(file="../../away.json", position=None), STDIN, BARE]
    plain, away, stdin, bare = (result["locations"] for result in sarif(found)["results"])
    assert plain[0]["physicalLocation"] == {
        "artifactLocation": {"uri": "sub/flows/triage.json", "uriBaseId": "%SRCROOT%"},
        "region": {"startLine": 14, "startColumn": 20},
    }
    assert away[0]["physicalLocation"] == {"artifactLocation": {"uri": (tmp_path.parent / "away.json").as_uri()}}
    assert stdin == [{"logicalLocations": [{"fullyQualifiedName": "classify.batch.items"}]}]
    assert bare == []


def prints(found: list[Diagnostic]) -> list[str]:
    return [result["partialFingerprints"]["pflowLowerFinding/v1"] for result in sarif(found)["results"]]


def test_sarif_fingerprints_survive_lines_above() -> None:
    twice = PLAIN._replace(code="PFL206", message='another node has the id "a": line 3')
    moved = twice._replace(message='another node has the id "a": line 5')
    before = prints([PLAIN, twice])
    assert before == prints([PLAIN._replace(position=Position(16, 20)), moved._replace(position=Position(18, 3))])
    others = [
        PLAIN._replace(code="PFL302"),
        PLAIN._replace(where="other.batch.items"),
        PLAIN._replace(file="flows/other.json"),
        PLAIN._replace(message="${other} names no node or input"),
    ]
    assert len({*before, *prints(others)}) == len(before) + len(others)


def test_sarif_fingerprints_tell_alike_findings_apart() -> None:
    assert len(set(prints([PLAIN, PLAIN._replace(position=Position(14, 40))]))) == 2


# --- GitHub

COMMAND = re.compile(r"::(?P<command>error|warning) (?P<properties>[^:]*)::(?P<text>.*)")


def annotation(line: str) -> tuple[str, dict[str, str], str]:
    """What a runner reads: the command, its properties and its text."""
    match = COMMAND.fullmatch(line)
    assert match is not None, line
    properties = dict(pair.split("=", 1) for pair in match["properties"].split(","))
    return match["command"], {name: unquote(value) for name, value in properties.items()}, unquote(match["text"])


def test_annotations() -> None:
    assert render([PLAIN], "github") == (
        "::error file=flows/triage.json,line=14,col=20,title=PFL301 reference to nothing"
        "::classify.batch.items: ${lst.stdout} names no node or input%0Adid you mean ${list.stdout}?"
    )
    assert render([BARE], "github") == "::error title=PFL602 folder that cannot be written::cannot write here"
    assert render([], "github") == ""


def test_annotations_are_relative_to_the_checkout(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    monkeypatch.chdir(tmp_path / "sub")
    monkeypatch.setenv("GITHUB_WORKSPACE", str(tmp_path))
    assert annotation(render([PLAIN], "github"))[1]["file"] == "sub/flows/triage.json"


@given(found=st.lists(findings, min_size=1, max_size=3))
def test_annotations_cannot_be_forged(found: list[Diagnostic]) -> None:
    lines = render(found, "github").split("\n")
    assert len(lines) == len(found)
    for finding, line in zip(found, lines, strict=True):
        command, properties, text = annotation(line)
        assert command == finding.severity.value
        assert properties.keys() <= {"file", "line", "col", "title"}
        assert properties["title"].startswith(finding.code)
        assert "\r" not in line and "\n" not in line
        if finding.message.isprintable():
            assert finding.message in text


# --- JUnit


def suites(found: list[Diagnostic]) -> ElementTree.Element:
    root = ElementTree.fromstring(render(found, "junit").encode())
    cases = root.findall("./testsuite/testcase")
    assert root.get("tests") == str(len(cases))
    assert root.get("failures") == str(len(root.findall("./testsuite/testcase/failure"))) == str(len(found))
    for suite in root:
        assert suite.get("tests") == str(len(suite))
        assert suite.get("failures") == str(len(suite.findall("./testcase/failure")))
        assert all(case.get("name") and case.get("classname") for case in suite)
    return root


def test_junit() -> None:
    root = suites(ALL)
    assert root[0].get("name") == "flows/triage.json"
    first = root[0][0]
    assert (first.get("file"), first.get("name")) == (
        "flows/triage.json",
        "PFL301 reference to nothing: classify.batch.items (14:20)",
    )
    failure = first[0]
    assert (failure.get("type"), failure.get("message")) == ("error", PLAIN.message)
    assert failure.text == PLAIN.render()


def test_junit_of_nothing_is_a_passed_test() -> None:
    ((case,),) = suites([])
    assert (case.get("name"), len(case)) == ("no findings", 0)


@given(found=st.lists(findings, max_size=3))
def test_junit_is_xml_whatever_is_said(found: list[Diagnostic]) -> None:
    root = suites(found)
    if found:
        assert {case[0].text for suite in root for case in suite} == {finding.render() for finding in found}


# --- Places


@pytest.mark.parametrize(
    ("name", "path", "uri"),
    [
        ("a.json", "a.json", "a.json"),
        (r"flows\a b.json", "flows/a b.json", "flows/a%20b.json"),
        (r"..\other\a.json", "other/a.json", "other/a.json"),
        (r"C:\repo\here\a.json", "here/a.json", "here/a.json"),
        (r"D:\a.json", "D:/a.json", "file:///D:/a.json"),
        (r"..\..\a.json", "C:/a.json", "file:///C:/a.json"),
    ],
)
def test_places_on_windows(name: str, path: str, uri: str) -> None:
    base, here = PureWindowsPath(r"C:\repo"), PureWindowsPath(r"C:\repo\here")
    if not name.startswith("..") and ":" not in name:
        path, uri = f"here/{path}", f"here/{uri}"
    found = path_of(PLAIN._replace(file=name), base, here)
    assert found is not None
    assert (found.as_posix(), uri_of(found)) == (path, uri)


@pytest.mark.parametrize(
    ("name", "uri"),
    [
        ("./a.json", "a.json"),
        ("b/../ä.json", "%C3%A4.json"),
        ("a:b#?%.json", "a%3Ab%23%3F%25.json"),
        ("back\\slash.json", "back%5Cslash.json"),
        ("\udcff.json", "%FF.json"),
        ("../a.json", "file:///a.json"),
        ("/repo/x/a.json", "x/a.json"),
    ],
)
def test_places(name: str, uri: str) -> None:
    base = PurePosixPath("/repo")
    found = path_of(PLAIN._replace(file=name), base, base)
    assert found is not None
    assert uri_of(found) == uri


@pytest.mark.parametrize("name", ["", "<stdin>", "<data>"])
def test_what_is_no_file_has_no_place(name: str) -> None:
    assert path_of(PLAIN._replace(file=name), PurePosixPath("/"), PurePosixPath("/")) is None


# --- The command


@pytest.mark.parametrize("form", FORMATS)
def test_the_command_offers_every_form(form: str, tmp_path: Path) -> None:
    (tmp_path / "wrong.json").write_text('{"nodes": []}')
    shown = CliRunner().invoke(cli, [str(tmp_path / "wrong.json"), "--format", form])
    assert shown.exit_code == 2
    with pytest.raises(LowerError) as raised:
        pflow_lower.lower(tmp_path / "wrong.json")
    assert shown.output == render(raised.value.diagnostics, form) + "\n"


@pytest.mark.parametrize("form", FORMATS)
def test_other_commands_print_to_stdout(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    show_findings([PLAIN, HOSTILE], form, err=False, quiet=True)
    said = capsys.readouterr()
    assert (said.out, said.err) == (render([PLAIN], form) + "\n", "")
