"""Where the journals of a workflow's runs stand, by the tables beside it."""

from __future__ import annotations

import os
from pathlib import Path

from .diagnostics.diagnostic import LowerError
from .node_types.run_tables import journals_for
from .runtime.journal_file import JournalError
from .runtime.run import JOURNAL_VARIABLE, journals_folder


def journal_folder_of(workflow: str) -> Path:
    """The folder of the journals of the workflow in the file `workflow`: what the environment says comes first.

    Raises: JournalError, if the table that names it is wrong.
    """
    if os.environ.get(JOURNAL_VARIABLE):
        return journals_folder()
    try:
        return journals_for(Path(workflow).parent) or journals_folder()
    except LowerError as error:
        raise JournalError("\n".join(finding.render() for finding in error.diagnostics)) from error
