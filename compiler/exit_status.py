"""What a command ends with. Every command keeps to these, and its help says which of them it can end with.

A command that was asked for something and could not look, or found nothing where it was told to look, has FAILED: a
gate that sees nothing must not be open. What was found counts less than what could not be looked at.
"""

from __future__ import annotations

DONE = 0
"""All that was asked for is done; there is nothing to object to."""
FOUND = 1
"""Found what it was asked to look for: a finding of lint, a file out of date, a change that --fail-on names."""
FAILED = 2
"""Could not do it, or not look: an invalid workflow, an unreadable file, a path with nothing at it, wrong options."""
INTERRUPTED = 130
"""Ended by Ctrl-C, as shells have it."""


def of(*, found: bool, failed: bool) -> int:
    """The exit status of a command that looks for something."""
    return FAILED if failed else FOUND if found else DONE
