"""Which journals there are, and which one a name means."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ...journals import journal_folder_of
from ...runtime.journal_file import JournalError
from ...runtime.run import journal_name, journals_folder

ENDING = ".db"


class NotFound(Exception):
    """There is no such journal; the text says what there is."""


def folders() -> list[Path]:
    """Where journals stand, as seen from here: in the place for all, and in the one that a table here names.

    Raises: JournalError, if that table is wrong.
    """
    return list(dict.fromkeys([journal_folder_of(str(Path.cwd() / "workflow")), journals_folder()]))


def journals() -> list[Path]:
    """Every journal, by name. Raises: JournalError."""
    return sorted((file for folder in folders() for file in _in(folder)), key=lambda file: (file.name, str(file)))


def journal_called(name: str) -> Path:
    """The journal that `name` means: a workflow's file, a journal's own file, or the name that `list` shows.

    Raises: NotFound; JournalError.
    """
    path = Path(name)
    if path.suffix == ENDING and path.is_file():
        return path
    of_workflow = journal_folder_of(str(path.absolute())) / journal_name(name)
    if of_workflow.is_file():
        return of_workflow
    known = journals()
    found = [file for file in known if name in (file.name, file.stem)]
    if not found:
        others = f"; there are {', '.join(file.stem for file in known)}" if known else "; there is none at all"
        raise NotFound(f"no journal of {name}{others}")
    return found[0]


def _in(folder: Path) -> Iterator[Path]:
    try:
        yield from (file for file in folder.iterdir() if file.suffix == ENDING and file.is_file())
    except FileNotFoundError:
        return
    except OSError as error:
        raise JournalError(f"{folder}: {error.strerror or error}") from error
