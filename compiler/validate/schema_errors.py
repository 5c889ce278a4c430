"""What the JSON Schema found, in sentences for authors.

One function per keyword that `schema.json` uses; each gets jsonschema's error and reports one
finding (or one per key). Nothing here decides what is valid: the schema does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..ir.batch_keys import FILE_KINDS, file_kinds_text
from ..ir.document import ONE_NODE
from ..ir.item_alias import name_like
from ..ir.paths import Path
from ..ir.report import DiagnosticCollector, nearest, quoted, shown
from ..node_types.declared_type import JSON_TYPES

if TYPE_CHECKING:
    from jsonschema import ValidationError

KINDS = {
    "string": "a string",
    "number": "a number",
    "integer": "a whole number",
    "boolean": "true or false",
    "array": "a list",
    "object": "an object",
}
"""What values are, by the type of JSON Schema."""
_ITEMS = 'a reference such as "${node.list}", or a list with at least one item'
_PATTERNS = {  # the last step of a path, and what its pattern asks for
    "as": "a name: letters, digits and _, with no digit first",
    "while": "a reference such as ${node.more}",
    "until": "a reference such as ${node.done}",
    "ir_version": 'a version such as "0.1.0"',
    "key": "a text with a reference such as ${item.id}",
    "file": f"a path that ends in {file_kinds_text()}",
    "rate": 'a rate such as "60/min" (s, min, h, day), or a name of small letters',
    "ttl": '"1m" to "60m", or "1h"',
}
_A_FILE = f'{{"file": "items{FILE_KINDS[0]}"}}'
_EDGE = "an edge goes `from` one node `to` another"
_REQUIRED = {
    "items": f"`items` is {_ITEMS}",
    "file": 'say which one: {"file": "results.jsonl"}',
    "id": "every node has an id of its own",
    "type": 'every node says what it is, for example "type": "shell"',
    "source": 'an output names the value that it returns, for example "source": "${node.output}"',
    "nodes": ONE_NODE,
    "from": _EDGE,
    "to": _EDGE,
}


def explain(error: ValidationError, report: DiagnosticCollector) -> None:
    """Report `error` as one or more findings."""
    path: Path = tuple(error.absolute_path)
    _BY_KEYWORD.get(str(error.validator), _other)(error, path, report)


def _required(error: ValidationError, path: Path, report: DiagnosticCollector) -> None:
    for key in error.validator_value:
        if key in error.instance or f"'{key}'" not in error.message:
            continue
        report.error("PFL201", path, f"`{key}` is missing", help=_REQUIRED.get(key, ""))


def _additional(error: ValidationError, path: Path, report: DiagnosticCollector) -> None:
    known = [key for key in error.schema["properties"] if not key.startswith("_")]
    missing = [name for name in known if name not in error.instance]
    required = [name for name in error.schema.get("required", ()) if name in missing]
    unknown = [key for key in error.instance if key not in error.schema["properties"]]
    near = {key: nearest(str(key), missing) for key in unknown}
    sole = required[0] if len(required) == 1 and required[0] not in near.values() else None
    for key in unknown:
        guess = near[key] or sole
        help = f"did you mean `{guess}`?" if guess else f"allowed here: {', '.join(known)}"
        report.error("PFL202", (*path, key), f"unknown key {shown(key)}", key=True, help=help)


def _type(error: ValidationError, path: Path, report: DiagnosticCollector) -> None:
    wanted = KINDS[str(error.validator_value)]
    help = ""
    if path[-1:] == ("batch",) and isinstance(error.instance, str):
        help = 'write it out: {"items": ...}'
    elif path[-2:] == ("batch", "results") and isinstance(error.instance, str):
        help = f'write it out: {{"file": {shown(error.instance)}}}'
    elif path[-1:] == ("approval",):
        help = 'the only approval there is: "approval": "required"'
    elif wanted == "true or false" and isinstance(error.instance, (str, int)):
        truth = str(error.instance).lower()
        help = "without quotes" if truth in ("true", "false") else ""
    elif wanted in ("a number", "a whole number") and _is_number(error.instance):
        help = "without quotes"
    report.error("PFL203", path, f"must be {wanted}, not {_found(error.instance)}", help=help)


def _enum(error: ValidationError, path: Path, report: DiagnosticCollector) -> None:
    allowed = list(error.validator_value)
    if not isinstance(error.instance, str):  # its type is reported already
        return
    guess = JSON_TYPES.get(error.instance.lower()) if path[-1] == "type" else None
    guess = guess or nearest(error.instance, allowed)
    help = f'did you mean "{guess}"?' if guess else ""
    report.error("PFL204", path, f"must be {quoted(allowed)}, not {shown(error.instance)}", help=help)


def _pattern(error: ValidationError, path: Path, report: DiagnosticCollector) -> None:
    wanted = _PATTERNS.get(str(path[-1]), "a reference such as ${node.output}")
    help = f"{name_like(error.instance)} would be one" if path[-1] == "as" and len(error.instance) <= 60 else ""
    report.error("PFL204", path, f"must be {wanted}, not {shown(error.instance)}", help=help)


def _bounds(error: ValidationError, path: Path, report: DiagnosticCollector) -> None:
    low, high = error.schema.get("minimum"), error.schema.get("maximum")
    wanted = f"between {low} and {high}" if high is not None else f"{low} or more"
    help = "it counts the attempts; 1 means no retry" if path[-1] in ("max_retries", "max") else ""
    report.error("PFL204", path, f"must be {wanted}, not {shown(error.instance)}", help=help)


def _min_items(error: ValidationError, path: Path, report: DiagnosticCollector) -> None:
    report.error("PFL204", path, f"is empty; {ONE_NODE}")


def _one_of(error: ValidationError, path: Path, report: DiagnosticCollector) -> None:
    value = error.instance
    if path[-1] == "max_iterations":
        message = f"must be a whole number, 1 or more, or a reference such as ${{node.limit}}, not {shown(value)}"
        return report.error("PFL204", path, message)
    if path[-1] == "tolerated_failures":
        message = f'must be a whole number, 0 or more, or a share such as "10%", not {shown(value)}'
        return report.error("PFL204", path, message)
    takes_file = len(error.validator_value) > 2  # the outermost batch does
    # With other keys beside it, it may as well be an item that is not in a list: both are said then.
    misspelt = isinstance(value, dict) and len(value) == 1 and any(_means_file(*member) for member in value.items())
    if isinstance(value, dict) and takes_file and ("file" in value or misspelt):
        for inner in error.context or ():
            is_of_file = inner.relative_schema_path[0] == len(error.validator_value) - 1
            if is_of_file and not (misspelt and inner.validator == "required"):  # said once: what the key was to be
                explain(inner, report)
        return None
    help = ""
    if isinstance(value, str) and value.endswith(FILE_KINDS):
        help = f'for a file of items, write {{"file": {shown(value)}}}'
    elif isinstance(value, str) and value.lstrip().startswith("["):
        help = "write the list itself, without quotes around it"
    elif isinstance(value, str) and "${" in value:
        help = "the reference must be the whole string"
    elif isinstance(value, dict) and ("file" in value or misspelt):
        help = "a batch inside another one goes through a list; a batch that reads a file has none inside it"
    elif isinstance(value, dict):
        help = "for one item, write a list with one item"
        help += f"; for a file of items, {_A_FILE}" if takes_file else ""
    report.error("PFL205", path, f"must be {_ITEMS}, not {_found(value)}", help=help)


def _means_file(key: object, value: object) -> bool:
    """Whether the only key of an object was to be `file`. What is less like it, `tile`, is a field of an item unless a
    file is named there."""
    if str(key).lower().startswith("file"):
        return key != "file"
    names_one = isinstance(value, str) and (value.endswith(FILE_KINDS) or "${" in value)
    return names_one and nearest(key, ["file"], alike=0.75) is not None


def _any_of(error: ValidationError, path: Path, report: DiagnosticCollector) -> None:
    """What pflow takes, or a value that only pflow-lower knows."""
    plain, more = error.validator_value
    also = quoted(more["enum"])
    if plain.get("type") != "integer" or isinstance(error.instance, bool) or not isinstance(error.instance, int):
        guess = nearest(error.instance, map(str, more["enum"])) if isinstance(error.instance, str) else None
        help = f'did you mean "{guess}"?' if guess else "without quotes" if _is_number(error.instance) else ""
        wanted = f"{KINDS[plain['type']]} or {also}"
        report.error("PFL203", path, f"must be {wanted}, not {_found(error.instance)}", help=help)
    else:
        wanted = f"between {plain['minimum']} and {plain['maximum']}"
        report.error("PFL204", path, f"must be {wanted}, not {shown(error.instance)}", help=f"or {also}")


def _above(error: ValidationError, path: Path, report: DiagnosticCollector) -> None:
    report.error("PFL204", path, f"must be more than {error.validator_value}, not {shown(error.instance)}")


def _other(error: ValidationError, path: Path, report: DiagnosticCollector) -> None:
    report.error("PFL204", path, f"is not allowed ({error.validator})")


def _found(value: Any) -> str:
    """What was found: short values themselves, long ones by kind."""
    if isinstance(value, str) and len(value) > 40:
        return "a string"
    return shown(value)


def _is_number(value: object) -> bool:
    try:
        return isinstance(value, str) and bool(float(value) or True)
    except ValueError:
        return False


_BY_KEYWORD: dict[str, Callable[[ValidationError, Path, DiagnosticCollector], None]] = {
    "required": _required,
    "additionalProperties": _additional,
    "type": _type,
    "enum": _enum,
    "pattern": _pattern,
    "minimum": _bounds,
    "maximum": _bounds,
    "minItems": _min_items,
    "oneOf": _one_of,
    "anyOf": _any_of,
    "exclusiveMinimum": _above,
}
