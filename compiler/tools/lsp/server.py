"""The language server on the protocol. What it answers is worked out in the modules beside this one.

Texts come whole with every change: pygls splits lines at characters that the protocol does not (U+2028 among them),
so partial edits would be put in the wrong place.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import traceback
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from lsprotocol import types
from pygls.lsp.server import LanguageServer
from pygls.uris import to_fs_path

from ... import __version__
from ...diagnostics.diagnostic import Severity
from ...ir.lowered import MODULE
from . import occurrences
from .analysis import Analysis
from .buffers import PAUSE, Buffer, Worker
from .fixes import fix_of
from .generated_code import Generated, Shelf, generated_class
from .hover import hover
from .messages import diagnostic, place_at, range_at
from .text import Place

SHOW = "pflow-lower.showGeneratedCode"
"""The command behind the code lens: the document's URI and a node's id -> the class, as text and as a file."""


class _Protocol(LanguageServer):
    def report_server_error(self, error: Exception, source: Any) -> None:
        """What goes wrong outside of a request is logged, not shown over what the user is typing."""
        self.window_log_message(types.LogMessageParams(types.MessageType.Error, f"pflow-lower: {error}"))


class Server:
    """The open buffers and the answers about them."""

    def __init__(self) -> None:
        self.protocol = _Protocol(
            "pflow-lower", __version__, text_document_sync_kind=types.TextDocumentSyncKind.Full, max_workers=2
        )
        self._buffers: dict[str, Buffer] = {}
        self._worker = Worker(self._encoding)
        self._shelf = Shelf()
        self._register()

    def start(self) -> None:
        """Serve on standard input and output until the client says goodbye."""
        threading.stack_size(16 * 1024 * 1024)  # deep documents, in threads that some systems give 512 KiB
        channel = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # a print of anybody's must not end up between messages
        try:
            self.protocol.start_io(stdout=channel)
        finally:
            self._worker.close()
            self._shelf.clear()

    def _register(self) -> None:
        feature = self.protocol.feature
        feature(types.TEXT_DOCUMENT_DID_OPEN)(self._notified(self.opened))
        feature(types.TEXT_DOCUMENT_DID_CHANGE)(self._notified(self.changed))
        feature(types.TEXT_DOCUMENT_DID_CLOSE)(self._notified(self.closed))
        feature(types.TEXT_DOCUMENT_DID_SAVE)(self._notified(self.files_changed))
        feature(types.WORKSPACE_DID_CHANGE_WATCHED_FILES)(self._notified(self.files_changed))
        feature(types.TEXT_DOCUMENT_HOVER)(self._asked(self.hover))
        feature(types.TEXT_DOCUMENT_DEFINITION)(self._asked(self.definition))
        feature(types.TEXT_DOCUMENT_REFERENCES)(self._asked(self.references))
        feature(types.TEXT_DOCUMENT_CODE_LENS, types.CodeLensOptions(resolve_provider=False))(self._asked(self.lenses))
        kinds = types.CodeActionOptions([types.CodeActionKind.QuickFix, types.CodeActionKind.Source])
        feature(types.TEXT_DOCUMENT_CODE_ACTION, kinds)(self._asked(self.actions))

        @self.protocol.command(SHOW)
        async def show(*arguments: Any) -> Any:
            return await self._guarded(self.show, *arguments)

    # --- Buffers

    def opened(self, params: types.DidOpenTextDocumentParams) -> None:
        """A buffer was opened."""
        item = params.text_document
        buffer = Buffer(item.uri, to_fs_path(item.uri) or "", item.language_id, item.text, item.version)
        self._buffers[item.uri] = buffer
        self._look(buffer, pause=0)

    def changed(self, params: types.DidChangeTextDocumentParams) -> None:
        """A buffer was edited; its text comes whole."""
        buffer = self._buffers.get(params.text_document.uri)
        if buffer is not None:
            buffer.text = self.protocol.workspace.get_text_document(buffer.uri).source
            buffer.version = params.text_document.version
            self._look(buffer)

    def closed(self, params: types.DidCloseTextDocumentParams) -> None:
        """A buffer was closed: its findings go with it."""
        buffer = self._buffers.pop(params.text_document.uri, None)
        if buffer is not None:
            if buffer.task is not None:
                buffer.task.cancel()
            self._publish(buffer, None)

    def files_changed(self, params: object) -> None:
        """A file was written: one that a workflow refers to, perhaps, or a table of node types."""
        for buffer in self._buffers.values():
            buffer.files += 1
            self._look(buffer)

    def _look(self, buffer: Buffer, pause: float = PAUSE) -> None:
        """Work out the findings once nothing has changed for `pause` seconds."""

        async def look() -> None:
            await asyncio.sleep(pause)
            analysis = await self._worker.analyse(buffer)
            if self._buffers.get(buffer.uri) is buffer:
                self._publish(buffer, analysis)

        if buffer.task is not None:
            buffer.task.cancel()
        buffer.task = asyncio.ensure_future(self._guarded(look))

    def _publish(self, buffer: Buffer, analysis: Analysis | None) -> None:
        found = [] if analysis is None else [diagnostic(analysis, *located) for located in analysis.located]
        if analysis is not None and analysis.given is not buffer.text:
            return  # edited in the meantime: the next look is on its way
        self.protocol.text_document_publish_diagnostics(
            types.PublishDiagnosticsParams(buffer.uri, found, version=buffer.version)
        )

    # --- Answers

    async def hover(self, params: types.HoverParams) -> types.Hover | None:
        """What stands under the cursor."""
        known = await self._known(params)
        if known is None:
            return None
        buffer, analysis, offset = known
        shown = hover(analysis, offset)
        if shown is None:
            return None
        return types.Hover(types.MarkupContent(types.MarkupKind.Markdown, shown[0]), self._range(buffer, shown[1]))

    async def definition(self, params: types.DefinitionParams) -> types.Location | None:
        """Where the name under the cursor is declared."""
        known = await self._known(params)
        if known is None:
            return None
        buffer, analysis, offset = known
        found = occurrences.at(analysis.occurrences, offset)
        declared = analysis.names.declaration(found.symbol) if found is not None and analysis.names else None
        place = self._range(buffer, declared)
        return types.Location(buffer.uri, place) if place is not None else None

    async def references(self, params: types.ReferenceParams) -> list[types.Location]:
        """Every place that names what the cursor is on."""
        known = await self._known(params)
        if known is None:
            return []
        buffer, analysis, offset = known
        found = occurrences.at(analysis.occurrences, offset)
        if found is None or analysis.names is None:
            return []
        declared = analysis.names.declaration(found.symbol)
        places = [one.root for one in analysis.occurrences if one.symbol == found.symbol]
        if not params.context.include_declaration:
            places = [place for place in places if place != declared]
        ranges = [self._range(buffer, place) for place in dict.fromkeys(places)]
        return [types.Location(buffer.uri, place) for place in ranges if place is not None]

    async def lenses(self, params: types.CodeLensParams) -> list[types.CodeLens]:
        """A lens on each batch node."""
        buffer = self._buffers.get(params.text_document.uri)
        analysis = await self._worker.analyse(buffer) if buffer is not None else None
        if buffer is None or analysis is None:
            return []
        lenses = []
        for node, place in buffer.batches():
            command = types.Command("show generated code", SHOW, arguments=[buffer.uri, node])
            lenses.append(types.CodeLens(range_at(analysis.text, place), command))
        return lenses

    async def actions(self, params: types.CodeActionParams) -> list[types.CodeAction]:
        """The edits that findings in the range suggest, and the generated code of a batch node in it."""
        buffer = self._buffers.get(params.text_document.uri)
        analysis = await self._worker.analyse(buffer) if buffer is not None else None
        if buffer is None or analysis is None:
            return []
        asked = place_at(analysis.text, params.range)
        actions = []
        for finding, place in analysis.located:
            fix = fix_of(finding, place, analysis.text.text)
            if fix is None or place.end < asked.start or asked.end < place.start:
                continue
            edit = types.TextEdit(range_at(analysis.text, fix.place), fix.text)
            action = types.CodeAction(fix.title, kind=types.CodeActionKind.QuickFix, is_preferred=True)
            action.edit = types.WorkspaceEdit(changes={buffer.uri: [edit]})
            action.diagnostics = [diagnostic(analysis, finding, place)]
            actions.append(action)
        for node, _ in buffer.batches(asked):
            command = types.Command("show generated code", SHOW, arguments=[buffer.uri, node])
            title = f"Show the generated code of `{node}`"
            actions.append(types.CodeAction(title, kind=types.CodeActionKind.Source, command=command))
        only = tuple(str(getattr(kind, "value", kind)) for kind in params.context.only or ())
        return [action for action in actions if not only or str(getattr(action.kind, "value", "")).startswith(only)]

    async def show(self, uri: str, node: str) -> dict[str, Any] | None:
        """The generated class of a batch node, as data; an editor that can is asked to open its module."""
        buffer = self._buffers.get(uri)
        analysis = await self._worker.analyse(buffer) if buffer is not None else None
        made = await self._worker.run(lambda: generated_class(analysis, node)) if analysis is not None else None
        if made is None:
            errors = (
                [finding for finding in analysis.findings if finding.severity is Severity.ERROR] if analysis else []
            )
            reason = f": {errors[0].message}" if errors else ""
            message = f"pflow-lower: there is no generated code of `{node}`{reason}"
            self.protocol.window_show_message(types.ShowMessageParams(types.MessageType.Warning, message))
            return None
        file = self._shelf.put(uri, f"{MODULE}.py", made.module)
        return {
            "node": node,
            "class": made.batch.class_name,
            "language": "python",
            "code": made.code,
            "uri": file.as_uri(),
            "shown": await self._shown(file, made),
        }

    async def _shown(self, file: Path, made: Generated) -> bool:
        """Ask the client to open the file at the class. Returns whether it did."""
        window = self.protocol.client_capabilities.window
        if window is None or window.show_document is None or not window.show_document.support:
            return False
        start = types.Position(made.first - 1, 0)
        params = types.ShowDocumentParams(file.as_uri(), take_focus=True, selection=types.Range(start, start))
        return (await self.protocol.window_show_document_async(params)).success

    # --- What the answers have in common

    async def _known(self, params: Any) -> tuple[Buffer, Analysis, int] | None:
        """What is known of the buffer under a cursor, and the cursor's offset in the text that is known."""
        buffer = self._buffers.get(params.text_document.uri)
        analysis = await self._worker.analyse(buffer) if buffer is not None else None
        known = buffer.known() if buffer is not None else None
        if buffer is None or analysis is None or known is None:
            return None
        offset = known[1].back(analysis.text.offset(params.position.line, params.position.character))
        return (buffer, known[0], offset) if offset is not None else None

    def _range(self, buffer: Buffer, place: Place | None) -> types.Range | None:
        """The range in the present text of a place in the last one that could be read."""
        now = buffer.now(place)
        return range_at(buffer.analysis.text, now) if now is not None and buffer.analysis is not None else None

    def _encoding(self) -> str:
        """What client and server have agreed to count characters in."""
        found = self.protocol.workspace.position_encoding or types.PositionEncodingKind.Utf16
        return str(getattr(found, "value", found))

    def _notified(self, handler: Callable[[Any], None]) -> Callable[[Any], None]:
        def notified(params: Any) -> None:
            try:
                handler(params)
            except Exception:  # noqa: BLE001  a server that ends over one message takes the editor's help with it
                self._log()

        return notified

    def _asked(self, handler: Callable[[Any], Awaitable[Any]]) -> Callable[[Any], Awaitable[Any]]:
        async def asked(params: Any) -> Any:
            return await self._guarded(handler, params)

        return asked

    async def _guarded(self, work: Callable[..., Awaitable[Any]], *arguments: Any) -> Any:
        """What `work` gives; None, and a line in the client's log, if it fails."""
        try:
            return await work(*arguments)
        except Exception:  # noqa: BLE001  whatever it is, the editor goes on without this one answer
            self._log()
            return None

    def _log(self) -> None:
        text = f"pflow-lower: please report this error\n{traceback.format_exc()}"
        self.protocol.window_log_message(types.LogMessageParams(types.MessageType.Error, text))


def start() -> None:
    """Run the server on standard input and output."""
    Server().start()
