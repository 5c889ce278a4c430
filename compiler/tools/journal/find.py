"""Which journals there are, and which one a name means."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ...journals import journal_folder_of
from ...runtime.journal_file import LOCK, JournalError
from ...runtime.run import is_journal_name, journal_name, journals_folder


class NotFound(Exception):
    """There is no such journal; the text says what there is."""


def folders() -> list[Path]:
    """Where journals stand, as seen from here: in the place for all, and in the one that a table here names.

    Raises: JournalError, if that table is wrong.
    """
    return list(dict.fromkeys([journal_folder_of(str(Path.cwd() / "workflow")), journals_folder()]))


def journals() -> list[Path]:
    """Every journal, by name. Raises: JournalError."""
    return sorted((file for file in _files() if is_journal_name(file.name)), key=lambda file: (file.name, str(file)))


def gone_journals() -> list[Path]:
    """Where journals were of which nothing but the lock is left. Raises: JournalError."""
    gone = (file.with_name(file.name[: -len(LOCK)]) for file in _files() if file.name.endswith(LOCK))
    return [path for path in gone if is_journal_name(path.name) and not path.exists()]


def journal_called(name: str) -> Path:
    """The journal that `name` means: a workflow's file, a journal's own file, or the name that `list` shows.

    Raises: NotFound; JournalError.
    """
    path = Path(name)
    if is_journal_name(path.name) and path.is_file():
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


def _files() -> Iterator[Path]:
    for folder in folders():
        yield from _files_in(folder)


def _files_in(folder: Path) -> Iterator[Path]:
    try:
        yield from (file for file in folder.iterdir() if file.is_file())
    except FileNotFoundError:
        return
    except OSError as error:
        raise JournalError(f"{folder}: {error.strerror or error}") from error
