"""What is known of a node type: the class that runs it, its parameters' types, whether it is asynchronous.

Looked up in this order, so that the author's own word counts most:

1. the author's table (`user_table.py`);
2. `package.module:Class`, written as the type itself;
3. pflow's registry file, where pflow is installed;
4. pflow's own types (`pflow_types.py`).

Neither pflow nor any node class is imported: asynchrony is read from the source (`async_detection.py`).
"""

from __future__ import annotations

import enum
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ..diagnostics.diagnostic import Diagnostic, Severity
from ..files import regular_files
from .declared_type import meaning_of, outer_type
from .pflow_types import MCP_TOOL, RECORDED_IN, TYPES, WORKFLOW_TYPES, mcp_tool, pflow_type
from .user_table import Entry, class_path, otherwise_by_source, read_tables

if TYPE_CHECKING:
    from .async_detection import NodeSources
    from .class_search import Looked

_IN_FILE = "user"  # how the registry marks a node that is loaded from a file, not imported


class TypeSource(enum.Enum):
    """Where a node type was found."""

    IR = "ir"
    CONFIG = "config"
    REGISTRY = "registry"
    CORE = "core"
    UNKNOWN = "unknown"


class NodeType(NamedTuple):
    """One node type."""

    name: str
    """The type as written in the IR."""
    module: str | None
    """The class's module, None if it is unknown or cannot be imported by name."""
    class_name: str | None
    is_async: bool
    """Whether the class is one of PocketFlow's asynchronous nodes."""
    param_types: Mapping[str, str]
    """The declared types that change a value (`meaning_of`), without element types."""
    origin: TypeSource
    looked: Looked | None = None
    """What looking at the class gave; None for pflow's own, which are known."""
    declared: frozenset[str] = frozenset()
    """The parameters that pflow's registry lists; pflow refuses any other, but where there are none."""


class NodeTypes:
    """Resolves node types; each is looked up once."""

    def __init__(self, table: Mapping[str, Entry], folder: Path | None = None) -> None:
        """`table` is the author's; modules are looked for in `folder`, then where the table stands."""
        self._table = table
        self._folders = [] if folder is None else [folder.absolute()]
        self._folders += dict.fromkeys(entry.folder for entry in table.values())
        self._found: dict[str, NodeType] = {}
        self._registry: Mapping[str, Any] | None = None
        self._sources: NodeSources | None = None
        self._warnings: list[Diagnostic] = []

    @classmethod
    def for_workflow(cls, folder: Path | None, nodes_file: Path | None = None) -> NodeTypes:
        """The types for a workflow that stands in `folder` (None: nowhere, it came as data).

        Raises LowerError with PFL41x findings if the author's table cannot be used.
        """
        return cls(read_tables(folder, nodes_file), folder)

    @property
    def warnings(self) -> tuple[Diagnostic, ...]:
        """What was noticed while resolving, so far: a registry file that cannot be read, a table that is refuted."""
        return tuple(self._warnings)

    def resolve(self, type_name: str) -> NodeType:
        """What is known of `type_name`. Never raises: an unknown type has the origin UNKNOWN."""
        found = self._found.get(type_name)
        if found is None:
            found = self._found[type_name] = self._resolve(type_name)
        return found

    def class_folders(self, type_names: Iterable[str]) -> list[Path]:
        """The folders in which the classes of these types are looked for, first to last; none for pflow's own."""
        found: list[Path] = []
        for name in type_names:
            node_type = self.resolve(name)
            if node_type.module is None or node_type.module.partition(".")[0] == "pflow":
                continue
            entry = self._table.get(name)
            found += [*self._folders[:1], *([entry.folder] if entry is not None else [])]
        return list(dict.fromkeys(found))

    def names_a_class(self, type_name: str) -> bool:
        """Whether the author says which class a type is: in the type itself, or in the table."""
        return type_name in self._table or class_path(type_name) is not None

    def names(self) -> list[str]:
        """Every known type name, sorted: for suggestions."""
        return sorted({*self._table, *self._registered(), *TYPES})

    def _resolve(self, name: str) -> NodeType:
        if (entry := self._table.get(name)) is not None:
            looked = self._look(entry.module, entry.class_name)
            if (wrong := otherwise_by_source(entry, looked)) is not None:
                self._warnings.append(wrong)
                looked = looked._replace(unheard="")  # that is said, then
            if entry.is_async is not None:  # the author has settled what could not be found out
                looked = looked._replace(is_async=entry.is_async, unknown="")
            return _node_type(name, (entry.module, entry.class_name), entry.params, TypeSource.CONFIG, looked)
        if (path := class_path(name)) is not None:
            return _node_type(name, path, {}, TypeSource.IR, self._look(*path))
        if name not in WORKFLOW_TYPES and (registered := self._registered().get(name)) is not None:
            return self._from_registry(name, registered)
        if (core := pflow_type(name)) is not None:
            return _node_type(name, class_path(core.path), _outer(core.params), TypeSource.CORE)
        return _node_type(name, None, {}, TypeSource.UNKNOWN)

    def _from_registry(self, name: str, entry: Mapping[str, Any]) -> NodeType:
        module, class_name, file = entry["module"], entry["class_name"], entry.get("file_path")
        types = _declared(entry, "inputs")
        if entry.get("type") == "mcp" or (mcp_tool(name) and file == "virtual://mcp"):
            types |= MCP_TOOL.params  # pflow adds them to every tool
        types |= _declared(entry, "params")
        path = class_path(f"{module}:{class_name}")
        looked = None  # pflow's own nodes are never asynchronous
        if entry.get("type") == _IN_FILE and isinstance(file, str) and file:
            looked = self._look(module, class_name, Path(file))
        elif path is not None and module.partition(".")[0] != "pflow":
            looked = self._look(*path)
        found = _node_type(name, path, types, TypeSource.REGISTRY, looked)
        keys = {spec["key"] for section in ("inputs", "params") for spec in _specs(entry, section)}
        if keys and entry.get("type") == "mcp":
            keys |= MCP_TOOL.params.keys()
        return found._replace(declared=frozenset(keys))

    def _look(self, module: str, class_name: str, file: Path | None = None) -> Looked:
        if self._sources is None:
            from .async_detection import NodeSources  # late: most workflows have none but pflow's own nodes

            self._sources = NodeSources(self._folders)
        return self._sources.look(module, class_name, file)

    def _registered(self) -> Mapping[str, Any]:
        """The entries of pflow's registry that have the form of one; empty without pflow."""
        if self._registry is None:
            self._registry = {}
            if pflow_is_installed():
                self._registry = self._read_registry()
        return self._registry

    def _read_registry(self) -> dict[str, Any]:
        try:
            file = Path.home() / ".pflow" / "registry.json"
            content = regular_files.read(file)
        except (OSError, RuntimeError):  # no registry yet, or no home: pflow would make one of its core types
            return {}
        try:
            data = json.loads(content) if content.strip() else {}
        except (ValueError, RecursionError) as error:
            self._warn(f"pflow's registry cannot be read: {error}")
            return {}
        nodes = data.get("nodes", data) if isinstance(data, dict) else None
        if not isinstance(nodes, dict):
            self._warn("pflow's registry does not list any nodes")
            return {}
        is_stale = self._is_stale(data.get("version"))
        return {
            name: entry
            for name, entry in nodes.items()
            if isinstance(entry, dict)
            and isinstance(entry.get("module"), str)
            and isinstance(entry.get("class_name"), str)
            and not (is_stale and entry.get("type") == "core")
        }

    def _is_stale(self, version: object) -> bool:
        """Whether another version of pflow than the installed one wrote the registry: it would rescan its types."""
        if version is None or version == RECORDED_IN:
            return False
        from importlib.metadata import PackageNotFoundError
        from importlib.metadata import version as installed_version

        try:
            return version != installed_version("pflow-cli")
        except PackageNotFoundError:
            return False

    def _warn(self, message: str) -> None:
        self._warnings.append(
            Diagnostic(
                code="PFL412",
                severity=Severity.WARNING,
                message=message,
                file="~/.pflow/registry.json",
                help="pflow's core types are known without it",
            )
        )


def _node_type(
    name: str, path: tuple[str, str] | None, types: Mapping[str, str], origin: TypeSource, looked: Looked | None = None
) -> NodeType:
    module, class_name = path or (None, None)
    acted_on = {key: declared for key, declared in types.items() if meaning_of(declared) is not None}
    return NodeType(
        name=name,
        module=module,
        class_name=class_name,
        is_async=looked is not None and looked.is_async,
        param_types=acted_on,
        origin=origin,
        looked=looked,
    )


def _outer(declared: Mapping[str, str]) -> dict[str, str]:
    return {key: outer_type(kind) for key, kind in declared.items()}


def _specs(entry: Mapping[str, Any], section: str) -> Iterator[Mapping[str, Any]]:
    """What one section of a registry entry's interface says of each key."""
    interface = entry.get("interface")
    specs = interface.get(section) if isinstance(interface, dict) else None
    for spec in specs if isinstance(specs, list) else ():
        if isinstance(spec, dict) and isinstance(spec.get("key"), str):
            yield spec


def _declared(entry: Mapping[str, Any], section: str) -> dict[str, str]:
    """The types that one section of a registry entry's interface declares."""
    return {
        spec["key"]: outer_type(spec["type"]) for spec in _specs(entry, section) if isinstance(spec.get("type"), str)
    }


def pflow_is_installed() -> bool:
    """Whether pflow can be imported; looks without importing it."""
    import importlib.util

    try:
        spec = importlib.util.find_spec("pflow")  # finds it, does not import it
    except (ImportError, ValueError):
        return False
    return spec is not None and spec.origin is not None  # a mere folder of that name has no origin
