"""How to resume a failed run, where pflow's own advice would repeat what was paid for, or would not work.

pflow advises `pflow resume ID` at the end of such a run. In an environment without `enable`, that command knows neither
the journal nor the keys that pflow-lower adds.
"""

from __future__ import annotations

import sys
from typing import Any

from .messages import say

_has_ours = False
_trace: Any = None
_is_journalled = False
_has_failed = False


def note_ours() -> None:
    """A workflow of this process says what a plain pflow refuses."""
    global _has_ours
    _has_ours = True


def note_failed(trace: Any, *, is_journalled: bool) -> None:
    """A run has failed: what pflow's trace says of it, and whether items of it are in the journal."""
    global _trace, _is_journalled
    _trace, _is_journalled = trace, is_journalled


def note_exit(status: object) -> None:
    """pflow's command is over, with this `code` of a SystemExit; without one, whatever else has ended it."""
    global _has_failed
    _has_failed = bool(status)


def are_results_out() -> bool:
    """Whether what the command has printed of its results has gone out, as far as one can know while Python exits."""
    if _has_failed:
        return False
    try:
        sys.stdout.flush()
    except (BrokenPipeError, ValueError):  # a reader that wants no more; a stream that was closed, and so flushed
        return True
    except OSError:  # a full disk
        return False
    return True


def say_how() -> None:
    """Say it on stderr, after pflow's own advice; nothing where that is right as it stands, or there is none."""
    from .enable import is_in_force

    if _trace is None or not (_is_journalled or _has_ours) or is_in_force() or not _is_advised(_trace):
        return
    does = "goes on inside the batch" if _is_journalled else "resumes this run"
    plain = "refuses the keys that only pflow-lower knows" if _has_ours else "would do finished items again"
    say(
        f"`pflow-lower pflow resume {_trace.execution_id}` {does}; a plain `pflow resume` {plain} "
        "(`pflow-lower enable` makes them the same)"
    )


def _is_advised(trace: Any) -> bool:
    """Whether pflow, in this version, has advice of its own on the run."""
    can_resume = getattr(trace, "has_resumable_step", None)
    is_kept = bool(getattr(trace, "trace_path", None) and getattr(trace, "execution_id", None))
    return is_kept and callable(can_resume) and bool(can_resume())
