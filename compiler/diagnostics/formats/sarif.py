"""Findings as SARIF 2.1.0, for code scanning.

A finding with a file has a physical location, relative to the root of the checkout; one without (standard input)
has the node it is about as its only location. References such as ${list.items} stand in messages as they are: the
standard reserves braces for placeholders, which are numbers and only looked for where a message has arguments.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ... import __version__
from ..codes import CODES
from ..diagnostic import Diagnostic, Severity, printable
from ..explanations import explanation
from .file_paths import path_of, root, uri_of
from .json_form import json_text

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
ROOT = "%SRCROOT%"  # what GitHub and Azure DevOps call the folder of the checkout

_LINE_NUMBER = re.compile(r"\blines? \d+")


def as_sarif(found: Sequence[Diagnostic]) -> str:
    """A SARIF log with one run: the rules that were broken, and a result per finding."""
    codes = sorted({finding.code for finding in found})
    rules = [_rule(code, found) for code in codes]
    driver = {"name": "pflow-lower", "version": __version__, "semanticVersion": __version__, "rules": rules}
    base, here = root(), Path.cwd()
    seen: Counter[str] = Counter()
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "originalUriBaseIds": {ROOT: {"description": {"text": "The root of the checkout."}}},
        "results": [_result(finding, codes.index(finding.code), base, here, seen) for finding in found],
    }
    return json_text({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]})


def _rule(code: str, found: Sequence[Diagnostic]) -> dict[str, Any]:
    title = CODES[code]
    rule = {
        "id": code,
        "name": "".join(word.capitalize() for word in re.findall(r"\w+", title)),
        "shortDescription": {"text": f"{title[:1].upper()}{title[1:]}."},
        "defaultConfiguration": {"level": _level([finding for finding in found if finding.code == code])},
    }
    known = explanation(code)
    if known is not None:
        rule["fullDescription"] = {"text": known.summary}
        rule["help"] = {"text": known.text, "markdown": known.markdown}
    return rule


def _level(found: Sequence[Diagnostic]) -> str:
    return "error" if any(finding.severity is Severity.ERROR for finding in found) else "warning"


def _result(finding: Diagnostic, rule: int, base: Path, here: Path, seen: Counter[str]) -> dict[str, Any]:
    path = path_of(finding, base, here)
    uri = None if path is None else uri_of(path)
    message = printable(f"{finding.where}: {finding.message}" if finding.where else finding.message)
    help = map(printable, finding.help.splitlines())
    result: dict[str, Any] = {
        "ruleId": finding.code,
        "ruleIndex": rule,
        "level": _level([finding]),
        "message": {"text": "\n".join([message, *help])},
    }
    location: dict[str, Any] = {}
    if path is not None:
        artifact = {"uri": uri} if path.is_absolute() else {"uri": uri, "uriBaseId": ROOT}
        location["physicalLocation"] = {"artifactLocation": artifact}
        if finding.position is not None:
            line, column = finding.position
            location["physicalLocation"]["region"] = {"startLine": line, "startColumn": column}
    if finding.where:
        location["logicalLocations"] = [{"fullyQualifiedName": printable(finding.where)}]
    result["locations"] = [location] if location else []
    result["partialFingerprints"] = {"pflowLowerFinding/v1": _fingerprint(finding, uri, seen)}
    return result


def _fingerprint(finding: Diagnostic, uri: str | None, seen: Counter[str]) -> str:
    """What stays the same while lines above the finding come and go; alike findings are numbered."""
    told = [finding.code, uri or "", finding.where, _LINE_NUMBER.sub("line", finding.message)]
    digest = hashlib.sha256(json.dumps(told).encode()).hexdigest()[:32]
    seen[digest] += 1
    return f"{digest}:{seen[digest]}"
