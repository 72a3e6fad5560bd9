"""One dispatcher of many does the periodic work: the one that holds the lock. Losing it ends the work."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from backbone.store import exclusive
from backbone.store.database import Database

CHECK_EVERY = 0.5  # seconds
ANSWERS_WITHIN = 5.0  # seconds

log = logging.getLogger(__name__)


async def lead(database: Database, work: Callable[[], Awaitable[None]]) -> None:
    """Wait for leadership, then do `work` for as long as it lasts. Raises when the lock's connection is lost."""
    async with database.lane(durable=False) as connection:
        await exclusive.acquire(connection, "dispatcher")
        log.info("leads the periodic work")
        working = asyncio.ensure_future(work())
        try:
            while not working.done():
                # The lock lives as long as its session does; this notices when it does not.
                async with asyncio.timeout(ANSWERS_WITHIN):
                    await connection.fetchval("SELECT 1")
                await asyncio.wait([working], timeout=CHECK_EVERY)
            await working
        finally:
            working.cancel()
            await asyncio.wait([working])
