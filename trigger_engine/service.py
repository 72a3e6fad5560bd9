"""The engine's process: three loops, one that carries batches, one that follows the triggers, one that looks at what
may be a loop."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from functools import partial

from backbone.kit import pace
from backbone.kit.loops import Health, keep
from backbone.ports import EventLog, WorkQueue
from backbone.store.database import Database
from backbone.store.signing import SigningKey
from backbone.store.wakeups import Wakeups
from trigger_engine import guard
from trigger_engine.live_triggers import LOOP, LiveTriggers
from trigger_engine.patrol import Patrol
from trigger_engine.pipeline import Pipeline

BATCH = 300
"""Events carried at a time: at 300 the cost of the round trips is gone, and the first event waits for few others."""


async def run(
    database: Database,
    wakeups: Wakeups,
    event_log: EventLog,
    work_queue: WorkQueue,
    health: Health,
    limits: guard.Limits,
    *,
    keeps_all: bool = False,
) -> None:
    """Until cancelled."""
    key = await SigningKey(database).get()
    pipeline = Pipeline(event_log, work_queue, wakeups, key, limits, keeps_all=keeps_all)
    triggers = LiveTriggers(pipeline.index)
    patrol = Patrol(pipeline, wakeups)
    async with database.lane(durable=False) as connection:
        # Not one event before the triggers are known: it would be taken to match none of them.
        await triggers.load(connection, health)
        await patrol.learn(connection)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(keep(LOOP, partial(triggers.follow, database, wakeups), health))
        tasks.create_task(keep("guard", partial(patrol.run, database), health))
        tasks.create_task(keep("match", partial(_carry, pipeline, database), health))


async def _carry(pipeline: Pipeline, database: Database) -> None:
    log = pipeline.event_log
    # A position elsewhere survives a crash of the database, so what it stands for must survive it too. The log is let
    # go of here and now, whatever ends us: the next reader waits for it.
    async with database.lane(durable=not log.in_store) as connection, aclosing(log.read(BATCH)) as batches:
        async for batch in batches:
            await pipeline.carry(batch, connection)
            if len(batch.records) < BATCH:
                await pace.pause_after(len(batch.records))
