"""One item on its way through `exec`, and what was captured for all of them."""

from __future__ import annotations

import copy
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from .data_types import Result
from .value_text import short

if TYPE_CHECKING:
    from .answers import Noted
    from .batch import Batch
    from .below import Below


class Given(SimpleNamespace):
    """The captured values of a run, each under the name that generated code has for it."""

    def __repr__(self) -> str:
        return f"Given({', '.join(f'{name}={short(value)}' for name, value in vars(self).items())})"


class Call:
    """One item on its way through `exec`.

    After the last attempt, `error` says what went wrong (None: nothing did), `exception` holds what
    was raised, and `seconds` how long all attempts took.
    """

    attempt = 0  # counts from 1
    entered = 0  # the last attempt that got as far as the inner node
    inner: Any = None  # the inner node, from then on
    error: str | None = None
    exception: Exception | None = None
    result: Result | None = None
    seconds = 0.0
    store: dict[str, Any] | None = None  # the item's private copy of the shared store, kept over its attempts
    engine_data: Any = None  # for the engine's own use
    progress_events: Any = ()  # likewise: what the item's own progress reported, to be shown later
    is_asked_only = False  # whether its parameters are made only to look for them in the journal
    throttles = 0  # how often a server told its calls to wait
    below: Below | None = None  # what batches say that run in the workflow which its node starts
    asked: bytes | None = None  # the fingerprint of the journalled call of the inner node
    is_no_answer = False  # whether what it gave is not for another run: `exec_fallback` answered, say, not the node
    answers: tuple[Noted, ...] = ()  # what the inner node has given, to be journalled if the item ends well
    found: dict[str, Any] | None = None  # the answer that was found for it, before its `exec` runs with that
    noted: bytes | None = None  # pickled, where it ran on Ray: what the inner node gave, if `exec` may have changed it
    warned: list[str] | None = None  # what kinds of warning its node gave
    restored = False  # whether the journal answered it
    _key: str | None = None

    def __init__(self, batch: Batch, index: int, item: Any) -> None:
        self.batch = batch
        self.index = index
        self.item = item
        self.given: Any = batch.given

    def __repr__(self) -> str:
        attempt = f", attempt {self.attempt} of {self.batch.max_retries}" if self.attempt else ""
        error = f", error={self.error!r}" if self.error is not None else ""
        of = "" if self.total is None else f" of {self.total}"
        return f"<Call {self.batch.node_id!r} [{self.index}]{of}{attempt}: {short(self.item)}{error}>"

    @property
    def total(self) -> int | None:
        """How many items the batch has; None for those of a file, as long as that is not known."""
        return self.batch.total

    @property
    def previous(self) -> Any:
        """The result of the item before, in a batch that runs in order; Missing for the first one."""
        return self.batch.previous

    @property
    def gave_an_answer(self) -> bool:
        """Whether what it gave is good for another run: not if a batch that its node has started left items out."""
        return not (self.is_no_answer or (self.below is not None and self.below.left_items_out))

    @property
    def key(self) -> str | None:
        """What the annotation's `key` calls the item; None where it does not name them."""
        if self._key is None and self.batch.has_keys:
            self._key = self.batch.name_of(self)
        return self._key

    def copied(self) -> Call:
        """A call for one attempt that may be given up: what it writes is taken over by `become`, or never."""
        made = copy.copy(self)
        made.error = made.result = None
        return made

    def become(self, attempt: Call) -> None:
        """Take over what `attempt` has come to."""
        vars(self).update(vars(attempt))
