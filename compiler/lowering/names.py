"""The names in generated code. Reserved words and collisions are settled here, before rendering.

A class name depends on its node's id alone, never on other nodes, so that adding a node changes no
other class; and different ids give different names. A name inside a class depends on that class.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Container

from ..ir.lowered import RAY_OPTIONS, SHAPES

MAX_CLASS_NAME = 57
"""How long the name of a class may be: `class NAME(SequentialBatchNode):` is one line."""

# Words that start with a letter, joined by single hyphens or underscores.
_PLAIN_ID = re.compile(r"[a-z][a-z0-9]*(?:[-_][a-z0-9]+)*")

RUNTIME = frozenset(
    """
    AsyncStep AsyncWorkflow Batch Call Capture Engine InnerNode Items ItemsFile Missing ParameterError Params Result
    Results ResultsFile Shared Step Unresolved Workflow all_found as_dict as_json_text as_list as_text beside capture
    class_path find first found_or if_any_ran items_of joined no_class none_unless_run own_path parsed peek position
    retrying run_program text with_inputs
    """.split()
) | {RAY_OPTIONS, *(shape.base for shape in SHAPES.values())}
"""What the runtime offers to generated code (written down here, since importing it takes time)."""

RESERVED = RUNTIME | frozenset("self shared call given params inputs items scope float Any TYPE_CHECKING sys".split())
"""What generated code itself uses."""


def class_name(node_id: str) -> str:
    """The name of the class that node `node_id` becomes: `list-issues` -> `ListIssuesBatch`.

    A hyphen starts a capital, an underscore stays (`list_issues` -> `List_IssuesBatch`), and an id
    that is not made of such words, or is too long, gets a digest of its own, so no two ids share a name.
    """
    if _PLAIN_ID.fullmatch(node_id):
        words = re.sub(r"-([a-z])", lambda m: m[1].upper(), node_id[0].upper() + node_id[1:])
        words = re.sub(r"_([a-z])", lambda m: "_" + m[1].upper(), words)
        words = re.sub(r"_([0-9])", r"__\1", words)
        name = re.sub(r"-([0-9])", r"_\1", words) + "Batch"
        if len(name) <= MAX_CLASS_NAME:
            return name
    words = "".join(word[:1].upper() + word[1:] for word in re.findall(r"[A-Za-z0-9]+", node_id))
    end = f"Batch_{digest_of(node_id)}"
    return (words if words[:1].isalpha() else f"Node{words}")[: MAX_CLASS_NAME - len(end)] + end


def digest_of(node_id: str) -> str:
    """Eight hex digits that depend on the id alone."""
    import hashlib  # late: it loads OpenSSL, and few workflows need it

    return hashlib.sha256(node_id.encode("utf-8", "surrogatepass")).hexdigest()[:8]


def variable(text: str, taken: Container[str] = ()) -> str:
    """A variable name like `text`, none of `taken` and no word of Python or of ours; its letters keep their case."""
    name = re.sub(r"[^A-Za-z0-9]+", "_", text).strip("_") or "value"
    if name[0].isdigit():
        name = f"value_{name}"
    return unused_name(name, taken)


def unused_name(name: str, taken: Container[str] = ()) -> str:
    """`name`, changed as little as it takes to be usable: `class_`, `style_2`."""
    if keyword.iskeyword(name) or name in RESERVED:
        name += "_"
    found, number = name, 1
    while found in taken:
        number += 1
        found = f"{name}_{number}"
    return found
