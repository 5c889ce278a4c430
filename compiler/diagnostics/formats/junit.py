"""Findings as JUnit XML, which CI systems show as test results.

Every file is a test suite and every finding a failed test in it, warnings included: a reader of test results
shows nothing else by itself. Without findings there is one test, and it passed: several readers take a report
without a test for a broken one.

Only what all readers know is used: `name`, `classname`, `file`, `time` and counts, a failure with `message` and
`type`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

from ..diagnostic import Diagnostic, printable
from .file_paths import path_of, root


def as_junit(found: Sequence[Diagnostic]) -> str:
    """A document with one suite per file, in the order of `found`."""
    suites: dict[str, list[Diagnostic]] = {}
    for finding in found:
        suites.setdefault(finding.file, []).append(finding)
    lines = ['<?xml version="1.0" encoding="UTF-8"?>']
    lines.append(_open("testsuites", {"name": "pflow-lower", **_counts(len(found) or 1, len(found))}))
    if not found:
        lines += [_open("testsuite", {"name": "pflow-lower", **_counts(1, 0)}, "  ")]
        lines += [f"    <testcase{_attributes({'name': 'no findings', 'classname': 'pflow-lower', 'time': '0'})}/>"]
        lines += ["  </testsuite>"]
    base, here = root(), Path.cwd()
    for file, findings in suites.items():
        lines.append(_open("testsuite", {"name": file or "<workflow>", **_counts(len(findings), len(findings))}, "  "))
        for finding in findings:
            lines += _case(finding, base, here)
        lines.append("  </testsuite>")
    return "\n".join([*lines, "</testsuites>"])


def _case(finding: Diagnostic, base: Path, here: Path) -> list[str]:
    path = path_of(finding, base, here)
    title = f"{finding.code} {finding.title}"
    name = f"{title}: {finding.where}" if finding.where else title
    if finding.position is not None:
        name += f" ({finding.position.line}:{finding.position.column})"
    about = {"name": name, "classname": finding.file or "<workflow>"}
    about |= {} if path is None else {"file": path.as_posix()}
    failure = _attributes({"message": finding.message, "type": finding.severity.value})
    return [
        _open("testcase", {**about, "time": "0"}, "    "),
        f"      <failure{failure}>{escape(finding.render())}</failure>",
        "    </testcase>",
    ]


def _counts(tests: int, failures: int) -> dict[str, str]:
    return {"tests": str(tests), "failures": str(failures), "errors": "0", "skipped": "0", "time": "0"}


def _open(tag: str, attributes: dict[str, str], indent: str = "") -> str:
    return f"{indent}<{tag}{_attributes(attributes)}>"


def _attributes(attributes: dict[str, str]) -> str:
    # `printable` leaves no character that XML 1.0 forbids: controls, halves of surrogate pairs, U+FFFE and U+FFFF.
    return "".join(f" {name}={quoteattr(printable(value))}" for name, value in attributes.items())
