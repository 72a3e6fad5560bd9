"""The embedded profile's drivers: all of them in PostgreSQL, beside the store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from backbone.drivers.event_log.postgres import PostgresEventLog
from backbone.drivers.reports.postgres import PostgresReports
from backbone.drivers.work_queue.postgres import PostgresWorkQueue
from backbone.kit.loops import Health, keep
from backbone.ports import EventLog, Reports, WorkQueue
from backbone.store.database import Database
from backbone.store.wakeups import Wakeups
from launcher.settings import Settings

DEFAULT_PROJECT = "default"
"""Of events that name none."""


@dataclass(slots=True, kw_only=True)
class Parts:
    """What every role stands on."""

    database: Database
    wakeups: Wakeups
    event_log: EventLog
    work_queue: WorkQueue
    reports: Reports


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentParts:
    """What an agent stands on."""

    work_queue: WorkQueue
    reports: Reports


@asynccontextmanager
async def parts(settings: Settings, name: str, health: Health) -> AsyncIterator[Parts]:
    async with AsyncExitStack() as stack:
        database = await Database(settings.database, f"trigger-engine {name}").open()
        stack.push_async_callback(database.close)
        wakeups = Wakeups(database)
        event_log = PostgresEventLog(database, wakeups)
        work_queue = PostgresWorkQueue(database, wakeups)
        reports = PostgresReports(database, wakeups)
        for driver in (event_log, work_queue, reports):
            stack.push_async_callback(driver.close)
        listening = asyncio.create_task(keep("wakeups", wakeups.run, health))
        stack.push_async_callback(_end, listening)
        yield Parts(database=database, wakeups=wakeups, event_log=event_log, work_queue=work_queue, reports=reports)


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])
