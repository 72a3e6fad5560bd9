"""What is recorded and waits for its time goes to the queue: retries, reruns, what was given back, and first attempts
where the queue is not in the store's own database.

Such a queue elsewhere gets no more than `queue_limit` items of a service; the rest waits here, oldest first.
A row stays among the pending until the queue confirmed it, and where the queue is elsewhere until an agent has it, so
that what a broker confirmed and lost can be published again (`republish`).
"""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import Collection, Mapping
from datetime import timedelta

import asyncpg

from backbone.kit import metrics
from backbone.ports import WorkQueue
from backbone.store import executions
from backbone.store.database import Database
from backbone.store.queries import sql
from backbone.store.wakeups import LOOK_ANYWAY, PENDING, Wakeups

BATCH = 500
LOOK_FOR_ROOM = 0.1  # seconds between two looks at how much of a full service has been taken
QUEUE_LIMIT = 10_000
"""Items of one service in a queue elsewhere: seconds of work for its agents, and little for any broker."""


def rooms(due_in: Mapping[str, float], published: Mapping[str, int], limit: int, batch: int) -> dict[str, int]:
    """How many of each service may be put in the queue now. Pure. The services share the batch, so that one with a
    hundred thousand waiting does not keep another's one waiting."""
    free = {service: limit - published.get(service, 0) for service, seconds in due_in.items() if seconds <= 0}
    with_room = {service: room for service, room in free.items() if room > 0}
    share = max(1, batch // max(1, len(with_room)))
    return {service: min(room, share) for service, room in with_room.items()}


class _Published:
    """How many items of each service a queue elsewhere has: asked now and then, with what we have put since added.
    Agents only make it fewer, so the count is never too small."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._asked = -math.inf

    async def look(self, connection: asyncpg.Connection) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._asked >= LOOK_FOR_ROOM:
            self._asked = now
            rows = await connection.fetch(sql("work/published"), timedelta())
            self.counts = Counter({row["service_id"]: row["items"] for row in rows})


async def run(database: Database, work_queue: WorkQueue, wakeups: Wakeups, queue_limit: int = QUEUE_LIMIT) -> None:
    signal = wakeups.watch(PENDING)
    published = _Published()
    served: Collection[str] = ()
    woken = False
    async with database.lane(hashes=True) as connection:
        while True:
            signal.clear()
            # More comes where something came last: it is not kept waiting for a look at all services, which is next.
            likely = rooms(dict.fromkeys(served, 0.0), published.counts, queue_limit, BATCH) if woken else {}
            woken = False
            items = await executions.due(connection, likely) if likely else []
            if not items:
                due_in = {row["service_id"]: row["due_in"] for row in await connection.fetch(sql("work/waiting"))}
                if not work_queue.in_store:
                    await published.look(connection)
                room = rooms(due_in, published.counts, queue_limit, BATCH)
                if not room:
                    await wakeups.wait(signal, _pause(due_in))
                    woken = True
                    continue
                served = room.keys()
                items = await executions.due(connection, room)
            if not work_queue.in_store:
                published.counts.update(item.service_id for item in items)
                await work_queue.put(items)
            await executions.confirm(connection, items, queue_too=work_queue.in_store)
            work_queue.announce({item.service_id for item in items})
            metrics.executions_enqueued.inc(len(items))


def _pause(due_in: Mapping[str, float]) -> float:
    """Until the first is due; a service that is full has some that are due already, and room is looked for."""
    if any(seconds <= 0 for seconds in due_in.values()):
        return LOOK_FOR_ROOM
    return min(max(min(due_in.values(), default=LOOK_ANYWAY), 0.001), LOOK_ANYWAY)
