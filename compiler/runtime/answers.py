"""What calls of earlier runs have answered, and what those of this run leave for later ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from .journal import Journal, fingerprint
from .missing import ParameterError

if TYPE_CHECKING:
    from .call import Call

_WARNED = "__warned__"
"""Beside the outputs of a journalled item: the kinds of warning that its node gave."""


class Memory(Protocol):
    """Answers of earlier runs that an engine keeps by itself, besides the journal: pflow's cache, say."""

    def find(self, call: Call, asked: bytes) -> dict[str, Any] | None:
        """The outputs of an earlier call that asked the same."""

    def keep(self, call: Call, asked: bytes, outputs: Mapping[str, Any]) -> None:
        """`call`, which ended well, has given `outputs`."""


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
        self.not_json = 0
        """How many answers could not be journalled, since JSON cannot hold them."""

    def restored(self, call: Call, params: dict[str, Any]) -> dict[str, Any] | None:
        """The outputs that an earlier run has left for `call`; None if it must be run.

        Raises: JournalError; ParameterError, for parameters that JSON cannot hold and the journal must.
        """
        if self.journal is None and self.memory is None:
            return None
        batch = call.batch
        try:
            asked = fingerprint(batch.node_id, batch.inner_type, params, batch.engine.depends_on(call, params))
        except ParameterError:
            if self.journal is None:
                return None
            raise
        if asked == call.asked:
            return None  # not the first attempt
        call.asked = asked
        outputs = None
        if self.journal is not None and (answer := self.journal.find(asked)) is not None:
            outputs = answer.result
        elif self.memory is not None:
            outputs = self.memory.find(call, asked)
        if outputs is not None:
            call.restored = True
            call.warned = outputs.pop(_WARNED, None)
        return outputs

    def restored_here(self, node: Any, call: Call) -> dict[str, Any] | None:
        """`restored` for a call whose node runs elsewhere: its parameters are made here, and nothing is called.

        Raises: JournalError; ParameterError, for parameters that JSON cannot hold.
        """
        call.is_asked_only = True
        try:
            if hasattr(node, "exec_async"):
                node.exec_async(call).send(None)
            else:
                node.exec(call)
        except Asked as asked:
            return self.restored(call, asked.params)
        except Exception:  # noqa: BLE001  whatever it is, it is raised again where the item runs
            return None
        finally:
            call.is_asked_only = False
        return None

    def keep(self, call: Call, outputs: Mapping[str, Any], cost: float | None) -> None:
        """Keep what a call that has ended well has given for another run. Raises: JournalError."""
        if call.asked is None or call.restored:
            return
        if call.warned:
            outputs = {**outputs, _WARNED: call.warned}
        if self.memory is not None:
            self.memory.keep(call, call.asked, outputs)
        if self.journal is not None:
            try:
                self.journal.keep(call.asked, call.batch.node_id, call.key, outputs, seconds=call.seconds, cost=cost)
            except ValueError:
                self.not_json += 1
