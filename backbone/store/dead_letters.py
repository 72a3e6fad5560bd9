"""What could not be taken, kept with its reason until somebody replays it, drops it, or its time is over."""

from __future__ import annotations

from collections.abc import Sequence

import asyncpg

from backbone.model.events import DeadLetter
from backbone.store.queries import sql


async def record(connection: asyncpg.Connection | asyncpg.Pool, letters: Sequence[DeadLetter]) -> list[int]:
    rows = await connection.fetch(
        sql("incident/record dead letters"),
        [letter.source for letter in letters],
        [letter.position for letter in letters],
        [letter.project_id for letter in letters],
        [_text(letter.path) for letter in letters],
        [_text(letter.reason) for letter in letters],
        [letter.body for letter in letters],
    )
    return [row["id"] for row in rows]


def _text(value: str) -> str:
    """PostgreSQL's text carries every character but NUL, and no half of a surrogate pair."""
    return value.replace("\x00", "\N{REPLACEMENT CHARACTER}").encode(errors="replace").decode()
