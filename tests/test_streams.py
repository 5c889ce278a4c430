"""Files of items and of results: what is read, what is written, and what is said about what is wrong with them."""

from __future__ import annotations

import csv
import json
import math
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pflow_lower.runtime.stream_files import ROWS, StreamError
from pflow_lower.runtime.streams import read_items, results_file

RESULTS: list[dict[str, Any]] = [
    {"response": "bug", "item": {"n": 1}, "original_index": 0},
    {"response": None, "item": {"n": 2}, "original_index": 1},
    {"response": 'ünï\n"x"', "item": {"n": 3}, "original_index": 2, "usage": {"tokens": 5}},
]


def written(path: Path) -> Path:
    file = results_file(path)
    for result in RESULTS:
        file.write(result)
    file.close()
    return path


def test_json_lines(tmp_path: Path) -> None:
    path = written(tmp_path / "new" / "out.jsonl")
    assert [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] == RESULTS
    assert list(read_items(path)) == RESULTS


def test_csv(tmp_path: Path) -> None:
    path = written(tmp_path / "out.csv")
    with open(path, encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["response", "item", "original_index", "other"]
    assert rows[1] == ["bug", '{"n": 1}', "0", ""]
    assert rows[2][0] == ""
    assert rows[3] == ['ünï\n"x"', '{"n": 3}', "2", '{"usage": {"tokens": 5}}']
    assert [item["original_index"] for item in read_items(path)] == ["0", "1", "2"]


def test_parquet(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    path = written(tmp_path / "out.parquet")
    assert [row["response"] for row in read_items(path)] == [result["response"] for result in RESULTS]


HALF = "\ud800"  # of a surrogate pair: JSON can hold it, UTF-8 cannot
LARGE = 2**64 - 1


@pytest.mark.parametrize(
    ("values", "column", "other"),
    [
        ([1, 2.5], [1.0, 2.5], {}),
        ([1, 1.5, True], [1.0, 1.5, None], {2: "true"}),
        ([True, 1, None], [True, None, None], {1: "1"}),
        ([1, "x"], [1, None], {1: '"x"'}),
        (["x", 1], ["x", None], {1: "1"}),
        ([LARGE, 1], [None, 1], {0: str(LARGE)}),
        ([2**60 + 1, 0.5], [None, 0.5], {0: str(2**60 + 1)}),
        ([HALF, "x", {"a": HALF}], [None, "x", '{"a": "\\ud800"}'], {0: '"\\ud800"'}),
        (["x", math.inf], ["x", None], {1: '"inf"'}),
        ([math.inf, 1], [math.inf, 1.0], {}),
        ([*[1] * ROWS, 2.5, 3], [*[1] * ROWS, None, 3], {ROWS: "2.5"}),
        ([*[None] * ROWS, 1.5, "x"], [*[None] * (ROWS + 1), "x"], {ROWS: "1.5"}),
        ([], [], {}),
    ],
)
def test_a_column_of_parquet_holds_values_of_one_type_and_nothing_is_changed_to_fit(
    tmp_path: Path, values: list[Any], column: list[Any], other: dict[int, str]
) -> None:
    pytest.importorskip("pyarrow")
    path = tmp_path / "out.parquet"
    file = results_file(path)
    for value in values:
        file.write({"result": value})
    file.close()
    rows = list(read_items(path))
    assert [(type(row["result"]), row["result"]) for row in rows] == [(type(value), value) for value in column]
    assert {number: row["other"] for number, row in enumerate(rows) if row["other"]} == {
        number: f'{{"result": {value}}}' for number, value in other.items()
    }


def test_what_a_file_with_columns_has_no_place_for(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    for name in ("out.parquet", "out.csv"):
        file = results_file(tmp_path / name)
        file.write({"result": "a", "other": 1, HALF: 2})
        file.write({"result": HALF, "more": [HALF]})
        file.close()
    first, second = read_items(tmp_path / "out.parquet")  # both are of its first group, which decides
    assert first == {"result": "a", "more": None, "other": '{"other": 1, "\\ud800": 2}'}
    assert second == {"result": None, "more": '["\\ud800"]', "other": '{"result": "\\ud800"}'}
    first, second = read_items(tmp_path / "out.csv")
    assert first == {"result": "a", "other": '{"other": 1, "\\ud800": 2}'}
    assert second == {"result": "", "other": '{"result": "\\ud800", "more": ["\\ud800"]}'}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"n": NaN}', "NaN is not a number that JSON has"),
        ("[" * 100_000, "nested too deeply"),
        ('{"a": 1} x', "Extra data"),
    ],
)
def test_a_line_that_is_not_json_is_named(tmp_path: Path, line: str, said: str) -> None:
    (tmp_path / "a.jsonl").write_text(f"1\n{line}\n")
    rows = read_items(tmp_path / "a.jsonl")
    assert next(rows) == 1
    with pytest.raises(StreamError, match=f"a.jsonl:2: .*{said}"):
        next(rows)


def test_an_item_may_be_null_and_an_empty_file_has_none(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("null\n\n  \n0\n[]")
    assert list(read_items(tmp_path / "a.jsonl")) == [None, 0, []]
    (tmp_path / "b.jsonl").write_text("")
    assert list(read_items(tmp_path / "b.jsonl")) == []
    (tmp_path / "b.csv").write_text("")
    assert list(read_items(tmp_path / "b.csv")) == []


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", b'{"a": 1}\n{"a": \n', r"a\.jsonl:2: the line is not JSON \(.*\)$"),
        ("a.jsonl", b'{"a": 1}\n{"a": ', r"a\.jsonl:2: the line is not JSON .*was the file cut off\?"),
        ("a.jsonl", b'"\xff"\n', "is not UTF-8"),
        ("a.csv", b"a,b\n1,2\n3\n", r"a\.csv:3: the row has fewer values"),
        ("a.csv", b"a,b\n1,2,3\n", r"a\.csv:2: the row has more values"),
        ("a.csv", b"a,a\n1,2\n", "two columns have the same name"),
        ("a.csv", b'a,b\n1,2\n3,"four\n5,6\n7,8\n', r"a\.csv:3: the row that begins here .* ends inside of .quotes"),
        ("a.csv", b'a,b\n1,2\n3,"4" inch\n', r"a\.csv:3: the row that begins here .* after the closing quote"),
        ("a.txt", b"", r"is called \.jsonl, \.csv or \.parquet"),
    ],
)
def test_what_is_wrong_with_items_is_said_with_its_place(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(StreamError, match=message):
        list(read_items(tmp_path / name))


def test_a_cell_may_be_as_long_as_those_that_are_written(tmp_path: Path) -> None:
    written = results_file(tmp_path / "a.csv")
    written.write({"x": "long, " * 50_000})
    written.close()
    (row,) = read_items(tmp_path / "a.csv")
    assert row["x"] == "long, " * 50_000


def test_a_file_that_is_not_there_is_an_error_before_the_first_item(tmp_path: Path) -> None:
    with pytest.raises(StreamError, match=r"cannot read .*a\.jsonl: No such file"):
        read_items(tmp_path / "a.jsonl")


def test_results_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StreamError, match=r"cannot write .*out\.jsonl: File exists"):
        results_file(tmp_path / "file" / "out.jsonl")
    full = results_file(tmp_path / "out.jsonl")
    with pytest.raises((TypeError, ValueError)):
        full.write({"x": float("nan")})
    full.close()
    assert (tmp_path / "out.jsonl").read_bytes() == b""


FLAT = """
import resource, sys
from pathlib import Path
from pflow_lower.runtime.streams import read_items, results_file
out = results_file(Path(sys.argv[2]))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for index, item in enumerate(read_items(Path(sys.argv[1]))):
    out.write({"response": "x", "item": item, "original_index": index})
out.close()
print(index + 1, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in KiB there")
@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_items(tmp_path: Path) -> None:
    assert resource.RUSAGE_SELF == 0
    source = tmp_path / "in.jsonl"
    with open(source, "w") as file:
        file.writelines(json.dumps({"n": n, "text": "y" * 100}) + "\n" for n in range(200_000))
    run = subprocess.run(
        [sys.executable, "-c", FLAT, str(source), str(tmp_path / "out.jsonl")],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    count, grown = map(int, run.stdout.split())
    assert count == 200_000 and grown < 5_000  # KiB; the file has 24 MB
