"""The dispatcher's process. Every dispatcher settles what its driver gives it; the leader also enqueues what is due,
makes the fires of Cron triggers, rescues what was lost, and prunes."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial

from backbone.kit.loops import Health, keep
from backbone.ports import Reports, WorkQueue
from backbone.store.database import Database
from backbone.store.wakeups import Wakeups
from dispatcher import cron, enqueue, leader, prune, republish, rescue, settle
from dispatcher.retry import RetryPolicy

EARS = frozenset({"settle", "answers"})
"""The loops by which agents are heard: of their reports, and of their questions where they have no database to tell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DispatcherSettings:
    lease: timedelta
    retention: timedelta
    queue_limit: int = enqueue.QUEUE_LIMIT
    republish_after: timedelta = republish.AFTER
    retry: RetryPolicy = field(default_factory=RetryPolicy)


async def run(
    database: Database,
    wakeups: Wakeups,
    work_queue: WorkQueue,
    reports: Reports,
    health: Health,
    settings: DispatcherSettings,
) -> None:
    """Until cancelled."""

    async def lead() -> None:
        async with asyncio.TaskGroup() as periodic:
            enqueueing = partial(enqueue.run, database, work_queue, wakeups, settings.queue_limit)
            periodic.create_task(keep("enqueue", enqueueing, health))
            if not work_queue.in_store:
                republishing = partial(republish.run, database, work_queue, wakeups, settings.republish_after)
                periodic.create_task(keep("republish", republishing, health))
            periodic.create_task(keep("cron", partial(cron.run, database, work_queue, wakeups), health))
            rescuing = partial(rescue.run, database, wakeups, settings.lease, lambda: not EARS & health.wrong.keys())
            periodic.create_task(keep("rescue", rescuing, health))
            # The log is in the store where the queue is: a profile has both there, or neither.
            pruning = partial(prune.run, database, settings.retention, work_queue.in_store)
            periodic.create_task(keep("prune", pruning, health))
            periodic.create_task(keep("measure", partial(prune.measure, database, work_queue), health))

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(keep("settle", partial(settle.run, database, reports, wakeups, settings.retry), health))
        tasks.create_task(keep("lead", partial(leader.lead, database, lead), health))
