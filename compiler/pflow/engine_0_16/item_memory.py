"""pflow's memo cache, item by item: of 150 items with one changed, one is run.

pflow keeps the outcome of a whole batch, under a key made of all its items. Beside that, the answer of each item is
kept under a key made of that item, in the same cache and by the cache's own methods: so it lives as long as other
entries, and is not read under `--no-cache`.
"""

from __future__ import annotations

import json
import threading
import time
from typing import Any

from ...runtime import Batch, Call
from ...runtime.below import why_not_as_left
from ...runtime.journal_file import WRITTEN
from ...runtime.started_workflow import WORKFLOW_FILE
from ...runtime.tally import Repeats

_KEY = "pflow-lower:item:{}:{}"


class ItemMemory:
    """What pflow's cache remembers of the items of one batch."""

    def __init__(self, cache: Any, batch: Batch, *, reads: bool) -> None:
        """`reads` is whether answers may come from the cache; they are kept in any case, as pflow does."""
        self.ages: dict[int, tuple[str, float]] = {}
        """Of items whose answer has just come from the cache: its key there, and how old it is in seconds."""
        self._cache = cache
        self._reads = reads
        # No node has such a name: pflow looks for the latest entry of a node by its own.
        self._owner = f"{batch.node_id}[item]"
        self._path = batch.shared.get(WORKFLOW_FILE)
        self._seen = Repeats()
        self._keys: dict[int, str] = {}
        self._lock = threading.Lock()

    def find(self, call: Call, asked: bytes) -> dict[str, Any] | None:
        """What an earlier call that asked the same gave; the second of two equal items is another one's answer."""
        with self._lock:
            number = self._seen.add(asked)
            key = self._keys[call.index] = _KEY.format(asked.hex(), number)
        found = self._cache.get_with_age(key) if self._reads else None
        if found is None:
            return None
        _, kept, created = found
        try:
            outputs = json.loads(kept["json"])
        except (KeyError, TypeError, ValueError):
            return None  # not of ours
        if not isinstance(outputs, dict) or why_not_as_left(call, outputs.get(WRITTEN, ())):
            return None
        self._keys.pop(call.index, None)
        self.ages[call.index] = (key, time.time() - created)
        return outputs

    def keep(self, call: Call, text: str) -> None:
        """Keep what the call gave."""
        key = self._keys.pop(call.index, None)
        if key is None:
            return
        self._cache.put(key, self._owner, self._path, "default", {"json": text})
