"""What is known of a workflow's values before it runs: inputs that are given or have a default, files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from ...emit.evaluation import evaluate
from ...files import regular_files
from ...ir.template import Literal, Reference, templates
from ...ir.workflow import SourceIR, SourceNode
from ...runtime.arguments import named
from ...runtime.declared_inputs import default_of, typed
from ...runtime.stream_files import said_of
from ...runtime.streams import ItemsFile

MOST = 32 * 1024 * 1024
"""Bytes of a file that is read to count the items in it."""


class Unknown:
    """Stands for a value that nobody can know yet."""


UNKNOWN: Final = Unknown()


class WrongInput(ValueError):
    """An input that the workflow does not have, that is given twice, or that does not have its type."""


def given(ir: SourceIR, pairs: Iterable[str]) -> dict[str, Any]:
    """The values of `name=value` arguments. Raises: WrongInput."""
    try:
        texts = named(pairs, ir.inputs)
        return {name: typed(name, text, ir.inputs[name].get("type")) for name, text in texts.items()}
    except ValueError as error:
        raise WrongInput(str(error)) from None


class KnownValues:
    """The values that are known when a workflow starts, and what is found out about nodes on the way."""

    def __init__(self, ir: SourceIR, values: Mapping[str, Any], folder: Path) -> None:
        """`values` are the inputs that are given; one that is UNKNOWN will be given, nobody knows as what.

        `folder` is where files are looked for, as a run would.
        """
        self.store: dict[str, Any] = {}
        self.folder = folder
        self._declared = tuple(ir.inputs)
        for name, declared in ir.inputs.items():
            if name in values:
                if values[name] is not UNKNOWN:
                    self.store[name] = values[name]
            elif "default" in declared or declared.get("required", True) is False:
                self.store[name] = default_of(name, declared)

    def missing(self) -> tuple[str, ...]:
        """The inputs that a run has to be given and that are not among the values."""
        return tuple(name for name in self._declared if name not in self.store)

    def value(self, template: Any, more: Mapping[str, Any] | None = None, *, inline: bool = False) -> Any:
        """What `template` will be; UNKNOWN if it depends on something that is not known, or fails.

        `more` are further names, `inline` says that unresolved references stay text, as in an item list.
        """
        found = list(templates(template))
        if not any(parsed.is_dynamic for _, parsed in found):
            return template  # most of thousands of items that are written down
        store = {**self.store, **(more or {})}
        for _, parsed in found:
            for expression in parsed.expressions:
                for operand in expression.operands:
                    if isinstance(operand, Literal):
                        break
                    if not all(_is_known(part, store) for part in operand.references()):
                        return UNKNOWN
        try:
            return evaluate(template, store, mode="permissive" if inline else "strict")
        except ValueError:
            return UNKNOWN

    def count(self, items: ItemsFile) -> int:
        """How many items there are. Raises: StreamError."""
        for file in items.files():
            with said_of(file, "read"):
                regular_files.check_beside(self.folder / file, self.folder)
        return sum(1 for _ in items)

    def learn(self, node: SourceNode) -> str:
        """Read the file that a `read-file` node reads, if its name is known: nodes behind it may count on it.

        Returns a remark on a file that is there and was not read.
        """
        if node.type != "read-file" or node.batch is not None or node.loop:
            return ""
        name, encoding = self.value(node.params.get("file_path")), node.params.get("encoding", "utf-8")
        if not isinstance(name, str) or encoding != "utf-8" or "\0" in name:
            return ""
        file = self.folder / Path(name).expanduser()
        try:
            content = regular_files.read_beside(file, self.folder, most=MOST).decode("utf-8")
        except regular_files.Refused as error:
            return f"the file {name} is not read: {error.strerror}; {regular_files.HELP}"
        except (OSError, ValueError):
            return ""  # not there yet, or no text: the run will see
        self.store[node.id] = {
            "content": content.replace("\r\n", "\n").replace("\r", "\n"),
            "content_is_binary": False,
            "file_path": str(file.absolute()),
        }
        return ""


def _is_known(reference: Reference, store: Mapping[str, Any]) -> bool:
    return reference.root in store and store[reference.root] is not UNKNOWN
