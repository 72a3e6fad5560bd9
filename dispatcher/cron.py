"""The clock: the leader looks which Cron triggers are due, and makes their fires.

What is due stands in PostgreSQL, found by an index, so a look costs the same for ten triggers and ten thousand. Killed
at any point, the next leader finds a fire made whole or not at all. The clock is handed in.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime

import asyncpg

from backbone.kit import metrics
from backbone.model.fires import Turn
from backbone.ports import WorkQueue
from backbone.store import cron, definitions
from backbone.store.database import Database
from backbone.store.wakeups import LOOK_ANYWAY, PENDING, Wakeups
from dispatcher import fires

BATCH = 1_000
"""Triggers whose fires are made in one transaction."""

Clock = Callable[[], datetime]

log = logging.getLogger(__name__)


def utc_now() -> datetime:
    return datetime.now(UTC)


async def run(database: Database, work_queue: WorkQueue, wakeups: Wakeups, clock: Clock = utc_now) -> None:
    changed = wakeups.watch(definitions.TRIGGERS_CHANNEL)
    looked: datetime | None = None
    async with database.lane(durable=False) as connection:
        while True:
            changed.clear()
            now = clock()
            if looked is None or now < looked:
                await _realign(connection, now)
            looked = now
            if await tick(connection, work_queue, wakeups, now) < BATCH:
                to_next = await cron.seconds_to_next(connection, clock())
                await wakeups.wait(changed, min(max(to_next or LOOK_ANYWAY, 0.001), LOOK_ANYWAY))


async def tick(connection: asyncpg.Connection, work_queue: WorkQueue, wakeups: Wakeups, now: datetime) -> int:
    """Make what is due at `now`; return how many triggers were looked at, at most `BATCH`."""
    due = await cron.due(connection, now, BATCH)
    if due:
        # After a long downtime there is much to reckon: beside the loop, which has a lock to keep.
        turns = await asyncio.to_thread(fires.decide, due, now)
        made = await cron.carry_out(connection, turns, queue_too=work_queue.in_store)
        _tell(work_queue, wakeups, made)
        _count(turns, sum(made.values()), now)
    if await cron.release(connection):
        wakeups.wake([PENDING])
    return len(due)


async def _realign(connection: asyncpg.Connection, now: datetime) -> None:
    if brought_back := await cron.realign(connection, now, BATCH):
        log.warning("the clock was ahead: schedules brought back", extra={"triggers": brought_back})


def _tell(work_queue: WorkQueue, wakeups: Wakeups, service_ids: Collection[str]) -> None:
    if not work_queue.in_store:
        wakeups.wake([PENDING])
    elif service_ids:
        work_queue.announce(service_ids)


def _count(turns: Sequence[Turn], made: int, now: datetime) -> None:
    metrics.cron_fires.inc(made)
    metrics.observe(metrics.cron_lateness, ((now - fire).total_seconds() for turn in turns for fire in turn.fires))
    missed: Counter[str] = Counter()
    for turn in turns:
        for one in turn.missed:
            missed[one.reason.value] += one.fires
    for reason, count in missed.items():
        metrics.cron_missed.labels(reason).inc(count)
        if reason == "downtime":
            log.warning("fires of Cron triggers were missed while nobody was there", extra={"fires": count})
