"""The open buffers, and what is known of each: analysed in one worker thread, never in the server's own."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from ..shared.recognise import has_workflow_name, looks_like_workflow
from .analysis import Analysis
from .text import Moved, Place

T = TypeVar("T")

_LANGUAGES = frozenset({"pflow", "pflow-markdown", "pflow-json"})
"""What an editor may call the languages of workflows: such a buffer is one whatever its name."""
_JSON = frozenset({"json", "jsonc", "json5"})

PAUSE = 0.2
"""Seconds without an edit before findings are worked out again."""


class Buffer:
    """One open document. `path` is "" where it is not a file."""

    def __init__(self, uri: str, path: str, language: str, text: str, version: int | None) -> None:
        self.uri = uri
        self.path = path
        self.language = language
        self.text = text
        self.version = version
        self.files = 0
        """Counts the times that a file was written, which the workflow may refer to."""
        self.is_workflow = False
        self.analysis: Analysis | None = None
        self.readable: Analysis | None = None
        """The last analysis of a text that could be read as a workflow."""
        self.task: asyncio.Task[None] | None = None
        self.lock = asyncio.Lock()
        self._known: tuple[Analysis, Moved] | None = None
        self._seen: Analysis | None = None
        self._of: tuple[str, int] | None = None

    def is_known(self) -> bool:
        """Whether `analysis` is that of the present text and files."""
        return self._of is not None and self._of[0] is self.text and self._of[1] == self.files

    def learn(self, analysis: Analysis | None, text: str, files: int) -> None:
        """Take the analysis of `text`, as the files were after `files` changes; None if it is not a workflow."""
        self._of = (text, files)
        self.analysis = analysis
        self.is_workflow = analysis is not None
        if analysis is None or analysis.source is not None:
            self.readable = analysis

    def known(self) -> tuple[Analysis, Moved] | None:
        """What is known of the buffer, and where that stands now: while it cannot be read, what was last known."""
        if self.analysis is None or self.readable is None:
            return None
        if self._known is None or self._known[0] is not self.readable or self._seen is not self.analysis:
            self._known = self.readable, Moved(self.readable.text.text, self.analysis.text.text)
            self._seen = self.analysis
        return self._known

    def now(self, place: Place | None) -> Place | None:
        """Where in the present text a place of what is known stands; None if it was edited since."""
        known = self.known()
        return known[1].forward(place) if known is not None and place is not None else None

    def batches(self, asked: Place | None = None) -> Iterator[tuple[str, Place]]:
        """Every batch node, or those that `asked` touches: its id, and where that stands now."""
        known = self.known()
        if known is None or known[0].source is None or known[0].places is None:
            return
        for node in known[0].source.nodes:
            place = self.now(known[0].places.name(node.path)) if node.batch is not None else None
            if place is None:
                continue
            if asked is not None:
                whole = self.now(known[0].places.value(node.path))
                if whole is None or whole.end < asked.start or asked.end < whole.start:
                    continue
            yield node.id, place


def is_workflow(text: str, name: str, language: str, before: bool = False) -> bool:
    """Whether to say anything about a buffer. `before` is the answer to the same question before the last edit."""
    if language in _LANGUAGES or has_workflow_name(name):
        return True
    return (language in _JSON or name.lower().endswith(".json")) and looks_like_workflow(text, before)


class Worker:
    """The thread in which buffers are analysed, one after the other."""

    def __init__(self, encoding: Callable[[], str]) -> None:
        self._encoding = encoding
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="analysis")

    async def run(self, work: Callable[[], T]) -> T:
        """What `work` gives, in the thread."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    async def analyse(self, buffer: Buffer) -> Analysis | None:
        """The analysis of the buffer's present text; None if it is not a workflow."""
        async with buffer.lock:
            while not buffer.is_known():
                text, files = buffer.text, buffer.files
                analysis = await self.run(functools.partial(self._analysis, buffer, text))
                buffer.learn(analysis, text, files)
        return buffer.analysis

    def _analysis(self, buffer: Buffer, text: str) -> Analysis | None:
        if not is_workflow(text, buffer.path or buffer.uri, buffer.language, buffer.is_workflow):
            return None
        analysis = Analysis(text, buffer.path or "-", self._encoding())
        _ = analysis.located  # here, so that no request has to wait for it in the server's own thread
        return analysis

    def close(self) -> None:
        """Let the thread end."""
        self._pool.shutdown(wait=False, cancel_futures=True)
