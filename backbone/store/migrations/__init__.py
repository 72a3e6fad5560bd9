"""Forward migrations, applied at start, one process at a time.

A file `NNNN_name.sql` is applied once, in order, in a transaction of its own. There is no way back: what is wrong is
mended by the next one. A database that is newer than this code is refused.
"""

from __future__ import annotations

import logging
from importlib import resources
from importlib.resources.abc import Traversable

import asyncpg

from backbone.model.errors import Unavailable
from backbone.store import partitions

_LOCK = 0x7472_6967  # "trig": any number that only we use

log = logging.getLogger(__name__)


async def migrate(dsn: str) -> list[str]:
    """Bring the database to the newest form; return the names of what was applied. Safe to call from many processes."""
    connection = await asyncpg.connect(dsn)
    try:
        # A session lock and not a transaction's: each file is a transaction of its own.
        await connection.execute("SELECT pg_advisory_lock($1)", _LOCK)
        applied = await _apply(connection)
        await partitions.ensure(connection)
        return applied
    finally:
        await connection.close()


def known() -> dict[str, Traversable]:
    """What this code brings: the file of each name."""
    return {
        file.name.removesuffix(".sql"): file
        for file in resources.files(__package__).iterdir()
        if file.name.endswith(".sql")
    }


async def _apply(connection: asyncpg.Connection) -> list[str]:
    await connection.execute(
        "CREATE TABLE IF NOT EXISTS migration (name text PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())"
    )
    done = {row["name"] for row in await connection.fetch("SELECT name FROM migration")}
    files = known()
    if done - files.keys():
        raise Unavailable("database", f"it was migrated by a newer version: {', '.join(sorted(done - files.keys()))}")
    applied = []
    for name in sorted(files.keys() - done):
        async with connection.transaction():
            await connection.execute(files[name].read_text())
            await connection.execute("INSERT INTO migration (name) VALUES ($1)", name)
        log.info("database migrated", extra={"migration": name})
        applied.append(name)
    return applied
