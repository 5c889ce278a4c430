"""The schemas that are printed: valid, complete in words, and true to what the compiler takes."""

from __future__ import annotations

import json
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from jsonschema import Draft7Validator
from jsonschema.validators import validator_for

from pflow_lower.cli import cli
from pflow_lower.diagnostics.diagnostic import LowerError
from pflow_lower.ir.batch_keys import BATCH_KEYS, REQUIRED
from pflow_lower.ir.workflow import NODE_KEYS
from pflow_lower.load.load import load
from pflow_lower.tools.schema.schema import names, parts, workflow_schema
from pflow_lower.validate import schema as validate_schema
from pflow_lower.validate.schema import schema_descriptions
from pflow_lower.validate.validate import validate

GOLDEN = Path(__file__).parent.parent / "golden"


def words() -> dict[str, Any]:
    return schema_descriptions()


def plain() -> dict[str, Any]:
    return validate_schema.workflow_schema()


def test_names() -> None:
    assert names()[0] == "workflow" and {"diff", "findings", "map", "plan"} <= set(names())


@pytest.mark.parametrize("name", ["", *names()])
def test_every_schema_is_one(name: str) -> None:
    shown = CliRunner().invoke(cli, ["schema", *filter(None, [name])])
    assert shown.exit_code == 0
    schema = json.loads(shown.output)
    validator_for(schema).check_schema(schema)
    assert schema["$schema"].startswith("http") and schema["title"]


def test_every_key_of_a_workflow_has_words_and_no_other() -> None:
    there = {address for address, _ in parts(plain())}
    private = {address for address in there if address.rpartition(".")[2].startswith("_")}
    members_of_private = {address for address in there if "._" in address} - private
    assert words().keys() == there - private - members_of_private


@pytest.mark.parametrize("address", sorted(words()))
def test_words_say_something_and_allow_what_they_show(address: str) -> None:
    said = words()[address]
    part = dict(parts(plain()))[address]
    assert said.get("description") or said.get("title")
    for value in [*said.get("examples", ()), *([said["default"]] if "default" in said else ())]:
        Draft7Validator(part).validate(value)
    if "enumDescriptions" in said:
        assert len(said["enumDescriptions"]) == len(part["enum"])


def test_what_words_say_of_defaults_is_true() -> None:
    """The defaults of a batch are those that the compiler fills in."""
    node = {"id": "a", "type": "shell", "params": {"command": "echo ${item}"}, "batch": {"items": ["x"]}}
    source, _ = validate(load({"nodes": [node]}))
    assert source is not None and source.nodes[0].batch is not None
    batch = source.nodes[0].batch
    said = {key: words()[f"nodes.[].batch.{key}"].get("default") for key in plain_batch()}
    read = {row.key: getattr(batch, row.field) for row in BATCH_KEYS if row.default is not REQUIRED}
    plain = {key: value.value if isinstance(value, Enum) else value for key, value in read.items()}
    assert said == {**dict.fromkeys(row.key for row in BATCH_KEYS), **plain}
    assert source.data["ir_version"] == words()["ir_version"]["default"]


def test_the_keys_of_a_node_are_those_of_the_schema() -> None:
    known = plain()["properties"]["nodes"]["items"]["properties"]
    assert {*NODE_KEYS, "id", "params"} == {
        key for key in known if not key.startswith("_")
    }  # the others are the parser's


def plain_batch() -> list[str]:
    return list(plain()["properties"]["nodes"]["items"]["properties"]["batch"]["properties"])


@pytest.mark.parametrize("file", sorted(GOLDEN.glob("*/*/workflow.json")), ids=lambda file: file.parent.name)
def test_an_editor_says_what_the_compiler_says(file: Path) -> None:
    try:
        data = json.loads(file.read_bytes())
        document = load(str(file))
    except (ValueError, LowerError):
        pytest.skip("no JSON, or none that a schema could look at")
    _, found = validate(document)
    by_schema = {f"PFL20{n}" for n in range(1, 6)}
    fine = not by_schema & {finding.code for finding in found}
    assert Draft7Validator(workflow_schema()).is_valid(data) == fine


def test_what_load_fills_in_may_be_missing() -> None:
    node = {"id": "a", "type": "shell", "parameters": {"command": "echo"}}
    Draft7Validator(workflow_schema()).validate({"nodes": [node]})
    assert validate(load({"nodes": [node]}))[0] is not None


def test_editors_offer_the_types_of_pflow() -> None:
    node = workflow_schema()["properties"]["nodes"]["items"]["properties"]
    assert {"llm", "shell", "http"} <= set(node["type"]["examples"])
