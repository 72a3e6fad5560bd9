"""Stage 1: what the log gives. What in it cannot be read goes to the dead letters and blocks nothing."""

from __future__ import annotations

from collections.abc import Sequence

import asyncpg

from backbone.model.events import DeadLetter
from backbone.store import dead_letters


async def set_aside(connection: asyncpg.Connection, rejects: Sequence[DeadLetter]) -> None:
    if rejects:
        await dead_letters.record(connection, rejects)
