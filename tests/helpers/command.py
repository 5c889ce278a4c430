"""What `pflow-lower` said when the fixture `run` (conftest.py) called it in this process."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple


class Result(NamedTuple):
    status: int
    out: str
    err: str


Run = Callable[..., Result]
"""Called with the arguments, and with `stdin` where the command reads it."""
