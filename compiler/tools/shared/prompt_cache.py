"""The text that the prompt cache sends before a prompt."""

from __future__ import annotations

from ...ir.workflow import SourceIR, SourceNode


def chunks_of(ir: SourceIR) -> dict[str, str]:
    """The chunks of a workflow's cache: name -> the template of what is sent for it."""
    return {chunk.name: f"{chunk.prose_before}${{{chunk.var}}}" for chunk in ir.chunks}


def cached_texts(ir: SourceIR, node: SourceNode) -> list[str]:
    """The templates of what is sent before the prompt of `node`, in the order of the cache."""
    return [text for name, text in chunks_of(ir).items() if name in node.prompt_cache]
