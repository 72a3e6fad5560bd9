"""One dispatcher of many does the periodic work: the one that holds the lock. Losing it ends the work at once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from backbone.store import exclusive
from backbone.store.database import Database

CHECK_EVERY = 1.0  # seconds

log = logging.getLogger(__name__)


async def lead(database: Database, work: Callable[[], Awaitable[None]]) -> None:
    """Wait for leadership, then do `work` for as long as it lasts. Raises when the lock's connection is lost."""
    async with database.lane(durable=False) as connection:
        await exclusive.acquire(connection, "dispatcher")
        log.info("leads the periodic work")
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_until_cancelled(work))
            while True:
                await asyncio.sleep(CHECK_EVERY)
                # The lock lives as long as its session does; this notices when it does not.
                await asyncio.wait_for(connection.fetchval("SELECT 1"), 5)


async def _until_cancelled(work: Callable[[], Awaitable[None]]) -> None:
    await work()
