"""verify: what the compiler must never make, made by hand, is refused."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

import pflow_lower
from pflow_lower import pipeline
from pflow_lower.emit.verify import verify_files, verify_program
from pflow_lower.ir import tree
from pflow_lower.ir.edges import Edge
from pflow_lower.ir.lowered import Level, LoweredIR, LoweredOutput
from pflow_lower.lowering.verify_ir import InvalidOutput, verify_lowered
from pflow_lower.options import Options

WORKFLOW: dict[str, Any] = {
    "ir_version": "0.1.0",
    "inputs": {"rows": {"type": "array"}, "style": {"type": "string"}},
    "nodes": [
        {"id": "one", "type": "llm", "params": {"prompt": "${style}: ${item.a}"}, "batch": {"items": "${rows}"}},
        {"id": "two", "type": "shell", "params": {"command": "echo ${one.count}"}},
    ],
    "edges": [{"from": "one", "to": "two"}],
}


@pytest.fixture(scope="module")
def compiled() -> pipeline.Compiled:
    return pipeline.run(WORKFLOW, Options(program=True))


def test_what_the_compiler_makes_is_fine(compiled: pipeline.Compiled) -> None:
    verify_lowered(compiled.lowered)
    verify_files(compiled.lowered, compiled.files)
    verify_program(compiled.files["flow.py"])


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ('"""Batch nodes', 'import os\n"""Batch nodes', "head"),
        ("\nfrom ", "\nprint()\nfrom ", "head"),
        ("class OneBatch", "x = 1\n\n\nclass OneBatch", "head"),
        ("class OneBatch", "class Other", "classes are"),
        ('items = "${rows}"', 'items = "${style}"', "attributes"),
        ('node_id = "one"', 'node_id = "two"', "attributes"),
        ('node_id = "one"', 'node_id = "one"\n    os = 1\n    import os', "has a Import"),
        ("class OneBatch(SequentialBatchNode)", "class OneBatch(dict)", "derived from"),
        ("class OneBatch(SequentialBatchNode)", "class OneBatch(Batch)", "derived from"),
        ("item, given = call.item", "item, given = open, call.item", "uses open"),
        ("text(item, 'a')", "text(item.__class__, 'a')", "reads .__class__"),
        ("text(item, 'a')", "(lambda: 1)()", "has a Lambda"),
        ("text(item, 'a')", "[x for x in item]", "has a ListComp"),
        ('"""Batch nodes of a workflow."""', "1", "head"),
        ('"""Batch nodes of a workflow."""', "print()", "head"),
        ("def exec", "def extra(self): pass\n\n    def exec", "methods are"),
        ("return self.run_inner", "import os\n        return self.run_inner", "has a Import"),
    ],
)
def test_a_module_of_another_shape(compiled: pipeline.Compiled, before: str, after: str, said: str) -> None:
    text = compiled.files["nodes.py"]
    assert before in text
    with pytest.raises(InvalidOutput, match=said):
        verify_files(compiled.lowered, {"nodes.py": text.replace(before, after)})


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("INPUTS:", "print()\nINPUTS:", "has a Expr"),
        ("one.next(two)", "one.next(os)", "uses os"),
        ("one.next(two)", "one.x(two)", "reads .x"),
        ("one.next(two)", "[n for n in two]", "has a ListComp"),
        ("    sys.exit(start(", "    pass\n    sys.exit(start(", "does not begin"),
    ],
)
def test_a_program_of_another_shape(compiled: pipeline.Compiled, before: str, after: str, said: str) -> None:
    text = compiled.files["flow.py"]
    assert before in text
    with pytest.raises(InvalidOutput, match=said):
        verify_program(text.replace(before, after))


@pytest.mark.parametrize(
    ("before", "after"),
    [("max_concurrent = 5", "max_concurrent = 6"), ('items = "rows.jsonl"', 'items = "other.jsonl"')],
)
def test_a_policy_that_was_not_written(before: str, after: str) -> None:
    batch = {"items": {"file": "rows.jsonl"}, "parallel": True, "max_concurrent": 5}
    compiled = pipeline.run({"nodes": [{**WORKFLOW["nodes"][1], "params": {"command": "date"}, "batch": batch}]})
    text = compiled.files["nodes.py"]
    verify_files(compiled.lowered, {"nodes.py": text})
    assert before in text
    with pytest.raises(InvalidOutput, match="attributes"):
        verify_files(compiled.lowered, {"nodes.py": text.replace(before, after)})


@pytest.mark.parametrize(
    ("line", "is_fine"),
    [
        ("sys.path[:] = class_path(__file__, '.', 'lib', modules=['a', 'b'])", True),
        ("sys.path[:] = class_path(__file__, '.', 'lib')", False),
        ("sys.path[:] = class_path(__file__, '.', modules=[os.sep])", False),
        ("sys.path[:] = class_path(__file__, '.', modules=names)", False),
        ("sys.path[:] = class_path(__file__, os.sep, modules=['a'])", False),
        ("sys.path[:] = class_path(__file__, '.', folder='lib')", False),
        ("sys.path[:] = class_path('elsewhere', '.', modules=['a'])", False),
        ("sys.path[:] = other_path(__file__, '.', modules=['a'])", False),
        ("sys.path[:] = ['.']", False),
        ("sys.argv[:] = class_path(__file__, '.', modules=['a'])", False),
    ],
)
def test_a_program_looks_for_classes_in_folders_that_are_written_out(
    compiled: pipeline.Compiled, line: str, is_fine: bool
) -> None:
    text = compiled.files["flow.py"].replace("INPUTS:", f"{line}\nINPUTS:")
    with nullcontext() if is_fine else pytest.raises(InvalidOutput, match="has a Assign"):
        verify_program(text)


@pytest.mark.parametrize("path", ["sys.path[:] = ['.']", "sys.path[:] = own_path('elsewhere', 'nodes')", "own_path()"])
def test_outside_of_a_package_a_program_finds_its_own_classes(compiled: pipeline.Compiled, path: str) -> None:
    text, line = compiled.files["flow.py"], "sys.path[:] = own_path(__file__, 'nodes')"
    assert line.replace("'", '"') in text
    with pytest.raises(InvalidOutput, match="has a If"):
        verify_program(text.replace(line.replace("'", '"'), path))


IR = {
    "inputs": {"style": {"type": "string"}, "pages": {"type": "array"}, "tone": {"type": "string"}},
    "nodes": [
        {
            "id": "write",
            "type": "llm",
            "params": {"prompt": "${own} ${item} ${style}", "inputs": {"own": "${tone}"}},
            "batch": {"items": "${pages}"},
        },
        {"id": "read", "type": "shell", "params": {"command": "echo ${write.count}"}},
    ],
    "ir_version": "0.1.0",
    "edges": [{"from": "write", "to": "read"}],
    "outputs": {"count": {"source": "${write.count}"}},
}


def lowered_ir() -> LoweredIR:
    return pipeline.run(IR, Options(code=False)).lowered


def test_a_lowered_workflow_is_as_promised() -> None:
    verify_lowered(lowered_ir())


def break_document(ir: LoweredIR, **changes: Any) -> LoweredIR:
    node = {**ir.document["nodes"][0], **changes}
    return ir._replace(document={**ir.document, "nodes": [node, *ir.document["nodes"][1:]]})


def break_batch(ir: LoweredIR, **changes: Any) -> LoweredIR:
    batch = ir.batches[0]._replace(**changes)
    return ir._replace(batches=(batch,), steps=(ir.steps[0]._replace(batch=batch), *ir.steps[1:]))


def break_parameter(ir: LoweredIR, key: str, start: tree.Start) -> LoweredIR:
    """The parameter `key` begins with a lookup that starts elsewhere."""

    def broken(value: tree.Value) -> tree.Value:
        if isinstance(value, tree.Object):
            return tree.Object(tuple((name, broken(member)) for name, member in value.entries))
        assert isinstance(value, tree.Template)
        choice = value.choices[0]
        operand = choice.operands[0]
        assert isinstance(operand, tree.Lookup)
        wrong = choice._replace(operands=(operand._replace(start=start),))
        return value._replace(parts=(wrong, *value.parts[1:]))

    batch = ir.batches[0]
    changed = (p._replace(value=broken(p.value)) if p.key == key else p for p in batch.parameters)
    return break_batch(ir, parameters=tuple(changed))


def add_parameter(ir: LoweredIR, value: tree.Value) -> LoweredIR:
    parameters = ir.batches[0].parameters
    return break_batch(ir, parameters=(*parameters, parameters[0]._replace(key="env", value=value)))


def template(start: tree.Start, offset: int = 0) -> tree.Template:
    """`${style}`, read from `start`, which stands at `offset` if one believes it."""
    lookup = tree.Lookup(start, (), "style")
    return tree.Template("${style}", (tree.Choice((lookup,), "${style}", offset),))


CAPTURE = lowered_ir().batches[0].captures[0]
MOVED = template(tree.Captured("style"), 1)


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (lambda ir: break_document(ir, batch={}), "still has a batch"),
        (lambda ir: break_document(ir, type="llm"), "has the type"),
        (lambda ir: break_document(ir, params={"refs": {"a": "${b}"}}), "nested"),
        (lambda ir: break_document(ir, id="other"), "step 0 is write"),
        (lambda ir: break_batch(ir, alias="not a name"), "is not a name"),
        (lambda ir: break_batch(ir, number=1), "its batch is write, number 1"),
        (lambda ir: ir._replace(batches=()), "not those of the steps"),
        (lambda ir: ir._replace(steps=ir.steps[:1]), "1 steps stand for 2 nodes"),
        (lambda ir: ir._replace(batches=ir.batches * 2), "one name"),
        (lambda ir: ir._replace(steps=(ir.steps[0], ir.steps[1]._replace(number=2))), "step 1 is read, number 2"),
        (lambda ir: ir._replace(edges=(Edge("write", "gone"),)), "write to gone"),
        (lambda ir: ir._replace(start="gone"), "starts at gone"),
        (lambda ir: break_batch(ir, captures=ir.batches[0].captures * 2), "captured names"),
        (lambda ir: break_batch(ir, captures=()), "style} is not captured"),
        (lambda ir: break_batch(ir, captures=(*ir.batches[0].captures, CAPTURE._replace(name="x"))), "nothing reads"),
        (lambda ir: break_batch(ir, captures=(CAPTURE._replace(name="items"),)), "one of the class's own"),
        (lambda ir: break_batch(ir, captures=(CAPTURE._replace(offset=1),)), "not from where it says"),
        (lambda ir: break_batch(ir, captures=(CAPTURE._replace(path=("nodes", 1)),)), "not from where it says"),
        (lambda ir: break_parameter(ir, "prompt", tree.Captured("gone")), "own} is not captured, as gone"),
        (lambda ir: break_parameter(ir, "prompt", tree.Own("gone")), "own} is not an input of the node"),
        (lambda ir: break_parameter(ir, "prompt", tree.Stored("style")), "own} is read from the store for every item"),
        (lambda ir: break_parameter(ir, "inputs", tree.Own("own")), "tone} is not an input of the node"),
        (
            lambda ir: break_batch(ir, items=ir.batches[0].parameters[0].value),
            "items: .*item} is not read from the store",
        ),
        (
            lambda ir: break_batch(ir, results=ir.batches[0].parameters[0].value),
            "results: .*item} is not read from the store",
        ),
        (lambda ir: break_batch(ir, results=tree.Literal("out.jsonl")), "its results go somewhere else"),
        (lambda ir: break_batch(ir, results=MOVED), "results: .*style} does not stand at 1"),
        (lambda ir: break_batch(ir, item_name=template(tree.Own("own"))), "style} is not an input of the node"),
        (lambda ir: break_batch(ir, item_name=template(tree.Captured("gone"))), "style} is not captured, as gone"),
        (lambda ir: break_batch(ir, item_name=MOVED), "inputs: .*style} does not stand at 1"),
        (lambda ir: add_parameter(ir, tree.Object((("a", MOVED),))), "env.a: .*style} does not stand at 1"),
        (lambda ir: add_parameter(ir, tree.List((MOVED,))), "env: .*style} does not stand at 1"),
        (
            lambda ir: ir._replace(outputs=(LoweredOutput("x", ir.batches[0].parameters[0].value),)),
            "output x: .*item} is not read from the store",
        ),
        (
            lambda ir: ir._replace(steps=(ir.steps[0], ir.steps[1]._replace(parameters=ir.batches[0].parameters))),
            "read: prompt: .*item} is not read from the store",
        ),
    ],
)
def test_an_ir_of_another_shape(broken: Callable[[LoweredIR], LoweredIR], said: str) -> None:
    with pytest.raises(InvalidOutput, match=said):
        verify_lowered(broken(lowered_ir()))


@pytest.mark.parametrize(
    ("levels", "said"),
    [
        ([("file", "file")], "a single batch has levels"),
        ([("file", "file"), ("file", "page")], "levels"),
        ([("file", "file"), ("page", "file")], "levels"),
        ([("file", "file"), ("page\n", "page\n")], "levels"),
        ([("page", "page"), ("file", "file")], "file.pages} is not read from an outer item"),
    ],
)
def test_batches_inside_each_other_that_are_not_such(levels: list[tuple[str, str]], said: str) -> None:
    pages = tree.Lookup(tree.ItemPart("file"), (), "file.pages")
    items = tree.Template("${file.pages}", (tree.Choice((pages,), "${file.pages}", 0),))
    made = tuple(
        Level(name, variable, items if number else tree.Literal([])) for number, (name, variable) in enumerate(levels)
    )
    with pytest.raises(InvalidOutput, match=said):
        verify_lowered(break_batch(lowered_ir(), levels=made))


def test_a_template_that_does_not_stand_where_it_says() -> None:
    ir = lowered_ir()
    batch = ir.batches[0]
    prompt = batch.parameters[0]
    assert isinstance(prompt.value, tree.Template)
    moved = prompt._replace(value=prompt.value._replace(source=f" {prompt.value.source}"))
    with pytest.raises(InvalidOutput, match="does not stand at 0"):
        verify_lowered(break_batch(ir, parameters=(moved, *batch.parameters[1:])))


def test_the_api_checks_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from pflow_lower.emit import emit

    monkeypatch.setattr(emit, "docstring", lambda text: '"""x"""; import os')
    with pytest.raises(InvalidOutput):
        pflow_lower.lower(WORKFLOW)
