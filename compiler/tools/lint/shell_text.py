"""Where in a shell command a reference stands: outside of quotes, inside some, in a comment.

pflow puts a value's text into the command and hands the whole to a POSIX shell, which then reads it: so the text
before a reference decides what the shell makes of the value.
"""

from __future__ import annotations

import re

from ...ir.template import Expression, Template

_HERE = re.compile(r"<<-?[ \t]*(?P<quote>['\"\\]?)(?P<word>[\w.-]+)['\"]?")
_TARGET = re.compile(r"\|?[ \t]*(?P<path>[\w./~+@%:-]+)(?=[\s;|&<>]|\Z)")
_BLANK = " \t\n;|&("


class _Reader:
    """Reads a command from its start and knows what encloses the next character."""

    def __init__(self) -> None:
        self.stack = ["bare"]  # bare, double, single, or sub: inside $( ) or ` `
        self.before = "\n"
        self.comment = False
        self.lost = False
        self.waiting: list[tuple[str, bool]] = []  # here-documents whose text begins on the next line
        self.here: tuple[str, bool] | None = None
        self.line = ""
        self.overwritten: list[tuple[str, str, bool]] = []
        """Redirections at the top of the command: as written, the file, whether they end the text read so far."""

    def place(self) -> str:
        """What encloses a reference that stands here."""
        if self.lost:
            return "unknown"
        if self.here is not None:
            return "kept" if self.here[1] else "double"
        if self.comment:
            return "comment"
        return "bare" if self.stack[-1] == "sub" else self.stack[-1]

    def read(self, text: str) -> None:
        """Go on by `text`."""
        if text and self.overwritten:
            self.overwritten[-1] = (*self.overwritten[-1][:2], False)
        at = 0
        while at < len(text):
            character = text[at]
            if self.here is not None:
                self._here(character)
                at += 1
                continue
            top = self.stack[-1]
            if self.comment:
                self.comment = character != "\n"
            if top == "single":
                if character == "'":
                    self.stack.pop()
            elif character == "\\":
                self.before = "\\"
                at += 2
                continue
            elif not self.comment:
                at += self._shell(text, at, top)
            if character == "\n" and self.waiting and self.stack[-1] != "single":
                self.here = self.waiting.pop(0)
                self.line = ""
            self.before = character
            at += 1

    def _shell(self, text: str, at: int, top: str) -> int:
        """One character outside of single quotes and comments; answers how many more were read with it."""
        character = text[at]
        if text.startswith("$(", at) or (character == "`" and "`" not in self.stack):
            self.stack += ["`", "sub"] if character == "`" else ["sub"]
            return int(character == "$")
        if character == "`":
            del self.stack[self.stack.index("`") :]
        elif character == '"':
            if top == "double":
                self.stack.pop()
            else:
                self.stack.append("double")
        elif top == "double":
            return 0
        elif character == "'":
            self.stack.append("single")
        elif character == "(":
            self.stack.append("sub")
        elif character == ")":
            if len(self.stack) > 1:
                self.stack.pop()
            else:
                self.lost = "case" not in text  # `a)` in a case; anything else is not understood here
        elif character == "#" and self.before in _BLANK:
            self.comment = True
        elif character == ">":
            if text.startswith(">", at + 1):
                return 1
            target = _TARGET.match(text, at + 1)
            if target and self.stack == ["bare"] and self.before not in "<&023456789":
                written = text[at : target.end()]
                self.overwritten.append((written, target["path"], target.end() == len(text)))
        elif (match := _HERE.match(text, at)) and self.before != "<":
            self.waiting.append((match["word"], bool(match["quote"])))
            return len(match[0]) - 1
        return 0

    def _here(self, character: str) -> None:
        assert self.here is not None
        if character != "\n":
            self.line += character
            return
        if self.line.strip("\t") == self.here[0]:
            self.here = self.waiting.pop(0) if self.waiting else None
        self.line = ""


def contexts(template: Template) -> list[tuple[Expression, str]]:
    """Every reference of a command with what encloses it.

    `bare`: nothing does; `double`: double quotes, or a here-document that is expanded, where `$(...)` and backticks
    run; `single`: single quotes; `kept`: a here-document that is not expanded; `comment`; `unknown`.
    """
    return _read(template)[0]


def overwritten(template: Template) -> list[tuple[str, str]]:
    """The redirections `> file` to constant names: as written, and the file. None if the text is not understood."""
    _, reader = _read(template)
    if reader.lost or len(reader.stack) > 1:
        return []
    return [(written, path) for written, path, _ in reader.overwritten]


def _read(template: Template) -> tuple[list[tuple[Expression, str]], _Reader]:
    reader = _Reader()
    found = []
    for part in template.parts:
        if isinstance(part, str):
            reader.read(part)
            continue
        if isinstance(part, Expression):
            found.append((part, reader.place()))
        if reader.overwritten and reader.overwritten[-1][2]:
            reader.overwritten.pop()  # the name goes on with the reference
        reader.before = "x"
        reader.line += "x"
    return found, reader
