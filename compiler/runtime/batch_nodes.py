"""The bases of generated classes: PocketFlow `BatchNode`s that run a pflow batch.

A generated class says what differs: its settings, as class attributes under the names that the batch annotation has
for them; `prep`, which reads the items and what is the same for all of them; and `exec` (`exec_async` on
`ConcurrentBatchNode`), which makes the parameters of one item and runs the inner node with them. What is the same in
all of them is here. Where PocketFlow hands one item to `exec`, these hand it a `Call`, and attempts are counted on
that: PocketFlow counts them on the node, which items side by side share. So they replace PocketFlow's own loop, the
private `_exec`, and are the only place that does.
"""

from __future__ import annotations

from typing import Any, Protocol

from pocketflow import AsyncParallelBatchNode, BatchNode

from .answers import Asked
from .batch import Batch
from .call import Call
from .data_types import Result, Results, Shared
from .inner import item_store, result_of, run_inner, run_inner_async
from .loops import run_blocking
from .opening import open_batch
from .outcome import write_outcome
from .run import current_run
from .schedule import in_order, in_tasks, in_threads
from .settings import BatchSettings
from .streams import ResultsFile
from .values import Capture, with_inputs


class InnerNode(Protocol):
    """A node that a batch can run for each item: any node of PocketFlow's, or of pflow's copy of it."""

    def set_params(self, params: dict[str, Any], /) -> object:
        """Take the parameters of one item."""


def retrying(inner: Any, **settings: Any) -> Any:
    """`inner` with the attempts of a node's own `retry`: max_retries, wait (seconds), backoff."""
    for name, value in settings.items():
        if hasattr(inner, name):
            setattr(inner, name, value)
    return inner


def is_batch(node: object) -> bool:
    """Whether a step of a workflow is a generated batch."""
    return isinstance(node, _Settings)


class _Settings(BatchSettings):
    """What batches of every shape have in common."""

    def _wrap(self, inner: InnerNode) -> None:
        found = {"max_retries": self.own_attempts, "wait": self.own_wait, "backoff": self.own_backoff}
        self.inner = retrying(inner, **{name: value for name, value in found.items() if value is not None})

    def open(self, shared: Shared, items: Any, results: ResultsFile | None = None, /, **captures: Capture) -> Batch:
        """Start a run over `items`, a list, a JSON array in a string or a file; `captures` are there for every call.

        With `results`, what items give goes to that file as they finish, and is nowhere else.

        Raises: ValueError, if `items` or a path were not found in the store; TypeError, if they are not a list or
        not text.
        """
        return open_batch(self, shared, items, captures, results)

    def with_inputs(self, call: Call, inputs: Any, /) -> dict[str, Any]:
        """The names that an item's parameters may refer to, where `inputs` adds its own keys to them."""
        return with_inputs(item_store(call), inputs)


class _SynchronousBatchNode(_Settings, BatchNode):  # type: ignore[misc]  # pocketflow is not typed
    """What batches have in common whose `exec` is not a coroutine."""

    def __init__(self, inner: InnerNode) -> None:
        """A batch that runs the node `inner` for each item."""
        super().__init__(max_retries=self.max_retries, wait=self.retry_wait)
        self._wrap(inner)

    def prep(self, shared: Shared) -> Batch:
        """Read the items, and what is the same for all of them. Generated classes say how.

        Raises: ValueError, if there are no items in the store; TypeError, if they are not a list.
        """
        raise NotImplementedError

    def exec(self, call: Call) -> Result:
        """Run the inner node for one item, once. Generated classes say with which parameters.

        Raises: whatever the inner node raises; ParameterError, if a parameter has no value.
        """
        raise NotImplementedError

    def _exec(self, batch: Batch) -> Results:
        if self.parallel and _is_on_ray(batch):
            from .ray_batch import on_ray

            return on_ray(self, batch)
        return self._schedule(batch)

    def _schedule(self, batch: Batch) -> Results:
        """Run the items of `batch` on this machine. Raises: what ends the batch early, see `schedule.py`."""
        raise NotImplementedError

    def post(self, shared: Shared, batch: Batch, results: Results) -> str:
        """Write the outcome to `shared[node_id]` and answer the action "default".

        Raises: the first failure of a batch that stops there; RuntimeError, if every item failed.
        """
        return write_outcome(shared, batch, results)

    def run_inner(self, call: Call, params: dict[str, Any]) -> Result:
        """Run the inner node for one item with `params`; return its outputs, `item` and `original_index`.

        Raises: whatever the inner node raises.
        """
        batch = call.batch
        inner = self.inner if batch.inner is None else batch.inner
        controls = batch.controls
        if controls is None:
            return run_inner(inner, call, params)
        if call.is_asked_only:
            raise Asked(params)
        outputs = controls.restore(call, params)
        if outputs is not None:
            call.result = result_of(call, outputs)
            return call.result
        result = controls.run(call, lambda attempt: run_inner(_inner_of(inner, attempt), attempt, params))
        controls.note_answer(call, result)
        return result


class SequentialBatchNode(_SynchronousBatchNode):
    """A batch that runs its items one after the other."""

    def _schedule(self, batch: Batch) -> Results:
        """One item after the other."""
        return in_order(self, batch)


class ThreadedBatchNode(_SynchronousBatchNode):
    """A batch that runs up to `max_concurrent` items at once, each in a thread of its own."""

    parallel = True

    def _schedule(self, batch: Batch) -> Results:
        """On threads."""
        return in_threads(self, batch)


class ConcurrentBatchNode(_Settings, AsyncParallelBatchNode):  # type: ignore[misc]  # pocketflow is not typed
    """A batch that runs up to `max_concurrent` items of an asynchronous inner node at once, as tasks of one loop."""

    parallel = True

    def __init__(self, inner: InnerNode) -> None:
        """A batch that runs the asynchronous node `inner` for each item."""
        super().__init__(max_retries=self.max_retries, wait=self.retry_wait)
        self._wrap(inner)

    def prep(self, shared: Shared) -> Batch:
        """Read the items, and what is the same for all of them. Generated classes say how.

        Raises: ValueError, if there are no items in the store; TypeError, if they are not a list.
        """
        raise NotImplementedError

    async def prep_async(self, shared: Shared) -> Batch:
        """`prep`, for PocketFlow's asynchronous flows."""
        return self.prep(shared)

    async def exec_async(self, call: Call) -> Result:
        """Run the inner node for one item, once. Generated classes say with which parameters.

        Raises: whatever the inner node raises; ParameterError, if a parameter has no value.
        """
        raise NotImplementedError

    async def _exec(self, batch: Batch) -> Results:
        if _is_on_ray(batch):
            from .ray_batch import on_ray_async

            return await on_ray_async(self, batch)
        return await in_tasks(self, batch)

    async def post_async(self, shared: Shared, batch: Batch, results: Results) -> str:
        """Write the outcome to `shared[node_id]` and answer the action "default".

        Raises: the first failure of a batch that stops there; RuntimeError, if every item failed.
        """
        return write_outcome(shared, batch, results)

    def _run(self, shared: Shared) -> Any:
        # From a synchronous flow: the same, to its end.
        return run_blocking(self._run_async(shared))

    async def run_inner(self, call: Call, params: dict[str, Any]) -> Result:
        """Run the inner node for one item with `params`; return its outputs, `item` and `original_index`.

        Raises: whatever the inner node raises.
        """
        controls = call.batch.controls
        if controls is None:
            return await run_inner_async(self.inner, call, params)
        if call.is_asked_only:
            raise Asked(params)
        outputs = controls.restore(call, params)
        if outputs is not None:
            call.result = result_of(call, outputs)
            return call.result
        result = await controls.run_async(
            call, lambda attempt: run_inner_async(_inner_of(self.inner, attempt), attempt, params)
        )
        controls.note_answer(call, result)
        return result


def _is_on_ray(batch: Batch) -> bool:
    """Whether the run asks for a cluster. A batch inside an item of another one stays where that item runs."""
    run = current_run()
    return run is not None and run.is_on_ray and batch.enclosing is None


def _inner_of(inner: InnerNode, call: Call) -> InnerNode:
    """The node to run: under a time limit a copy, since an attempt that is given up goes on with what it has."""
    controls = call.batch.controls
    if controls is None or controls.timeout is None:
        return inner
    made: InnerNode = call.batch.engine.copy_factory(inner)()
    return made
