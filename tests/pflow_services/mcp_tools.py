"""An MCP server on standard input and output, with tools that work, refuse, and say that they failed."""

from __future__ import annotations

from typing import Any

from mcp.server.fastmcp import FastMCP

server = FastMCP("tools")


@server.tool()
def echo(text: str, times: int = 1) -> dict[str, Any]:
    """Say it again."""
    return {"said": text * times, "n": times}


@server.tool()
def refuse(text: str) -> str:
    """Refuse what starts with b."""
    if text.startswith("b"):
        raise ValueError(f"no {text}")
    return f"ok {text}"


@server.tool()
def flag(text: str) -> dict[str, Any]:
    """Say of what starts with b that it failed."""
    return {"status": "error", "error": f"flagged {text}"} if text.startswith("b") else {"status": "ok"}


if __name__ == "__main__":
    server.run()
