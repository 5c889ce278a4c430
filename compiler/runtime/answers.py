"""The answers of earlier runs that calls of this run use, and those that it leaves for later runs."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from .below import hear_of_batches_below, why_not_as_left
from .data_types import Result
from .fingerprints import as_json, fingerprint
from .inner import set_result
from .journal import Journal
from .journal_file import WARNED, WRITTEN
from .missing import ParameterError
from .run import cost_of
from .tally import kinds_of

if TYPE_CHECKING:
    from .call import Call

_OF_THE_ITEM = frozenset(("item", "original_index"))
_OF_A_NAMED_ITEM = _OF_THE_ITEM | {"key"}
# What a result has besides the outputs of its node.


class Memory(Protocol):
    """Answers of earlier runs that an engine keeps by itself, besides the journal: pflow's cache, say."""

    def find(self, call: Call, asked: bytes) -> dict[str, Any] | None:
        """The outputs of an earlier call that asked the same."""

    def keep(self, call: Call, text: str) -> None:
        """`call`, which ended well, has given the outputs that `text` holds as JSON."""


class Noted(NamedTuple):
    """What the inner node has given, until it is known whether the item ends well."""

    asked: bytes
    attempt: int
    text: str | None
    """The outputs as JSON; None if that cannot hold them."""
    cost: float | None


class Asked(BaseException):
    """Raised in the place of a call of the inner node, where only its parameters are wanted."""

    def __init__(self, params: dict[str, Any]) -> None:
        super().__init__()
        self.params = params


class Answers:
    """Where the calls of one batch look for their answers before they are made."""

    def __init__(self, journal: Journal | None, memory: Memory | None) -> None:
        self.journal = journal
        self.memory = memory
        self.are_given_elsewhere = False
        """Whether items run where this batch's `run_inner` is not: what they give is all that is known of an answer."""
        self.not_json = 0
        """How many answers could not be journalled, since JSON cannot hold them."""
        self._has_said_why = False

    def restore(self, call: Call, params: dict[str, Any]) -> dict[str, Any] | None:
        """Take the outputs that an earlier run has left for `call`; None if it must be run.

        Raises: JournalError; ParameterError, for parameters that JSON cannot hold and the journal must.
        """
        if call.found is not None:
            found, call.found = call.found, None
            return found
        if self.journal is None and self.memory is None:
            return None
        batch = call.batch
        try:
            asked = fingerprint(batch.node_id, batch.inner_type, params, batch.engine.depends_on(call, params))
        except ParameterError:
            if self.journal is None:
                return None
            raise
        call.asked = asked
        hear_of_batches_below(call)
        if call.attempt > 1:
            return None  # what was there was not good enough
        outputs = self._find_in_journal(call, asked)
        if outputs is None and self.memory is not None:
            outputs = self.memory.find(call, asked)
        if outputs is not None:
            outputs.pop(WRITTEN, None)
            call.restored = True
            call.warned = outputs.pop(WARNED, None)
        return outputs

    def _find_in_journal(self, call: Call, asked: bytes) -> dict[str, Any] | None:
        """Take the first answer in the journal that still holds. Raises: JournalError."""
        why = ""
        while self.journal is not None and (answer := self.journal.find(asked)) is not None:
            found = why_not_as_left(call, answer.result.get(WRITTEN, ()))
            if not found:
                return answer.result
            why = why or found
        if why and not self._has_said_why:
            self._has_said_why = True
            call.batch.tell(f"{call.batch.node_id}: what item [{call.index}] gave is not used, it runs again: {why}")
        return None

    def restore_here(self, node: Any, call: Call) -> dict[str, Any] | None:
        """`restore` for a call whose node runs elsewhere: its parameters are made here, and nothing is called.

        What an `exec` of the author's makes of the answer is made here, too.

        Raises: JournalError; ParameterError, for parameters that JSON cannot hold.
        """
        call.is_asked_only = True
        try:
            _exec(node, call)
        except Asked as asked:
            outputs = self.restore(call, asked.params)
        except Exception:  # noqa: BLE001  whatever it is, it is raised again where the item runs
            return None
        finally:
            call.is_asked_only = False
        if outputs is None or not has_own_exec(node):
            return outputs
        call.found = outputs
        try:
            return set_result(call, _exec(node, call))
        except Exception:  # noqa: BLE001  as above
            call.restored, call.found = False, None
            return None

    def note_answer(self, call: Call, result: Result) -> None:
        """Note what the inner node has given to `call`, as it is now: what `exec` makes of it is not an answer.

        It is kept once the item has ended well. That the node answered an error is not an answer.
        """
        if call.asked is None or call.error is not None:
            return
        of_the_item = _OF_THE_ITEM if call.key is None else _OF_A_NAMED_ITEM
        outputs = {name: value for name, value in result.items() if name not in of_the_item}
        warned = call.warned
        if call.store is not None and (warnings := call.store.get("__warnings__")):
            warned = kinds_of(warnings)
        if warned:
            outputs[WARNED] = warned
        if call.below is not None and call.below.written:
            outputs[WRITTEN] = [written.as_json() for written in call.below.written.values()]
        try:
            text = as_json(outputs)
        except ValueError:
            text = None
        call.answers = (*call.answers, Noted(call.asked, call.attempt, text, cost_of(outputs)))

    def keep(self, call: Call, result: Result) -> None:
        """Keep the answers of a call that has ended well for another run. Raises: JournalError."""
        if not call.gave_an_answer:
            return  # what is left out is to run in the next run
        if self.are_given_elsewhere and not call.restored:
            self.note_answer(call, result if call.noted is None else pickle.loads(call.noted))
        for asked, attempt, text, cost in call.answers:
            if attempt != call.attempt:
                continue  # one that was not good enough
            if text is None:
                self.not_json += self.journal is not None
                continue
            if self.memory is not None:
                self.memory.keep(call, text)
            if self.journal is not None:
                self.journal.keep_text(asked, call.batch.node_id, call.key, text, seconds=call.seconds, cost=cost)


def has_own_exec(node: Any) -> bool:
    """Whether an author has derived a class with an `exec` of its own from the generated one, which names the node."""
    first = next(cls for cls in type(node).__mro__ if not {"exec", "exec_async"}.isdisjoint(vars(cls)))
    return "node_id" not in vars(first)


def _exec(node: Any, call: Call) -> Any:
    """What `exec` gives, where nothing is waited for in it."""
    if not hasattr(node, "exec_async"):
        return node.exec(call)
    coroutine = node.exec_async(call)
    try:
        coroutine.send(None)
    except StopIteration as ended:
        return ended.value
    finally:
        coroutine.close()
    raise RuntimeError("it waits for something")
