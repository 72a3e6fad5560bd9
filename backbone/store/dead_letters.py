"""What could not be taken, kept with its reason until somebody replays it, drops it, or its time is over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import asyncpg

from backbone.model.errors import NotFound
from backbone.model.events import DeadLetter
from backbone.store.columns import optional_text, text
from backbone.store.queries import sql

NEWEST = 2**63 - 1
"""Smaller than no id: where a list begins."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptLetter:
    id: int
    at: datetime
    source: str
    position: str
    project_id: str | None
    path: str
    reason: str
    size: int
    body: bytes | None = None  #: not in lists


async def record(connection: asyncpg.Connection | asyncpg.Pool, letters: Sequence[DeadLetter]) -> list[int]:
    rows = await connection.fetch(
        sql("incident/record dead letters"),
        [letter.source for letter in letters],
        [letter.position for letter in letters],
        [optional_text(letter.project_id) for letter in letters],
        [text(letter.path) for letter in letters],
        [text(letter.reason) for letter in letters],
        [letter.body for letter in letters],
    )
    return [row["id"] for row in rows]


async def before(connection: asyncpg.Connection | asyncpg.Pool, letter_id: int, limit: int) -> list[KeptLetter]:
    """Newest first."""
    rows = await connection.fetch(sql("incident/list dead letters"), letter_id, limit)
    return [KeptLetter(**dict(row)) for row in rows]


async def get(connection: asyncpg.Connection | asyncpg.Pool, letter_id: int) -> KeptLetter:
    row = await connection.fetchrow(sql("incident/get dead letter"), letter_id)
    if row is None:
        raise NotFound("dead letter", str(letter_id))
    return KeptLetter(**dict(row))


async def drop(connection: asyncpg.Connection | asyncpg.Pool, letter_id: int) -> None:
    if await connection.fetchval(sql("incident/drop dead letters"), [letter_id]) is None:
        raise NotFound("dead letter", str(letter_id))
