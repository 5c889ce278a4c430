"""Items on the workers of a Ray cluster: one more scheduler, for items that burn processor time.

Items that only wait (for an API) need no cluster: the threads of one process are enough. Here the driver, the process
that runs the workflow, hands out chunks of items and keeps everything else: which items are left, the journal, what an
outcome means. A worker makes the attempts (`ray_worker.py`), `max_concurrent` items at once over all workers, and
sends outcomes back as they come, so that a worker that dies takes only what it had under way. The rest of its
chunk then runs one item at a time: otherwise it would not be known which item workers die of.

ray is imported when a batch runs here, and only then.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from .batch import Batch
from .data_types import Results
from .outcome import write_interrupted_outcome
from .ray_driver import Driver, Stopped
from .run import current_run
from .signals import interrupted_as_handled
from .streams import ItemsFile, is_many


def on_ray(node: Any, batch: Batch) -> Results:
    """Run the items on the cluster that the run names, `max_concurrent` at once over all of it.

    Raises: NotForRay, before the first item; an exception that aborts the batch; an interrupt.
    """
    driver: Driver | None = None

    def run() -> None:
        nonlocal driver
        driver = _driver(node, batch)
        driver.run()

    try:
        interrupted_as_handled(run)
    except BaseException as exc:  # whatever ends the batch; raised again
        if driver is not None:
            driver.stop()
        if not isinstance(exc, (Exception, Stopped)):
            write_interrupted_outcome(batch, exc)
        batch.end(ended_well=False)
        raise
    return batch.results


def _driver(node: Any, batch: Batch) -> Driver:
    if _goes_by_file(node, batch):
        from .ray_files import FilesDriver

        return FilesDriver(node, batch)
    return Driver(node, batch)


async def on_ray_async(node: Any, batch: Batch) -> Results:
    """`on_ray`, in a task of a loop that goes on meanwhile.

    Raises: the same; a cancellation, once nothing is handed out any more.
    """
    work = asyncio.ensure_future(asyncio.to_thread(on_ray, node, batch))
    try:
        return await asyncio.shield(work)
    except BaseException as exc:  # a cancellation: what is under way ends first
        if work.done():
            raise
        batch.stop()
        with contextlib.suppress(Stopped):
            await work
        write_interrupted_outcome(batch, exc)
        raise


def _goes_by_file(node: Any, batch: Batch) -> bool:
    """Whether nothing of `batch` needs to pass through the process that runs the workflow: no journal stands there, no
    budget is counted, no name of an item is compared with all others, and all items run."""
    if not isinstance(batch.items, ItemsFile) or batch.results_file is None:
        return False
    if not is_many(batch.items.path) or not is_many(batch.results_file.path):
        return False
    run = current_run()
    is_counted = run is not None and (run.budget is not None or run.limit is not None)
    wants_journal = run.wants_journal(node.resume) if run is not None else node.resume
    return not (wants_journal or is_counted or batch.has_keys)
