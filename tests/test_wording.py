"""What users read is plain English: no German syntax, and the tool by its name; and what is said stands once."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

import pflow_lower

PACKAGE = Path(pflow_lower.__file__).parent
TEXTS = ("*.md", "*.json", "*.jinja", "*.txt")
WORDINGS = {
    '"is not a", never "is no"': r"(?<!there )(?<!what )\b(?:is|are|was|were) no (?!longer\b|more\b)",
    '"pflow-lower", never "the step"': r"\bthe step\b",
}


def said_by(file: Path) -> Iterator[tuple[int, str]]:
    """The texts of a module that users may read, with their lines: strings but docstrings, and commands' help."""
    tree = ast.parse(file.read_bytes())
    helps = {id(node.body[0]) for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and is_command(node)}
    of_developers = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr) and id(node) not in helps}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in of_developers:
            yield node.lineno, node.value


def is_command(function: ast.FunctionDef) -> bool:
    return any(re.search(r"\b(command|group)\b", ast.unparse(decorator)) for decorator in function.decorator_list)


def texts() -> Iterator[tuple[str, str]]:
    """Every text of the package that users may read, with its place."""
    for file in sorted(PACKAGE.rglob("*.py"), key=str):
        place = file.relative_to(PACKAGE).as_posix()
        yield from ((f"{place}:{line}", text) for line, text in said_by(file))
    for pattern in TEXTS:
        for file in sorted(PACKAGE.rglob(pattern), key=str):
            yield file.relative_to(PACKAGE).as_posix(), file.read_text(encoding="utf-8")


TEXT = list(texts())


@pytest.mark.parametrize("wording", WORDINGS)
def test_what_users_read_is_plain_english(wording: str) -> None:
    found = [
        f"{place}: ...{text[max(0, match.start() - 30) : match.end() + 30]!r}"
        for place, text in TEXT
        for match in re.finditer(WORDINGS[wording], text.replace("\n", " "), re.IGNORECASE)
    ]
    assert not found, "\n".join(found)


def test_all_kinds_of_texts_are_looked_at(tmp_path: Path) -> None:
    places = {place.partition(":")[0] for place, _ in TEXT}
    assert {"tools/lint/command.py", "tools/guide/batches.md", "diagnostics/explained/PFL301.md"} <= places
    module = tmp_path / "module.py"
    module.write_text(
        '"""Of developers."""\n@click.command()\ndef go():\n    """Help."""\n    return f"{go} is no X"\n'
    )
    assert [text for _, text in said_by(module)] == ["Help.", " is no X"]


SAID_TWICE = {
    "of its own for its results",
    'a rate such as "60/min" (s, min, h, day),',
}
"""What may stand twice: the compiler says it of a workflow, and the runtime, which imports nothing of it, of a run."""
WORDS, IN_A_ROW = 5, 8


def pieces(text: str) -> Iterator[str]:
    """What `text` says, if it is a sentence or a good part of one, and all its parts of some length.

    A page has several lines, and what a database is asked is no sentence.
    """
    words = text.split()
    is_message = not re.search(r"\n|\b(SELECT|FROM|WHERE)\b|---", text.strip())
    if is_message and sum(re.search("[a-zA-Z]", word) is not None for word in words) >= WORDS:
        yield " ".join(words)
        yield from (" ".join(words[at : at + IN_A_ROW]) for at in range(len(words) - IN_A_ROW + 1))


def said_twice(said: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """The pieces of messages that stand in two texts, each with the places of those."""
    found: dict[str, list[str]] = defaultdict(list)
    for place, text in said:
        for piece in set(pieces(text)):
            found[piece].append(place)
    return {piece: places for piece, places in found.items() if len(places) > 1}


def test_what_is_said_stands_once() -> None:
    """Whoever changes a sentence finds it by its middle, and has changed it everywhere."""
    modules = [(file, file.relative_to(PACKAGE).as_posix()) for file in sorted(PACKAGE.rglob("*.py"), key=str)]
    found = said_twice((f"{place}:{line}", text) for file, place in modules for line, text in said_by(file))
    assert {piece: places for piece, places in found.items() if not any(piece in text for text in SAID_TWICE)} == {}
    assert [text for text in SAID_TWICE if not any(piece in text for piece in found)] == []


def test_what_is_said_twice_is_found() -> None:
    texts = ["is a number, it has no fields", "node: is a number,  it has no fields", "is a number, it has no fields"]
    assert list(said_twice(zip("abc", texts, strict=True))) == ["is a number, it has no fields"]
