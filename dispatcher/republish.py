"""What a queue elsewhere confirmed and then lost is published again: no broker is trusted with the only copy.

Only waiting is not being lost: agents may be slow, or none may be up. So nothing is published again as long as the
queue has as many items as we believe it to have. What is published twice nevertheless is given to one agent once.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta

from backbone.kit import metrics
from backbone.ports import WorkQueue
from backbone.store.database import Database
from backbone.store.queries import sql
from backbone.store.wakeups import PENDING, Wakeups

AFTER = timedelta(seconds=60)
"""How long an item may be with neither the queue nor an agent."""

log = logging.getLogger(__name__)


def lost(published: int, overdue: int, depth: int) -> int:
    """How many items of a service the queue has lost, at most: of `published` ones it has `depth`, and `overdue` are
    older than the ones that may just be on their way. Pure."""
    return max(0, min(overdue, published - depth))


async def run(database: Database, work_queue: WorkQueue, wakeups: Wakeups, after: timedelta) -> None:
    async with database.lane(durable=False) as connection:
        while True:
            await asyncio.sleep(after.total_seconds() / 4)
            rows = await connection.fetch(sql("work/published"), after)
            if not any(row["overdue"] for row in rows):
                continue
            depth = await work_queue.depth()
            for service_id, items, overdue in rows:
                count = lost(items, overdue, depth.get(service_id, 0))
                if count:
                    again = await connection.fetch(sql("work/publish again"), service_id, count, after)
                    metrics.executions_republished.inc(len(again))
                    log.warning(
                        "the queue lost items, publishing them again",
                        extra={"service_id": service_id, "executions": len(again)},
                    )
                    wakeups.wake([PENDING])
