"""What becomes of the items of a batch, and what that means for those that are left."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .batch_state import BatchState
from .call import Call
from .data_types import Result
from .engine import Engine
from .streams import why_not_json
from .tally import is_empty, kinds_of

if TYPE_CHECKING:
    from .ray_file_worker import Ended


class BatchOutcomes(BatchState):
    """A batch that keeps what becomes of its items. Schedulers ask one at a time, in whatever thread or task."""

    def finish(self, call: Call, result: Result | None) -> None:
        """Keep what became of `call`: its result, its error, and what that means for the items that are left."""
        if self.results_file is not None:
            self._write(call, result)
        elif self.parallel:
            self._make_room_for(call.index)
            self.results[call.index] = result
        else:
            self.results.append(result)
        self.done += 1
        if call.restored:
            self.restored += 1
        record = None
        if call.error is None:
            if not self.parallel:
                self.previous = result
            if result is not None and is_empty(result):
                self.empty.add(call.index, None)
        else:
            record = self.record(call)
            self.errors.add(call.index, record)
            self._react_to_failure()
        if call.store is not None and (warnings := call.store.get("__warnings__")):
            call.warned = kinds_of(warnings)
        if call.warned:
            self.warned.add(call.index, call.warned)
        if result is not None and self._counts:
            self._count(call, result)
        self.engine.finished(call, record)
        self.timing.add(call.seconds)

    @property
    def only_counts(self) -> bool:
        """Whether an item that ends well has nothing but a result and a time, and nobody else is told: then
        `finish_group` is as good as `finish`."""
        is_heard = type(self.engine).finished is not Engine.finished
        return self.parallel and self.results_file is None and not (self._counts or self.has_keys or is_heard)

    def finish_group(self, indexes: Sequence[int], results: Sequence[Result], seconds: Sequence[float]) -> None:
        """Keep what became of items that ended well, once and for all of them."""
        self._make_room_for(max(indexes, default=-1))
        for index, result in zip(indexes, results, strict=True):
            self.results[index] = result
            if is_empty(result):
                self.empty.add(index, None)
        self.done += len(results)
        self.timing.add_all(seconds)

    def finish_part(self, part: Ended) -> None:
        """Add what became of some of the items elsewhere."""
        self.done += part.done
        self.warned.merge(part.warned)
        self.empty.merge(part.empty)
        self.timing.merge(part.timing)
        self.errors.merge(part.errors)
        if part.unreadable is not None:
            self.is_closed, self.unreadable = True, part.unreadable
        if self.errors.count:
            self._react_to_failure()

    def _make_room_for(self, index: int) -> None:
        """Results stand in the order of their items, and how many of those a file has, nobody has counted."""
        missing = index + 1 - len(self.results)
        if missing > 0:
            self.results += [None] * missing

    def _react_to_failure(self) -> None:
        """Some items have failed: decide whether those that are left still run."""
        if self.fail_fast:
            self.is_closed = True
            self.engine.on_stopping()
        else:
            self.end_if_too_many_failed()

    def _write(self, call: Call, result: Result | None) -> None:
        """Append the result of a call that has ended well to its file; one that the file cannot hold has failed.

        Raises: StreamError.
        """
        if call.error is not None or result is None or self._writer is None:
            return
        try:
            self._writer.write(self.engine.for_file(result))
        except (TypeError, ValueError, RecursionError) as error:
            call.exception = error
            call.error = f"the result cannot be written to {self._writer.path}: {why_not_json(result)}"

    def record(self, call: Call) -> dict[str, Any]:
        """What `errors` says of a call that has failed."""
        try:
            return self.engine.error_record(call)
        except Exception as instead:  # noqa: BLE001  items and exceptions may be of any class; this one failed anyway
            summary = self.engine.summary(None) | {"summary": f"<not described: {type(instead).__name__}>"}
            return {
                "index": call.index,
                "item": call.item,
                "item_summary": summary,
                "error": call.error,
                "exception": call.exception,
            }

    def _count(self, call: Call, result: Result) -> None:
        """What `call` has cost, and its answer if that is worth keeping. Raises: JournalError."""
        if self.run is not None and not call.restored:
            self.run.pays(result, is_item=call.error is None)
        if call.error is None and self.controls is not None:
            self.controls.keep(call, result)
