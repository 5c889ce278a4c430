"""The options of `pflow-lower run` that pflow does not have: they hold for the runs of this process."""

from __future__ import annotations

from typing import NamedTuple


class Asked(NamedTuple):
    """The options of one command."""

    resume: bool | None = None
    """Whether every batch is journalled; None leaves it to each."""
    fresh: bool = False
    """Whether the journal of an earlier run is forgotten."""
    budget: float | None = None
    """Dollars of known cost at which no further item starts."""
    limit: int | None = None
    """How many items of every batch run."""
    on: str | None = None
    """Where parallel batches run: "ray", "ray=ADDRESS", or here."""

    until_exit: bool = False
    """Whether this process is one command: what it has journalled is kept until all is printed."""

    def options(self) -> list[str]:
        """The options that lowered nodes alone honour, as they are typed."""
        return [
            *(["--resume"] if self.resume else []),
            *(["--budget"] if self.budget is not None else []),
            *(["--limit"] if self.limit is not None else []),
            *(["--on"] if self.on is not None else []),
        ]


_asked = Asked()


def ask(asked: Asked) -> None:
    """From now on this holds."""
    global _asked
    _asked = asked


def asked_for() -> Asked:
    """What holds."""
    return _asked
