"""What a generated `flow.py` needs: steps that are no batches, inputs from the command line, outputs."""

from __future__ import annotations

import json
import os
import sys
import warnings
from collections.abc import Callable, Mapping
from typing import Any

from pocketflow import Flow, Node

from .batch import Shared
from .inner import NodeStore
from .loops import run_blocking
from .values import Unresolved

Params = dict[str, Any]


class Step(Node):  # type: ignore[misc]  # pocketflow is not typed
    """A node that is no batch: `inner` runs with the parameters that `params` makes of the store."""

    def __init__(self, node_id: str, inner: Any, params: Callable[[Shared], Params] | None = None) -> None:
        super().__init__()
        self.node_id = node_id
        self.inner = inner
        self.make_params = params

    def _run(self, shared: Shared) -> Any:
        """Run the node; its outputs stand in the store under the node's id.

        Raises: whatever the node raises; Unresolved, if a parameter refers to nothing; RuntimeError, if
        it answers an error or another action that no edge takes.
        """
        self.inner.set_params(self._params(shared))
        shared[self.node_id] = {}
        store = NodeStore(shared, self.node_id)
        if hasattr(self.inner, "_run_async"):
            action = run_blocking(self.inner._run_async(store))
        else:
            action = self.inner._run(store)
        if (action or "default") not in self.successors:
            self._end(shared, action)
        return action

    def _params(self, shared: Shared) -> Params:
        try:
            return {} if self.make_params is None else self.make_params(shared)
        except Unresolved as error:
            if error.start is shared:
                error.tell(f"step '{self.node_id}': ${{{error.where()[1:]}}}")
            raise

    def _end(self, shared: Shared, action: Any) -> None:
        """The workflow ends here; raises if that was not what its author meant."""
        if isinstance(action, str) and action.startswith("error"):
            outputs = shared[self.node_id]
            said = outputs.get("error") if isinstance(outputs, Mapping) else None
            raise RuntimeError(f"step '{self.node_id}' failed: {said or 'the node returned an error action'}")
        edges = [name for name in self.successors if name != "error"]
        if edges and action != "end":
            raise RuntimeError(f"step '{self.node_id}' answered {action!r}, and its edges are for: {', '.join(edges)}")


def retrying(inner: Any, **settings: Any) -> Any:
    """`inner` with the attempts of the step's `retry`: max_retries, wait (seconds), backoff."""
    for name, value in settings.items():
        if hasattr(inner, name):
            setattr(inner, name, value)
    return inner


def no_class(node_id: str, node_type: str) -> Any:
    """In place of a node whose class is not known.

    Raises: LookupError, which says where to name the class.
    """
    raise LookupError(
        f"no class is known for the type {node_type!r} of step {node_id!r}: "
        "name it under [tool.pflow-lower.nodes] in pyproject.toml and generate this file again"
    )


def run_program(
    build_flow: Callable[[], Flow],
    inputs: Mapping[str, Mapping[str, Any]],
    outputs: Callable[[Shared], Params],
    arguments: list[str],
) -> int:
    """Run a flow with `key=value` arguments and print its outputs as JSON.

    Returns the exit status: 0 done, 1 the workflow failed, 2 the arguments are wrong, 130 interrupted.
    """
    try:
        shared: Shared = read_inputs(inputs, arguments)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if "pflow" in sys.modules:
        import http.client  # noqa: F401  or pflow's first registry scan hides it, and keeps a registry without `http`
    try:
        with warnings.catch_warnings():
            # PocketFlow says so of every end beside an error edge; an end that is none, `Step` refuses.
            warnings.filterwarnings("ignore", "Flow ends: ", UserWarning)
            build_flow().run(shared)
        given = outputs(shared)
        shown = json.dumps(given, indent=2, ensure_ascii=False, default=str)
    except (Exception, KeyboardInterrupt) as error:  # whatever it is, it becomes an exit status here
        if os.environ.get("TRACEBACK"):
            raise
        interrupted = isinstance(error, KeyboardInterrupt)
        said = "interrupted" if interrupted else f"error: {str(error) or type(error).__name__}"
        for line in (said, *getattr(error, "__notes__", ()), "(set TRACEBACK=1 to see where)"):
            print(line, file=sys.stderr)
        return 130 if interrupted else 1
    for warning in shared.get("__warnings__", {}).values():
        print(f"warning: {warning}", file=sys.stderr)
    try:
        print(shown)
    except UnicodeEncodeError:  # the terminal, or UTF-8 itself, does not have every character
        print(json.dumps(given, indent=2, default=str))
    return 0


def read_inputs(inputs: Mapping[str, Mapping[str, Any]], arguments: list[str]) -> dict[str, Any]:
    """The declared inputs with their values from `key=value` arguments, piped text, or defaults.

    Raises: ValueError, if one is unknown, missing, or not of its declared type.
    """
    given: dict[str, Any] = {}
    for argument in arguments:
        name, equals, value = argument.partition("=")
        if not equals or name not in inputs:
            known = ", ".join(f"{name}=..." for name in inputs) or "none"
            raise ValueError(f"{argument!r} is no input of this workflow; its inputs: {known}")
        given[name] = value
    for name, spec in inputs.items():
        if name not in given and spec.get("stdin") and not sys.stdin.isatty():
            given[name] = sys.stdin.read()
        if name in given:
            given[name] = _typed(name, given[name], spec.get("type"))
        elif spec.get("required", True) and "default" not in spec:
            raise ValueError(f"the input {name} is missing: {spec.get('description') or name}; give it as {name}=...")
        else:
            given[name] = spec.get("default")
    return given


def _typed(name: str, text: str, declared: str | None) -> Any:
    """`text` as a value of a declared input type."""
    try:
        if declared == "integer":
            return int(text)
        if declared == "number":
            return float(text)
        if declared == "boolean":
            return {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}[text.lower()]
        if declared in ("array", "object"):
            value = json.loads(text)
            if not isinstance(value, list if declared == "array" else dict):
                raise ValueError(text)
            return value
    except (ValueError, KeyError):
        raise ValueError(f"the input {name} must be of type {declared}, not {text!r}") from None
    return text
