"""What is recorded and waits for its time goes to the queue: retries, reruns, what was given back, and first attempts
where the queue is not in the store's own database.

A row stays among the pending until the queue confirmed it, so this loop is also the sweep for what was recorded and
never confirmed.
"""

from __future__ import annotations

from backbone.kit import metrics
from backbone.ports import WorkQueue
from backbone.store import executions
from backbone.store.database import Database
from backbone.store.queries import sql
from backbone.store.wakeups import LOOK_ANYWAY, PENDING, Wakeups

BATCH = 500


async def run(database: Database, work_queue: WorkQueue, wakeups: Wakeups) -> None:
    signal = wakeups.watch(PENDING)
    async with database.lane() as connection:
        while True:
            signal.clear()
            items = await executions.due(connection, BATCH)
            if not items:
                next_due = await connection.fetchval(sql("work/next due"))
                await wakeups.wait(signal, min(max(next_due or LOOK_ANYWAY, 0.001), LOOK_ANYWAY))
                continue
            if not work_queue.in_store:
                await work_queue.put(items)
            await executions.confirm(connection, items, queue_too=work_queue.in_store)
            work_queue.announce({item.service_id for item in items})
            metrics.executions_enqueued.inc(len(items))
