"""One at a time: a lock that lives and dies with its connection."""

from __future__ import annotations

import asyncio

import asyncpg

from backbone.store.queries import sql

RETRY = 0.5  # seconds


async def acquire(connection: asyncpg.Connection, name: str) -> None:
    """Wait until this connection alone holds `name`; it is freed when the connection ends, however it ends.

    Asked again and again instead of waited for: a waiting statement keeps a snapshot, and an old snapshot keeps
    dead rows alive in every table that lives by insert and delete.
    """
    while not await connection.fetchval(sql("work/try lock"), name):
        await asyncio.sleep(RETRY)
