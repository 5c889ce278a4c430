"""Workflows as git has them: what has changed since a revision, and the files of a revision.

git is only asked, never told: nothing here changes a repository.
"""

from __future__ import annotations

import contextlib
import functools
import os
import posixpath
import re
import shlex
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from ...diagnostics.diagnostic import Diagnostic, LowerError, Severity, refusal
from ...files import regular_files
from ...ir.report import nearest
from ...node_types.project_file import PROJECT_FILE, parse_toml
from ...node_types.run_tables import OWN_FILE
from ..shared.recognise import has_workflow_name, looks_like_workflow, may_be_workflow
from ..shared.watch import mentioned
from ..shared.workflow_files import outside, walk
from .tables import COMPARED

TABLE_FILES = (OWN_FILE, PROJECT_FILE)
_NAMES_AT_ONCE = 200
_SUBMODULE = "160000"
"""The mode that git gives one."""


class Changed(NamedTuple):
    """A workflow that differs, by its paths from the top of the repository; None where it is not there."""

    old: str | None
    new: str | None


class Repository:
    """The repository of the working directory. Raises LowerError (PFL711) where git cannot answer."""

    def __init__(self, asked: str) -> None:
        """`asked` is what the command line asks of git, the place of what git has to say."""
        self._place = f"<{asked}>"
        self.top = Path(self._text("rev-parse", "--show-toplevel").rstrip("\n"))

    def commit(self, revision: str) -> str:
        """The commit that `revision` names."""
        return self._text("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}").strip()

    def range(self, text: str) -> tuple[str, str | None]:
        """The two commits of `A..B` or `A...B` (from where B left A); of `A` alone, it and the working tree."""
        for dots in ("...", ".."):
            first, found, last = text.partition(dots)
            if found:
                old, new = self.commit(first or "HEAD"), self.commit(last or "HEAD")
                return (self._parted(old, new) if dots == "..." else old), new
        return self.commit(text), None

    def _parted(self, old: str, new: str) -> str:
        """The commit at which two histories parted."""
        found = self._git("merge-base", old, new, none=1).decode().strip()
        if not found:
            help = self._deepen() or "compare the two as they are: A..B"
            raise refusal("PFL711", self._place, "the two have no commit in common", help=help)
        return found

    def changed(self, old: str, new: str | None, paths: Sequence[str]) -> list[Changed]:
        """The workflows that differ from commit `old` to `new` (None: the working tree), at or below `paths`.

        A workflow differs, too, if a file that it mentions does, or a table at or above it.
        """
        commits = [old] if new is None else [old, new]
        fields = self._names("diff", "--name-status", "--no-ext-diff", "-M", *commits, "--", *paths)
        found: dict[str | None, Changed] = {}
        others: list[str] = []
        at = 0
        while at < len(fields):
            status, first = fields[at][:1], fields[at + 1]
            moved = status in ("R", "C")
            last = fields[at + 2] if moved else first
            at += 3 if moved else 2
            pair = Changed(None if status in ("A", "C") else first, None if status == "D" else last)
            if self._is_workflow(pair, old, new):
                found[pair.new or pair.old] = pair
            else:
                others += [first, last]
        if new is None:
            for name in self._names("ls-files", "--others", "--exclude-standard", "--full-name", "--", *paths):
                if self._is_workflow(Changed(None, name), old, new):
                    found.setdefault(name, Changed(None, name))
        every = self._names("diff", "--name-only", "--no-ext-diff", "--no-renames", *commits)
        also = self._mentioning([name for name in every if name not in found], new, paths)
        for name in sorted(also | self._below_tables(every, old, new, paths)):
            if name in self._tree(old) and self._is_workflow(Changed(name, name), old, new):
                found.setdefault(name, Changed(name, name))
        return [found[name] for name in sorted(found, key=str)]

    def unseen(self, old: str, new: str | None, paths: Sequence[str]) -> Iterator[tuple[str, Diagnostic]]:
        """The submodules at or below `paths` that differ, with what is to be said of each."""
        commits = [old] if new is None else [old, new]
        options = ("--raw", "--abbrev=10", "--no-ext-diff", "--no-renames", "--ignore-submodules=none")
        fields = iter(self._names("diff", *options, *commits, "--", *paths))
        for entry, name in zip(fields, fields, strict=False):
            modes, (first, last) = entry.lstrip(":").split()[:2], entry.split()[2:4]
            if _SUBMODULE not in modes or (here := self._has_workflows(self.top / name)) is False:
                continue
            what = "the workflows in it are" if here else "it is not checked out here: what is in it is"
            message = f"this submodule has changed, and {what} not compared"
            help = "name the files and folders to look at, without it"
            if here and modes[0] == _SUBMODULE and first.strip("0"):
                asked = f"{first}..{last}" if new is not None and modes[1] == _SUBMODULE else first
                help = f"compare there: cd {shlex.quote(self.shown(name))} && pflow-lower diff --git {asked}\nor {help}"
            yield name, Diagnostic("PFL712", Severity.ERROR, message, file=self.shown(name), help=help)

    def _has_workflows(self, submodule: Path) -> bool | None:
        """Whether there are workflows in the working tree of a submodule; None where it has none."""
        if not (submodule / ".git").exists():
            return None
        unread: list[OSError] = []
        for folder in walk(submodule, unread.append):
            for path in (folder.path / name for name in folder.files if may_be_workflow(name)):
                with contextlib.suppress(OSError):
                    if has_workflow_name(path.name) or looks_like_workflow(regular_files.read_beside(path, submodule)):
                        return True
        return bool(unread)  # there may be some where nobody can look

    def nothing_at(self, path: str, old: str, new: str | None) -> Diagnostic | None:
        """The finding about a path of the command line at which neither version has a workflow; None if one has."""
        names = [Changed(name, None) for name in self._below(path, old)]
        names += [Changed(None, name) for name in self._below(path, new)]
        if any(self._is_workflow(pair, old, new) for pair in names):
            return None
        if names:
            message, help = "neither version has a workflow here", "name workflows, or folders with workflows in them"
        else:
            message = "there is no such file or folder in either version"
            help = "paths are relative to this folder; git compares what it tracks"
        return Diagnostic(code="PFL117", severity=Severity.ERROR, message=message, file=path, help=help)

    def file(self, path: str) -> Path:
        """The file at `path` in the working tree. Raises: LowerError (PFL101), if it is not read for where it is."""
        file = self.top / path
        if why := regular_files.why_not(file, self.top):
            raise LowerError([outside(self.shown(path), why)])
        return file

    def extract(self, commit: str, path: str, into: Path) -> Path:
        """The workflow at `path` as of `commit`, written below `into` with what lowering it reads."""
        content = self._git("cat-file", "blob", f"{commit}:{path}")
        folder = posixpath.dirname(path)
        wanted = {
            posixpath.normpath(posixpath.join(folder, name)) for name in mentioned(content.decode("utf-8", "replace"))
        }
        parts = folder.split("/") if folder else []
        wanted |= {"/".join([*parts[:count], name]) for count in range(len(parts) + 1) for name in TABLE_FILES}
        for name in sorted({path, *(wanted & self._tree(commit))}):
            target = into / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content if name == path else self._git("cat-file", "blob", f"{commit}:{name}"))
        (into / ".git").mkdir(exist_ok=True)  # the scratch folder stands for the repository: nothing above it counts
        return into / path

    def shown(self, path: str) -> str:
        """A path from the top of the repository, as seen from the working directory."""
        return Path(os.path.relpath(self.top / path)).as_posix()

    def _mentioning(self, names: Iterable[str], new: str | None, paths: Sequence[str]) -> set[str]:
        """The files at or below `paths` in which the base name of one of `names` occurs."""
        words = sorted({posixpath.basename(name) for name in names} - {""})
        found: set[str] = set()
        for at in range(0, len(words), _NAMES_AT_ONCE):
            patterns = [part for word in words[at : at + _NAMES_AT_ONCE] for part in ("-e", word)]
            where = ["--untracked"] if new is None else [new]
            command = ["grep", "-l", "-z", "-I", "-F", "--full-name", *patterns, *where, "--", *paths]
            hits = self._git(*command, none=1).decode("utf-8", "surrogateescape").split("\0")
            found |= {hit.removeprefix(f"{new}:") for hit in hits if hit}
        return found

    def _below_tables(self, changed: Iterable[str], old: str, new: str | None, paths: Sequence[str]) -> set[str]:
        """The files at or below `paths` of which a table, in one of the files `changed`, says something else."""
        tables = {name for name in changed if posixpath.basename(name) in TABLE_FILES}
        if new is None:
            others = self._names("ls-files", "--others", "--exclude-standard", "--full-name", self._everywhere())
            tables |= {name for name in others if posixpath.basename(name) in TABLE_FILES}
        folders = [posixpath.dirname(name) for name in tables if self._tables(name, old) != self._tables(name, new)]
        if not folders:
            return set()
        names = {name for path in paths or [self._everywhere()] for name in self._below(path, new)}
        return {name for name in names if any(not folder or name.startswith(f"{folder}/") for folder in folders)}

    def _tables(self, name: str, commit: str | None) -> object:
        """What the tables in the file `name` of a version say that is compared; its bytes where that cannot be read."""
        content = self._content(name, commit)
        try:
            data = {} if content is None else parse_toml(content, Path(name))
        except LowerError:
            return content
        tool = data.get("tool")
        ours = tool.get("pflow-lower") if isinstance(tool, dict) else None
        own = data if posixpath.basename(name) == OWN_FILE else {}
        return [table.get(key) for table in (ours, own) if isinstance(table, dict) for key in COMPARED if key in table]

    def _content(self, name: str, commit: str | None) -> bytes | None:
        """The file `name` of a version; None where it has none that is read."""
        if commit is not None:
            return self._git("cat-file", "blob", f"{commit}:{name}") if name in self._tree(commit) else None
        try:
            return regular_files.read_beside(self.top / name, self.top)
        except OSError:
            return None

    def _everywhere(self) -> str:
        """The top of the repository, as a path from the working directory."""
        return os.path.relpath(self.top)

    def _is_workflow(self, pair: Changed, old: str, new: str | None) -> bool:
        """Whether one of the two is a workflow: one that has become something else has changed as well."""
        return self._is_one(pair.new, new) or self._is_one(pair.old, old)

    def _is_one(self, name: str | None, commit: str | None) -> bool:
        """Whether the file `name` of `commit` (None: of the working tree) is a workflow."""
        if name is None or not may_be_workflow(name):
            return False
        if has_workflow_name(name):
            return True
        content = self._content(name, commit)
        return content is not None and looks_like_workflow(content)

    def _below(self, path: str, commit: str | None) -> list[str]:
        """The files at or below a path of the command line, in a commit or in the working tree."""
        if commit is not None:
            return self._names("ls-tree", "-r", "--name-only", "--full-name", commit, "--", path)
        options = ("--cached", "--others", "--exclude-standard", "--full-name")
        return self._names("ls-files", *options, "--", path)

    @functools.lru_cache(maxsize=4)  # noqa: B019  a repository lives as long as the command
    def _tree(self, commit: str) -> frozenset[str]:
        return frozenset(self._names("ls-tree", "-r", "--name-only", "--full-tree", commit))

    def _names(self, *arguments: str) -> list[str]:
        command, *rest = arguments
        text = self._git(command, "-z", *rest).decode("utf-8", "surrogateescape")
        return [name for name in text.split("\0") if name]

    def _text(self, *arguments: str) -> str:
        return self._git(*arguments).decode("utf-8", "surrogateescape")

    def _git(self, *arguments: str, none: int = 0) -> bytes:
        """What git prints; `none` is the exit status with which it says that there is nothing."""
        environment = {**os.environ, "GIT_LITERAL_PATHSPECS": "1", "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
        try:
            run = subprocess.run(["git", *arguments], capture_output=True, env=environment, check=False)
        except OSError as error:
            raise refusal("PFL711", self._place, "git cannot be run", help=error.strerror or str(error)) from error
        if run.returncode not in (0, none):
            message = run.stderr.decode("utf-8", "replace").strip().removeprefix("fatal: ")
            if arguments[0] == "rev-parse" and not message:
                name = arguments[-1].removesuffix("^{commit}")
                raise refusal("PFL711", self._place, f"git knows no revision {name}", help=self._instead_of(name))
            raise refusal("PFL711", self._place, f"git {arguments[0]} failed", help=message)
        return run.stdout

    def _instead_of(self, name: str) -> str:
        """What to do about a revision that there is not."""
        base = re.split(r"[~^@]", name, maxsplit=1)[0]
        if base not in ("", name) and self._git("rev-parse", "--verify", "--quiet", f"{base}^{{commit}}", none=1):
            return self._deepen() or f"{base} is known, and its history does not go back so far"
        known = self._text("for-each-ref", f"--count={_NAMES_AT_ONCE}", "--format=%(refname:short)").split()
        if guess := nearest(name, [*known, "HEAD"]):
            return f"did you mean {guess}?"
        return (
            "name a commit, a branch or a tag (git branch -a and git tag list them)\n"
            f"in a shallow clone, fetch it first: git fetch --depth=1 origin {name}"
        )

    def _deepen(self) -> str:
        """What to do where a clone does not have all of its history; "" where it does."""
        if self._text("rev-parse", "--is-shallow-repository").strip() != "true":
            return ""
        return (
            "this clone is shallow, and history before its oldest commit is missing here\n"
            "fetch more of it: git fetch --deepen=1, or all of it: git fetch --unshallow"
        )
