"""What a program prints: JSON, whatever its outputs are, and nothing that was computed is lost on the way."""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from typing import Any, TextIO

_DEEPEST_INDENT = 40
"""From here on lines are indented no further, or deep data would be mostly blanks."""
_NOT_ASCII = re.compile(r"[^\x00-\x7f]")


def json_text(value: Any) -> tuple[str, list[str]]:
    """`value` as JSON text, and what had to be written differently for that, a sentence each. Never raises."""
    try:
        return json.dumps(value, indent=2, ensure_ascii=False, default=str, allow_nan=False), []
    except Exception:  # noqa: BLE001  a value may raise anything when it is asked for its text
        writer = _Writer()
        return writer.text(value), list(writer.changes())


def write_out(text: str) -> int:
    """Write `text` and a newline to standard output. Returns the exit status: 0, or 2 if that cannot be done.

    What cannot be written there is kept in a file, which is said; a reader that has enough is not a failure.
    """
    try:
        if sys.stdout is None:
            raise OSError("standard output is closed")
        try:
            sys.stdout.write(f"{text}\n")
        except UnicodeEncodeError:  # the terminal, or UTF-8 itself, does not have every character
            sys.stdout.write(f"{_NOT_ASCII.sub(lambda found: json.dumps(found[0])[1:-1], text)}\n")
        sys.stdout.flush()
    except BrokenPipeError:  # whoever reads the output has enough of it
        let_go(sys.stdout)
    except (OSError, ValueError) as error:
        let_go(sys.stdout)
        reason = getattr(error, "strerror", None) or str(error)
        say(f"error: cannot write the outputs: {reason}; they are in {_kept(text)}")
        return 2
    return 0


def say(*lines: str) -> None:
    """Write `lines` to standard error, as far as anybody reads it."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        sys.stderr.write("".join(f"{line}\n" for line in lines))
        sys.stderr.flush()
        return
    let_go(sys.stderr)


def let_go(stream: TextIO | None) -> None:
    """Write no more to a stream that takes nothing more, or Python complains when it flushes at its end."""
    if stream is None:
        return
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _kept(text: str) -> str:
    """The name of a new file that holds `text`; where no file can be written, `text` itself."""
    try:
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", errors="backslashreplace", prefix="flow-outputs-", suffix=".json", delete=False
        ) as file:
            file.write(f"{text}\n")
        return file.name
    except OSError:
        return f"these lines:\n{text}"


class _Frame:
    """A list or an object that is being written."""

    def __init__(self, value: Any, entries: Iterator[tuple[Any, Any]], is_object: bool) -> None:
        self.id = id(value)
        self.entries = entries
        self.is_object = is_object
        self.count = 0
        self.at: Any = None
        self.keys: set[str] = set()


class _Writer:
    """JSON text of what `json` refuses. It keeps a stack of its own: data may be nested as deeply as it likes."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._frames: list[_Frame] = []
        self._open: set[int] = set()
        self._changed: dict[str, tuple[int, str]] = {}

    def text(self, value: Any) -> str:
        self._write(value)
        while self._frames:
            frame = self._frames[-1]
            entry = next(frame.entries, None)
            if entry is None:
                self._frames.pop()
                self._open.discard(frame.id)
                self._parts.append(f"{self._new_line() if frame.count else ''}{'}' if frame.is_object else ']'}")
                continue
            self._parts.append(f"{',' if frame.count else ''}{self._new_line()}")
            frame.count += 1
            frame.at = entry[0]
            if frame.is_object:
                self._parts.append(f"{json.dumps(self._key(entry[0], frame), ensure_ascii=False)}: ")
            self._write(entry[1])
        return "".join(self._parts)

    def changes(self) -> Iterator[str]:
        for what, (count, place) in self._changed.items():
            yield f"{what} ({place}{f' and {count - 1} more' if count > 1 else ''})"

    def _write(self, value: Any) -> None:
        if isinstance(value, (dict, list, tuple)):
            if id(value) in self._open:
                self._note("a value that holds itself is written as null")
                self._parts.append("null")
                return
            is_object = isinstance(value, dict)
            self._parts.append("{" if is_object else "[")
            self._open.add(id(value))
            entries = iter(list(value.items())) if isinstance(value, dict) else iter(list(enumerate(value)))
            self._frames.append(_Frame(value, entries, is_object))
        else:
            self._parts.append(self._scalar(value))

    def _scalar(self, value: Any) -> str:
        if value is None or isinstance(value, (bool, str)):
            return json.dumps(value, ensure_ascii=False)
        if isinstance(value, float):
            if math.isfinite(value):
                return float.__repr__(value)
            self._note("NaN and Infinity are not JSON, and are written as null")
            return "null"
        if isinstance(value, int):
            try:
                return int.__repr__(value)
            except ValueError:  # Python's limit on digits
                self._note("a number of too many digits is written as text")
                return json.dumps(hex(value))
        return json.dumps(self._said(value), ensure_ascii=False)

    def _key(self, key: Any, frame: _Frame) -> str:
        if isinstance(key, str):
            name = key
        elif key is None or isinstance(key, (bool, int, float)):
            name = self._scalar(key) if not isinstance(key, float) else float.__repr__(key)
        else:
            self._note("a key that JSON does not have is written as text")
            name = self._said(key)
        while name in frame.keys:  # two keys with one text: both are kept
            name += "'"
        frame.keys.add(name)
        return name

    def _said(self, value: Any) -> str:
        try:
            return str.__str__(str(value))
        except Exception:  # noqa: BLE001  it may have any __str__
            self._note("a value without a text is written as the name of its class")
            return f"<{type(value).__name__}>"

    def _new_line(self) -> str:
        return f"\n{'  ' * min(len(self._frames), _DEEPEST_INDENT)}"

    def _note(self, what: str) -> None:
        count, place = self._changed.get(what, (0, ""))
        self._changed[what] = count + 1, place or self._place()

    def _place(self) -> str:
        steps = [f"[{f.at}]" if not f.is_object else f".{self._short(f.at)}" for f in self._frames[:20]]
        return "".join(steps).removeprefix(".") + ("..." if len(self._frames) > 20 else "")

    @staticmethod
    def _short(key: Any) -> str:
        try:
            return str(key)[:40]
        except Exception:  # noqa: BLE001  as in `_said`
            return f"<{type(key).__name__}>"
