"""Freeing claims, a step after the other until all that were asked for are free."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from launcher.cli.engine import Document, Engine


async def free(engine: Engine, asked: Document) -> tuple[int, int]:
    """How many were freed, and of how many it could not be known."""
    freed = unknown = 0
    while True:
        answer = await engine.post("/claims/reset", asked)
        freed, unknown = freed + answer["freed"], unknown + answer["unknown"]
        if answer["next"] is None:
            return freed, unknown
        asked = {**asked, "after": answer["next"], "reset": answer["id"]}
