"""The past goes by the day, and days to come are made."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from backbone.kit import metrics
from backbone.ports import WorkQueue
from backbone.store import cron, partitions
from backbone.store.database import Database
from backbone.store.queries import sql

EVERY = timedelta(hours=1)
MEASURE_EVERY = timedelta(seconds=5)


async def run(database: Database, retention: timedelta, log_in_store: bool) -> None:
    """`retention`: how long events, executions and their logs are kept. Claims are kept for ever: Once means once."""
    async with database.lane(durable=False) as connection:
        while True:
            await partitions.ensure(connection)
            oldest = (datetime.now(UTC) - retention).date()
            await partitions.drop_before(connection, oldest, log_in_store=log_in_store)
            await connection.execute(sql("incident/prune dead letters"), retention)
            await connection.execute(sql("incident/prune stopped"), retention)
            await connection.execute(sql("incident/prune incidents"), retention)
            await connection.execute(sql("incident/prune parts"))
            await cron.prune_missed(connection, retention)
            await asyncio.sleep(EVERY.total_seconds())


async def measure(database: Database, work_queue: WorkQueue) -> None:
    """What nobody can count as it happens: how much waits, and how far back the log's horizon is held."""
    shown: set[str] = set()
    while True:
        depth = await work_queue.depth()
        for service_id in shown | depth.keys():
            metrics.queue_depth.labels(service_id).set(depth.get(service_id, 0))
        shown |= depth.keys()
        metrics.horizon_age.set(await database.pool.fetchval(sql("work/horizon age")))
        await asyncio.sleep(MEASURE_EVERY.total_seconds())
