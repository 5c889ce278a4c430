"""Answers as they are kept: as JSON, and found by a digest of everything that they depend on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from .missing import ParameterError
from .plain_json import first_not_json

_DEEPEST = 200  # levels of a value; Python's json gives up later, and not in every version at the same depth

# What is JSON is encoded by these. Values that contain themselves are found by their depth, which costs less.
_of_params = json.JSONEncoder(sort_keys=True, allow_nan=False, separators=(",", ":"), check_circular=False).encode
_of_result = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), check_circular=False).encode


def fingerprint(node_id: str, node_type: str, params: Mapping[str, Any], besides: Any = None) -> bytes:
    """What an answer depends on, in 16 bytes: the node, its type, the item's resolved parameters, and what an engine
    says that it depends on `besides`.

    Raises: ParameterError, naming the parameter, for a value that is not JSON.
    """
    parts = [node_id, node_type, params] if besides is None else [node_id, node_type, params, besides]
    try:
        text = _of_params(parts)
    except (TypeError, ValueError, RecursionError):
        raise ParameterError(_not_json(node_id, params)) from None
    return hashlib.blake2b(text.encode("ascii"), digest_size=16).digest()


def digest_of_inputs(inputs: Mapping[str, Any] | None) -> bytes | None:
    """What tells the runs of other inputs from those of the same; None where they are not known, or no JSON."""
    if inputs is None:
        return None
    try:
        text = _of_params(inputs)
    except (TypeError, ValueError, RecursionError):
        return None
    return hashlib.blake2b(text.encode("ascii"), digest_size=16).digest()


def as_json(value: Any) -> str:
    """`value` as JSON text. Raises: ValueError, if that is not the same when it is read again."""
    if not _is_plain(value):
        raise ValueError("it is not the same when it is read again")
    text = _of_result(value)
    # Half a pair of surrogates is not text that a file could hold; escaped it is.
    return text if text.isascii() or _is_text(text) else json.dumps(value, allow_nan=False, separators=(",", ":"))


def _is_plain(value: Any, depth: int = 0) -> bool:
    """Whether JSON gives back what it was given: a tuple becomes a list there, a key 1 becomes "1"."""
    kind = type(value)
    if kind is str or kind is float or kind is int or kind is bool or value is None:
        return True  # json itself refuses the floats that are not numbers
    if depth > _DEEPEST:
        return False
    if kind is dict:
        for key, inner in value.items():
            if type(key) is not str or not (type(inner) is str or _is_plain(inner, depth + 1)):
                return False
        return True
    return kind is list and all(_is_plain(inner, depth + 1) for inner in value)


def _is_text(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _not_json(node_id: str, params: Mapping[str, Any]) -> str:
    name = first_not_json(params)
    what = "a parameter" if name is None else f"the parameter `{name}` is a {type(params[name]).__name__}"
    return (
        f"{node_id}: {what} that JSON cannot hold, so the item cannot be journalled; "
        "make it plain data, or take `resume` away"
    )
