"""What pflow reads as prose, or not at all, and is probably meant as more: PFL119."""

from __future__ import annotations

from pathlib import Path

import pytest

from pflow_lower.diagnostics.diagnostic import Diagnostic
from pflow_lower.load.load import load

pytest.importorskip("pflow")

TEXT = """# W

Does it.

## Inputs

### who

Whom.

- type: string
- required: true

## Steps

### a

Does: one thing.
note: this is prose.

- type: shell
- command: echo ${who}
- batch:
    items: [1, 2]
    parallel: true

Prose:

note: this as well
-- and this

```yaml env
A: 1
```

## Outputs

### o

Out.

- source: ${a.results}

## Notes on outputs

- as: is
-x: y
"""


def said(tmp_path: Path, text: str) -> list[Diagnostic]:
    file = tmp_path / "w.pflow.md"
    file.write_text(text)
    return [one for one in load(file).warnings if one.code in ("PFL119", "PFL116", "PFL106")]


def test_a_right_one(tmp_path: Path) -> None:
    assert said(tmp_path, TEXT) == []


@pytest.mark.parametrize(
    ("right", "wrong", "line", "message"),
    [
        ("## Outputs", "## Otputs", 36, "the section `## Otputs` is not read"),
        ("## Outputs", "## Outputs:", 36, "the section `## Outputs:` is not read"),
        ("- required: true", "-required: true", 12, "`-required:` is read as prose, not as a parameter"),
        ("- required: true", "+ required: true", 12, "`+ required:` is read as prose: the bullets that pflow reads"),
        ("- type: shell\n", "+ retry:\n- type: shell\n", 21, "`+ retry:` is read as prose: the bullets that pflow"),
        ("- type: string", "* default: Ann\n- type: string", 11, "`* default:` is read as prose: the bullets"),
        ("- type: shell\n", "- type: shell\n\n+ timeout: 3\n\n", 23, "`+ timeout:` is read as prose"),
        ("- type: shell\n", "- type: shell\n* anything: 3\n", 22, "`* anything:` is read as prose"),
        ("Prose:\n", "Prose:\n\n* Fast: yes\n* slow: no\n+ timeout: 3\n", 31, "`+ timeout:` is read as prose"),
        ("    parallel", "parallel", 25, "`parallel:` is read as prose: it stands outside of the bullet"),
        ("- command", "command", 22, "`command:` is read as prose"),
        ("```yaml env", "```yml env", 32, "the block `env` is text: its language is `yml`"),
    ],
)
def test_what_is_meant_as_more(tmp_path: Path, right: str, wrong: str, line: int, message: str) -> None:
    (found,) = said(tmp_path, TEXT.replace(right, wrong))
    assert (found.code, found.position and found.position.line) == ("PFL119", line)
    assert found.message.startswith(message) and found.help


def test_what_pflow_says_itself_is_said_once(tmp_path: Path) -> None:
    (found,) = said(tmp_path, TEXT.replace("## Outputs", "## Output"))
    assert found.code == "PFL116"


def test_a_heading_that_is_too_deep_ends_no_node(tmp_path: Path) -> None:
    """To pflow its bullets are those of the node above it, which has them twice then."""
    more = TEXT.replace("## Outputs", "#### b\n\nDoes.\n\n- type: http\n- url: x\n\n## Outputs")
    (found,) = said(tmp_path, more)
    assert (found.code, found.where, found.position and found.position.line) == ("PFL106", "a", 40)
