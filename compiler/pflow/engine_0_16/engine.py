"""A batch inside pflow's engine: what it tells the trace, the progress display and the user."""

from __future__ import annotations

import contextlib
import copy
import operator
import threading
from collections.abc import Callable
from typing import Any

from pflow.core.exceptions import CompilationError
from pflow.core.node_type_display import is_model_node_type
from pflow.runtime.engine import batch_executor
from pflow.runtime.engine.batch_item_summary import summarize_batch_item
from pflow.runtime.engine.error_context import get_upstream_stderr
from pflow.runtime.engine.template_resolution import resolve_templates
from pflow.runtime.engine.types import NodeConfig

from ...runtime import Batch, Call, Engine, Missing, ParameterError, Result, Shared
from ...runtime.engine import deep_copies, waiting_for
from ...runtime.inner import item_store, run_inner
from ...runtime.outcome import how_far
from ...runtime.started_workflow import WORKFLOW_FILE
from ...runtime.tally import MOST_KEPT
from ..messages import OUTPUT_REPLACED, say
from .events import Events, resolutions
from .item_memory import ItemMemory
from .store import PflowStore
from .worker import REGISTRY, WorkerEngine

_SPOKEN = frozenset(
    ("llm_usage", "response", "system", "user_message_blocks", "prompt", "_agent_prompt", "_agent_tools")
)
"""Outputs that pflow's trace shows in places of their own."""


class PflowEngine(Engine):
    """pflow's engine around one run of one batch node."""

    view = PflowStore
    keys = ("_pflow_child_workflow_paths",)

    def __init__(self, node: Any, config: NodeConfig, run_one: Callable[..., Any]) -> None:
        self.node = node
        self.node_id = config.node_id
        self.config = config
        self.run_one = run_one
        template = config.template_config
        self.static = template.static_params if template is not None else node.params
        self.templates = template.template_params if template is not None else {}
        self.order = sorted(self.templates, key=lambda key: key != "inputs")
        self.in_order = dict.fromkeys([*self.static, *self.order])
        self.as_written = not self.static and self.order == list(self.templates)
        self.values = _getter(self.order)
        self.has_more = is_model_node_type(config.node_type_name) or hasattr(node, "_compile_sub_workflow")
        self.pairs = [(key, self.templates[key]) for key in self.order]
        self.events = Events(self.pairs)
        self.is_traced = False
        self.items: ItemMemory | None = None
        self.cancel = threading.Event()

    def for_worker(self) -> WorkerEngine:
        """What stands for pflow's engine where items run in other processes."""
        return WorkerEngine(self.in_order, self.static, self.as_written, self._registry_path())

    def inner_for_worker(self, inner: Any) -> Any:
        """A node that starts a workflow without what cannot be sent: what is compiled of that, and pflow's registry."""
        if not hasattr(inner, "_compile_sub_workflow"):
            return inner
        made = copy.copy(inner)
        made._compiled_workflow_cache, made.params = {}, {}
        return made

    def _registry_path(self) -> str | None:
        """The file of the registry that pflow's compiler hands to a node that starts a workflow."""
        registry = self.static.get(REGISTRY)
        return None if registry is None else str(registry.registry_path)

    def open(self, batch: Batch) -> None:
        """Prepare what pflow's engine reads back after the run."""
        shared = batch.shared
        self.events = shared.setdefault("_batch_trace", {})[batch.node_id] = Events(self.pairs)
        self.is_traced = shared.get("__trace_collector__") is not None  # otherwise nobody reads the events
        shared.setdefault("__template_errors__", {})
        for first in batch.first_item() if self.config.batch_config.parallel else ():
            seen = {**shared, **self._ours(0, batch.total)}
            batch_executor._pre_warm_compile_cache(
                self.node, self.config, seen, self.run_one, self.config.batch_config, first
            )

    def place(self, batch: Batch) -> str:
        """The workflow's file and the line of the node's heading."""
        return str(self.config.batch_config.place)

    def workflow(self, batch: Batch) -> str:
        """The file that the run was started with."""
        return str(batch.shared.get(WORKFLOW_FILE) or "")

    def tell(self, text: str) -> None:
        """On stderr."""
        say(text)

    def memory(self, batch: Batch) -> ItemMemory | None:
        """pflow's cache, where the node uses it."""
        shared = batch.shared
        cache = shared.get("__memoization_cache__")
        if not cache or not self.config.cache_enabled or hasattr(self.node, "_compile_sub_workflow"):
            return None
        visits = (shared.get("__execution__") or {}).get("node_visit_counts", {}).get(self.node_id, 0)
        # As pflow itself: what a loop runs again is to be run again.
        self.items = ItemMemory(cache, batch, reads=visits <= 1 and not shared.get("__loop_active__", 0))
        return self.items

    def depends_on(self, call: Call, params: dict[str, Any]) -> Any:
        """What pflow's compiler injected; of a sub-workflow, what its file says."""
        static = {key: value for key, value in self.static.items() if key not in params and not _is_no_concern(key)}
        child = super().depends_on(call, params)
        return [static, child] if static or child else None

    def aborts(self, exception: Exception) -> bool:
        """A broken workflow definition ends the batch as well."""
        return isinstance(exception, CompilationError) or super().aborts(exception)

    def as_items(self, found: Any) -> Any:
        """A list only, as pflow has it."""
        return found

    def items_error(self, message: str, source: str, shared: Shared) -> str:
        """With what the node that the items come from said on stderr."""
        return message + (get_upstream_stderr(source, shared) or "") if source else message

    def error_text(self, record: dict[str, Any]) -> str:
        """As pflow has it, be it empty."""
        return str(record["error"])

    def store(self, call: Call) -> dict[str, Any]:
        """The item's store, with what pflow's engine puts there for it."""
        store = call.batch.store_of_an_item()
        if call.batch.parallel:
            store["__pflow_cancel_event__"] = self.cancel
            store["__gate_prompt_allowed__"] = False  # a worker thread cannot ask anybody
            if callable(store.get("__progress_callback__")):
                said = call.progress_events = []
                store["__progress_callback__"] = lambda *args, **kwargs: said.append((args, kwargs))
        return store

    def prepare(self, call: Call, inner: Any, store: dict[str, Any], params: dict[str, Any]) -> dict[str, Any]:
        """The parameters as pflow's node gets them: with what its compiler injected, and in its order."""
        store["_pflow_child_workflow_paths"] = {}
        if self.is_traced:
            call.engine_data = self.values(params)
        return params if self.as_written else {**self.in_order, **params, **self.static}

    def replacing(self, call: Call, written: Any) -> None:
        """A warning in pflow's log, where its executor has one, too; its command line shows it."""
        batch_executor.logger.warning(OUTPUT_REPLACED, extra={"node_id": self.node_id, "existing_item": written})

    def unresolved(self, node: Any, call: Call, error: ParameterError) -> Result:
        """Let pflow itself say what parameters without a value come to: its own error or, where the workflow
        is permissive, a run with its own text for them.

        Raises: ValueError, in strict mode.
        """
        if call.entered == call.attempt:
            raise error  # it comes from inside the node, which had its parameters
        return run_inner(node.inner, call, self.resolve_with_pflow(call, item_store(call)))

    def resolve_with_pflow(self, call: Call, store: dict[str, Any]) -> dict[str, Any]:
        """Have pflow's own resolver make the parameters; what it finds wrong goes into `store`.

        Raises: ValueError, in strict mode.
        """
        seen = {**store, **self._ours(call.index, call.total, call.previous)}
        params: dict[str, Any]
        params, _, errors = resolve_templates(self.config.template_config, seen, self.config.node_id)
        if errors:
            store.setdefault("__template_errors__", {})[self.config.node_id] = errors[-1]
        return params

    def _ours(self, index: int, total: int | None, previous: Any = None) -> dict[str, Any]:
        """The names of ours that the node refers to, for pflow's own resolver; what is not there, it says itself."""
        values: dict[str, Any] = {"batch_index": index, "batch_total": total}
        if previous is not None and not isinstance(previous, Missing):
            values["__previous__"] = previous
        return {name: values[name] for name in self.config.batch_config.names if name in values}

    def warns_about_empty_output(self, batch: Batch) -> bool:
        """Not under `--only`, where the steps before the chosen one gave nothing to work with."""
        return not (batch.shared.get("__execution__") or {}).get("only_node")

    def copy_factory(self, inner: Any) -> Callable[[], Any]:
        """pflow's nodes are copied whole: a sub-workflow's host brings its compiled child along."""
        return deep_copies(inner)

    def inner_of_run(self, inner: Any) -> Any:
        """The node itself, as in pflow, which compiles a workflow anew for each run."""
        return inner

    def summary(self, item: Any) -> dict[str, Any]:
        """pflow's own."""
        return dict(summarize_batch_item(item))

    def on_stopping(self) -> None:
        """What runs beside it may stop early, an agent's process tree for instance."""
        self.cancel.set()

    def interrupted(self, batch: Batch, outcome: dict[str, Any]) -> None:
        """Say how far it came: pflow says no more than that it was interrupted."""
        say(f"{self.place(batch)}{batch.node_id}: {how_far(batch)}")

    def waiting(self, batch: Batch, calls: int) -> None:
        """The same line as on PocketFlow, where pflow's display lets it stand."""
        say(f"{batch.node_id}: {waiting_for(calls)}")

    def for_file(self, result: Result) -> Result:
        """Without what pflow itself takes out of a result once its trace has it."""
        return {name: value for name, value in result.items() if name != "user_message_blocks"}

    def finished(self, call: Call, record: dict[str, Any] | None) -> None:
        """Keep the item's trace event, as pflow's executor does."""
        age = self.items.ages.pop(call.index, None) if self.items is not None else None
        events = self.events
        is_enough = call.batch.results_file is not None and len(events) >= MOST_KEPT
        if not self.has_more:
            if is_enough:
                return  # as with errors: the first ones, since there may be millions
            if record is None and not self.is_traced:
                return  # nobody reads the trace
        result, store = call.result, call.store
        if record is None and result is not None and store is not None and not (call.restored or self.has_more):
            is_as_written = store.get(self.node_id) is result
            if is_as_written and not store.get("__warnings__") and _SPOKEN.isdisjoint(result):
                events.keep(result, call.seconds, call.engine_data)
                return
        if not call.attempt:
            return  # there was no copy of the node to run: pflow's executor does not get as far as an event
        if store is None:  # it ran elsewhere
            store = item_store(call)
            if result is not None:
                store[self.node_id] = result
        elif call.restored:
            store[self.node_id] = result
        paths = store.get("_pflow_child_workflow_paths")
        path = paths.pop(self.node_id, None) if isinstance(paths, dict) else None
        # A failed item has no resolutions in pflow's trace: its executor loses them with the exception.
        try:
            batch_executor._capture_item_trace(
                call.batch.shared,
                self.node_id,
                self.config.node_type_name,
                store,
                call.index,
                call.item,
                call.seconds * 1000,
                record and {"error": record["error"]},
                resolutions(self.pairs, iter(call.engine_data))
                if call.engine_data and call.entered and call.exception is None
                else {},
                child_trace_events=getattr(call.inner, "_child_trace_events", None),
                child_workflow_path=path if isinstance(path, str) and path else None,
            )
        except Exception:  # noqa: BLE001  a warning, say, of any class: what cannot be traced must not end the batch
            failed: dict[str, Any] = {} if record is None else {"error": record["error"]}
            status = "success" if record is None else "failed"
            events.append({"index": call.index, "item": call.item, "status": status, "duration_ms": 0, **failed})
        if is_enough and len(events) > MOST_KEPT:
            events.keep_cost_only()
        if call.restored:
            self._mark_restored(call, age)

    def _mark_restored(self, call: Call, age: tuple[str, float] | None) -> None:
        """Tell the trace that the item cost nothing in this run; `age` is that of an answer from the cache."""
        event = self.events.last_appended()
        event["status"] = "cached"
        if age is not None and isinstance(event.get("llm_call"), dict):
            key, seconds = age
            event["llm_call"] = {
                **event["llm_call"],
                "cache_source": "memo",
                "cache_key": key,
                "cache_age_sec": seconds,
            }

    def shown_total(self, batch: Batch) -> int | str | None:
        """pflow's display leaves a batch out whose total it is not told: then, it is a question mark."""
        return "?" if batch.total is None else batch.total

    def reporter(self, batch: Batch) -> Callable[[Call, int], None] | None:
        """Progress, after the events of the item's own sub-workflow as one block."""
        report = super().reporter(batch)
        if report is None or not self.config.batch_config.parallel:
            return report
        callback = batch.shared["__progress_callback__"]

        def replay(call: Call, done: int) -> None:
            for args, kwargs in call.progress_events:
                with contextlib.suppress(Exception):  # what shows progress must never decide about the work
                    callback(*args, **kwargs)
            report(call, done)

        return replay

    def warn(self, batch: Batch, warnings: list[str]) -> None:
        """As diagnostics that pflow's runner shows; an empty list of items is worth a remark."""
        shared, node_id = batch.shared, batch.node_id
        if batch.total == 0:
            batch_executor._push_batch_warnings(shared, [], [], node_id, self.config.batch_config)
            return
        if warnings:
            details = [{"index": index, "kinds": kinds} for index, kinds in sorted(batch.warned.kept.items())]
            shared.setdefault("__warnings__", {})
            batch_executor._store_batch_warning(shared, node_id, warnings, details)


def _is_no_concern(key: str) -> bool:
    """Whether a parameter that pflow's compiler injected changes no answer: where something stands, its registry."""
    return key.startswith("__") or key.endswith(("_source_line", "_source_lines", "_source_files"))


def _getter(keys: list[str]) -> Callable[[dict[str, Any]], tuple[Any, ...]]:
    """What gets the values of `keys`, always as a tuple."""
    if len(keys) > 1:
        return operator.itemgetter(*keys)
    return lambda params: tuple(params[key] for key in keys)
