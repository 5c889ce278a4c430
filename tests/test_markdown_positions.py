"""Where the parts of a `.pflow.md` stand, in spellings that authors rarely use: never in prose or another part."""

from __future__ import annotations

import time
from typing import Any

import pytest

from pflow_lower.load.load import load
from pflow_lower.load.markdown_structure import sections

HEAD = "# W\n\n## Inputs\n\n### names\n\nWho.\n\n- type: array\n\n## Steps\n\n### ask\n\nAsk them.\n\n"
PROMPT = ("nodes", 0, "params", "prompt")


@pytest.fixture
def document(tmp_path: Any) -> Any:
    def of(text: str) -> Any:
        file = tmp_path / "w.pflow.md"
        file.write_bytes(text.encode())
        return load(str(file))

    return of


def spelled(document: Any, text: str, *path: str | int) -> str | None:
    span = document.positions.span(path)
    return None if span is None else text[span[0] : span[1]]


def test_prose_is_never_taken_for_a_parameter(document: Any) -> None:
    text = HEAD + "prompt: this says what is asked\n- type: llm\n- prompt: Hello ${item}\n\nprompt: and this, too.\n"
    found = document(text)
    assert spelled(found, text, *PROMPT) == "Hello ${item}"
    assert str(found.positions.find(PROMPT)) == str(found.positions.find_inside(PROMPT, "Hello ${item}", [0])[0])
    assert found.positions.find(PROMPT).line == text.splitlines().index("- prompt: Hello ${item}") + 1
    assert found.positions.find_key(PROMPT).column == 3


BODIES = {
    "nested lists": "- type: llm\n- images:\n    - one: prompt\n    - prompt: two\n- prompt: Hi ${item}\n",
    "bullet notes": "* prompt: a note\n- type: llm\n- prompt: Hi ${item}\n",
    "a key of the same name deeper": "- type: llm\n- inputs:\n    prompt: other\n- prompt: Hi ${item}\n",
    "quoted": "- type: llm\n- prompt: 'Hi ${item}'\n",
    "a fence": "- type: llm\n\n```markdown prompt\nHi ${item}\n```\n",
    "a fence of tildes": "- type: llm\n\n~~~~ md prompt\nHi ${item}\n~~~~\n",
    "a fence in a fence": "- type: llm\n\n````prompt\nHi ${item}\n```\nprompt: no\n```\n````\n",
    "an indented fence": "- type: llm\n\n      ```prompt\nHi ${item}\n      ```\n",
    "another fence says prompt": "- type: llm\n\n```text system\nprompt: no\n```\n\n```prompt\nHi ${item}\n```\n",
    "a yaml block": "- type: llm\n\n```yaml output_schema\nprompt: no\n```\n\n- prompt: Hi ${item}\n",
    "a block scalar": "- type: llm\n- prompt: |\n    Hi ${item}\n\n    ## Outputs\n    ```\n    prompt: no\n",
    "a fence in a deep list": "- type: llm\n- inputs:\n    a: 1\n\n    ```prompt\n  Hi ${item}\n```\n",
    "a deep heading in a scalar": "- type: llm\n- system: >-\n      ### ask\n      prompt: no\n- prompt: Hi ${item}\n",
    "tabs": "- type:\tllm\n- prompt:\tHi ${item}\t\n",
    "a tab instead of a bullet's space": "-\tprompt: no\n- type: llm\n- prompt: Hi ${item}\n",
    "HTML": "<div>\n\n- type: llm\n- prompt: Hi ${item}\n\n</div>\n",
    "no blank line before": "Some prose.\n- type: llm\n- prompt: Hi ${item}\n",
    "a rule": "---\n\n- type: llm\n- prompt: Hi ${item}\n",
    "a comment": "<!--\n- system: s\n-->\n- type: llm\n- prompt: Hi ${item}\n",
    "unicode": "Grüße \U0001f600 prompt\n\n- type: llm\n- prompt: Hi ${item} \U0001f600\n",
}


@pytest.mark.parametrize("name", BODIES)
@pytest.mark.parametrize("spelling", ["", "CRLF", "BOM", "front matter"])
def test_a_value_stands_where_it_is_spelled(document: Any, name: str, spelling: str) -> None:
    text = HEAD + BODIES[name] + "- batch:\n    items: ${names}\n    parallel: true\n"
    if spelling == "CRLF":
        text = text.replace("\n", "\r\n")
    if spelling == "BOM":
        text = "\ufeff" + text
    if spelling == "front matter":
        text = "---\nnote: |\n  ## Steps\n  ### ask\n  - prompt: no\n---\n" + text
    found = document(text)
    text = text.removeprefix("\ufeff")
    value = found.data["nodes"][0]["params"]["prompt"]
    first = value.splitlines()[0]
    shown = spelled(found, text, *PROMPT)
    assert shown is not None and first.strip() in shown and "no" not in shown.split("```")[0].split("\n")[0]
    at = found.positions.find(PROMPT, first)
    assert text.replace("\r\n", "\n").split("\n")[at.line - 1][at.column - 1 :].startswith(first)
    offset = value.index("${item}")
    at = found.positions.find_inside(PROMPT, value, [offset])[offset]
    assert text.replace("\r\n", "\n").split("\n")[at.line - 1][at.column - 1 :].startswith("${item}")
    assert spelled(found, text, "nodes", 0, "batch", "items") == "${names}"
    assert spelled(found, text, "nodes", 0, "batch", "parallel") == "true"
    key = found.positions.key_span(("nodes", 0, "batch", "parallel"))
    assert key is not None and text[slice(*key)] == "parallel"
    assert spelled(found, text, "nodes", 0, "id") == "ask"
    assert found.positions.key_span(("inputs", "names")) is not None
    assert spelled(found, text, "inputs", "names", "type") == "array"


def test_parts_of_yaml(document: Any) -> None:
    text = (
        HEAD
        + "- type: http\n- url: 'https://x.y/${item.id}?a=1'\n"
        + '- headers: {"X-Id": "${item.id}", plain: [a, "b c", ${item.c}]}\n'
        + "- batch:\n    items:\n      - id: 1\n        c: one\n      - {id: 2, c: two}\n    as: item\n"
    )
    found = document(text)
    headers = ("nodes", 0, "params", "headers")
    assert spelled(found, text, *headers, "X-Id") == '"${item.id}"'
    assert spelled(found, text, *headers, "plain", 1) == '"b c"'
    assert spelled(found, text, *headers, "plain", 2) == "${item.c}"
    batch = ("nodes", 0, "batch")
    assert spelled(found, text, *batch, "items", 0, "c") == "one"
    assert spelled(found, text, *batch, "items", 1) == "{id: 2, c: two}"
    assert spelled(found, text, *batch, "items", 1, "c") == "two"
    assert spelled(found, text, *batch, "as") == "item"
    assert spelled(found, text, *batch, "max_concurrent") is None
    assert found.positions.find((*batch, "max_concurrent")) == found.positions.find_key(batch)


def test_anchors_that_lead_in_circles_have_places_too() -> None:
    [section] = [one for one in sections("## Steps\n\n### a\n\n- x: &a\n    y: *a\n    z: 1\n") if one.name == "a"]
    [part] = section.parts
    assert part.span.members["y"] is part.span and part.span.child("z") is not None


@pytest.mark.parametrize(
    "text",
    [
        " " * 40_000,
        "## " + " " * 40_000 + "x",
        "```" + " " * 40_000 + "x",
        ("### " + "a" * 10 + "\n\n- k: v\n\n") * 4_000,
        "### a\n\n" + "- k: ${" * 10_000,
        "### a\n\n- k: {" + "${a " * 20_000,
        "### a\n\n" + "- k: v\n" * 20_000,
        "### a\n\n- k: |\n" + "    ```\n" * 20_000,
    ],
    ids=["spaces", "heading", "fence", "sections", "templates", "unclosed", "bullets", "fences in a scalar"],
)
def test_the_time_grows_with_the_text_and_not_faster(text: str) -> None:
    """Twice the text takes about twice the time; what is quadratic takes four times, and minutes at these lengths."""
    begun = time.process_time()
    sections("## Steps\n\n" + text)
    assert time.process_time() - begun < 20
