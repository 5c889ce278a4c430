"""What is known of how pflow's node types behave when they fail, and of what they leave behind.

Read in pflow 0.16 and held to by tests/test_node_facts.py, which runs the types that need no network.
"""

from __future__ import annotations

from typing import NamedTuple

from ...ir.workflow import SourceNode


class Attempts(NamedTuple):
    """How often one run of a node does its work, and what becomes of it in the end."""

    own: int
    """Attempts that the node's class makes by itself, unless `retry.max` says otherwise."""
    wait: float
    """Seconds between them."""
    heeds_retry: bool
    """Whether `retry` makes a difference: some types never raise while they work, so nothing is repeated."""
    raises: bool
    """Whether the last failure is raised, so that `batch.max_retries` repeats the whole node. Types that answer
    with an error instead are not repeated: an answer is an answer."""
    what: str
    """What a call is, for messages."""


_FILE = Attempts(own=3, wait=0.1, heeds_retry=True, raises=False, what="file operation")
_KNOWN = {
    "agent": Attempts(own=2, wait=1.0, heeds_retry=True, raises=True, what="agent session"),
    "code": Attempts(own=1, wait=0, heeds_retry=True, raises=False, what="run of the code"),
    "copy-file": _FILE,
    "delete-file": _FILE,
    "http": Attempts(own=3, wait=1.0, heeds_retry=True, raises=True, what="request"),
    "llm": Attempts(own=3, wait=1.0, heeds_retry=True, raises=False, what="model call"),
    "move-file": _FILE,
    "read-file": _FILE,
    "shell": Attempts(own=1, wait=0, heeds_retry=False, raises=False, what="command"),
    "workflow": Attempts(own=1, wait=0, heeds_retry=False, raises=False, what="sub-workflow"),
    "write-file": _FILE,
}
_KNOWN["pflow.runtime.workflow_executor"] = _KNOWN["workflow"]
_MCP = Attempts(own=1, wait=0, heeds_retry=True, raises=False, what="tool call")


class Budget(NamedTuple):
    """How often one item can make a node work: `batch` times `own`, once each if all goes well."""

    batch: int
    own: int
    batch_wait: float
    own_wait: float
    backoff: bool
    """Whether the wait between the node's own attempts doubles."""
    known: Attempts | None
    """None for a type that pflow did not ship: its class may try more often by itself."""

    @property
    def worst(self) -> int:
        return self.batch * self.own

    def waits(self) -> float:
        """The longest that an item spends waiting between its attempts, in seconds."""
        waits = [min(self.own_wait * 2**n, 60.0) if self.backoff else self.own_wait for n in range(self.own - 1)]
        return self.batch * sum(waits) + (self.batch - 1) * self.batch_wait


def attempts_of(node: SourceNode) -> Attempts | None:
    """What is known of the node's type; None if pflow does not ship it."""
    return _MCP if is_mcp(node) else _KNOWN.get(node.type)


def is_mcp(node: SourceNode) -> bool:
    """Whether the node calls a tool of an MCP server."""
    return node.type == "mcp" or (node.type.startswith("mcp-") and len(node.type.split("-", 2)) == 3)


def budget_of(node: SourceNode) -> Budget:
    """How often an item can make `node` work, as far as it is known."""
    known = attempts_of(node)
    retry = node.data.get("retry") or {}
    own, wait = (known.own, known.wait) if known else (1, 0.0)
    if known is None or known.heeds_retry:
        own, wait = retry.get("max", own), retry.get("wait", wait)
    repeated = node.batch is not None and (known is None or known.raises)
    return Budget(
        batch=node.batch.max_retries if repeated and node.batch is not None else 1,
        own=int(own),
        batch_wait=float(node.batch.retry_wait) if node.batch is not None else 0.0,
        own_wait=float(wait),
        backoff=retry.get("backoff") == "exponential",
        known=known,
    )
