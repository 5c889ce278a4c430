"""Python text: whatever the text is, it comes out as a literal, as prose or as one comment line."""

from __future__ import annotations

import ast
import math
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pflow_lower.emit.emit import import_lines
from pflow_lower.emit.python_text import columns, comment, docstring, lay_out, literal
from pflow_lower.emit.python_tree import PyCall, PyDict, PyEntry, PyFString, PyList, PyLiteral, PyName

TEXTS = st.text() | st.text(alphabet="'\"\\{}\n\r\t#$% abc\u2028\x00\x7f\ufeffé😀", max_size=40)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)
HOSTILE = ['"""', "'''", "\\", "\\N{DIGIT ONE}", "{x}", "${x}", "\r\n", "\x00", "\ud800", "'\"", "# noqa", "é\u0301"]


@given(VALUES)
@example("".join(HOSTILE))
@example({"": [1e30, -0.0, 10**400]})
def test_a_literal_evaluates_to_its_value(value: Any) -> None:
    found = eval(literal(value), {"float": float})  # noqa: S307  that is the point
    assert repr(found) == repr(value)


@pytest.mark.parametrize("value", [math.inf, -math.inf])
def test_a_literal_of_what_python_has_no_literal_for(value: float) -> None:
    assert eval(literal(value), {"float": float}) == value  # noqa: S307


def test_what_is_no_workflow_data_is_refused() -> None:
    with pytest.raises(TypeError, match="set is not workflow data"):
        literal({1, 2})


@pytest.mark.parametrize("text", ['Say "hi"', '"', 'a \\ and """ in it', "plain", 'ends with \\"'])
def test_a_docstring_says_the_text(text: str) -> None:
    assert ast.literal_eval(docstring(text)) == text


@given(TEXTS)
@example("".join(HOSTILE))
@example('ends with a quote"')
@example("ends with a backslash\\")
def test_a_docstring_is_one_string_on_one_line(text: str) -> None:
    spelled = docstring(text)
    assert len(spelled.splitlines()) == 1
    (statement,) = ast.parse(spelled).body
    assert isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


@given(TEXTS)
@example("".join(HOSTILE))
@example("coding: latin-1")
def test_a_comment_is_one_comment_line(text: str) -> None:
    spelled = comment(text)
    assert spelled.startswith("#") and len(spelled.splitlines()) == 1 and len(spelled) <= 88
    assert ast.parse(f"x = 1\n{spelled}\n").body[1:] == []


@pytest.mark.parametrize(("length", "shown"), [(86, "a" * 86), (87, "a" * 85 + "…"), (200, "a" * 85 + "…")])
def test_a_comment_is_as_long_as_a_line(length: int, shown: str) -> None:
    assert comment("a" * length) == f"# {shown}"


@pytest.mark.parametrize(("text", "width"), [("abc", 3), ("é", 1), ("e\u0301", 1), ("日本", 4), ("a😀", 3)])
def test_columns_are_those_of_a_terminal(text: str, width: int) -> None:
    assert columns(text) == width


@pytest.mark.parametrize("value", [(), ("a",), ("a", "b")])
def test_names_of_ours_are_a_tuple(value: tuple[str, ...]) -> None:
    assert ast.literal_eval(literal(value)) == value


@given(st.lists(TEXTS | st.sampled_from([PyName("a"), PyCall("find", (PyName("a"), PyLiteral("b")))]), max_size=6))
def test_text_with_expressions_evaluates_to_its_parts(parts: list[Any]) -> None:
    spelled = lay_out(PyFString(tuple(parts)), 2, "value = ")
    names: dict[str, Any] = {"a": "A", "find": lambda value, key: f"<{value}.{key}>"}
    exec(f"if True:\n    if True:\n{spelled}", names)  # noqa: S102
    wanted = "".join(part if isinstance(part, str) else "A" if isinstance(part, PyName) else "<A.b>" for part in parts)
    assert names["value"] == wanted


@given(VALUES, st.integers(0, 6))
def test_layout_changes_no_value(value: Any, indent: int) -> None:
    tree = PyDict((PyEntry("key", PyLiteral(value), "a comment"), PyEntry("list", PyList((PyLiteral(value),)))))
    spelled = lay_out(tree, indent, "value = ")
    names: dict[str, Any] = {"float": float}
    exec("".join(f"{'    ' * level}if True:\n" for level in range(indent)) + spelled, names)  # noqa: S102
    assert repr(names["value"]) == repr({"key": value, "list": [value]})


@pytest.mark.parametrize(("columns", "lines"), [(87, 1), (88, 1), (89, 4)])
def test_an_import_is_opened_up_as_formatters_do(columns: int, lines: int) -> None:
    names = ["a" * 30, "b" * (columns - len("from somewhere import , ") - 30)]
    (text,) = import_lines({"elsewhere": [], "somewhere": names})
    assert len(text.splitlines()) == lines


def test_names_are_imported_in_the_order_of_sorters() -> None:
    (text,) = import_lines({"m": ["run", "Node2", "Node10", "A", "AB", "Z", "MAX", "a"]})
    assert text == "from m import AB, MAX, A, Node2, Node10, Z, a, run"
