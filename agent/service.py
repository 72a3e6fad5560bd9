"""An agent: one process that takes executions of one service, has them run, and reports.

It takes as many as it has free slots and no more, so that what it cannot run now, another agent can. Told to end, it
stops taking, lets what it holds finish, and leaves in order.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from uuid import UUID, uuid4

from agent.functions import Loaded
from agent.process import FunctionProcess
from agent.report import Outbox
from agent.run import Executions
from backbone.kit import metrics
from backbone.kit.loops import Health, keep
from backbone.kit.pace import Pace
from backbone.ports import Reports, WorkQueue


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """`drain`: stop taking, and let what runs finish within the service's drain time. `soon`: within `grace`; what has
    not finished then is interrupted and runs again elsewhere."""

    drain: asyncio.Event
    soon: asyncio.Event
    grace: timedelta


TAKE_AT_MOST = 200
TAKE_INTERVAL = 0.004  # seconds between two takes that were not full
FIRST_PAUSE = 0.1  # seconds before a process that went away is started again
LONGEST_PAUSE = 10.0

log = logging.getLogger(__name__)


async def run(
    service_id: str,
    loaded: Loaded,
    work_queue: WorkQueue,
    reports: Reports,
    lease: timedelta,
    stop: Stop,
    on_ready: Callable[[], None],
) -> None:
    """Until told to stop, and what was taken is finished and reported. Raises LoadFailed when the first load fails."""
    session = uuid4()
    health = Health()
    outbox = Outbox(reports)
    executions = Executions(loaded.concurrency, loaded.rules, outbox)
    process = FunctionProcess(loaded.module, executions)
    await process.start()
    executions.adopt(process)
    try:
        await reports.beat(session, service_id, lease)
        on_ready()
        await _work(session, service_id, loaded, work_queue, reports, lease, stop, executions, outbox, health)
    finally:
        assert executions.process is not None
        await executions.process.stop(timedelta())
    await _leave(session, reports)
        background = [
            tasks.create_task(keep("report", outbox.run, health)),
            tasks.create_task(keep("beat", partial(_beat, session, service_id, lease, reports, executions), health)),
            tasks.create_task(keep("watch", executions.watch, health)),
            tasks.create_task(_restart(loaded, executions)),
        ]
        taking = tasks.create_task(keep("take", partial(_take, session, service_id, work_queue, executions), health))
        soon = await _told(stop)
        taking.cancel()
        executions.leave()
        if executions.process is not None:
            await executions.process.stop(stop.grace if soon else loaded.rules.drain_time)
        await outbox.drained()
        executions.count()
        for task in background:
            task.cancel()
    await reports.leave(session)


async def _told(stop: Stop) -> bool:
    """Wait for either; True when it is to be soon."""
    waiting = [asyncio.create_task(event.wait()) for event in (stop.drain, stop.soon)]
    try:
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in waiting:
            task.cancel()
        await asyncio.wait(waiting)
    return stop.soon.is_set()


async def _take(session: UUID, service_id: str, work_queue: WorkQueue, executions: Executions) -> None:
    pace = Pace(TAKE_INTERVAL)
    while True:
        executions.room.clear()
        if not executions.free:
            await executions.room.wait()
            continue
        items = await work_queue.take(service_id, session, min(executions.free, TAKE_AT_MOST))
        for item in items:
            executions.begin(item)
        metrics.executions_taken.inc(len(items))
        now = datetime.now(UTC).timestamp()
        metrics.observe(metrics.queue_age, [now - (item.execution_id.int >> 80) / 1000 for item in items])
        if len(items) < TAKE_AT_MOST:
            await pace.turn()


async def _beat(session: UUID, service_id: str, lease: timedelta, reports: Reports, executions: Executions) -> None:
    pause = min(lease.total_seconds() / 5, 1.0)
    while True:
        executions.terminate(set(await reports.beat(session, service_id, lease)))
        await asyncio.sleep(pause)


async def _restart(loaded: Loaded, executions: Executions) -> None:
    """A process that went away is started again; what it held has been reported by then."""
    pause = FIRST_PAUSE
    while True:
        await executions.gone.wait()
        log.warning("the functions' process is gone, starting another", extra={"reason": executions.reason_gone})
        await asyncio.sleep(pause)
        process = FunctionProcess(loaded.module, executions)
        try:
            await process.start()
        except Exception as error:
            log.error("the functions' process does not start", extra={"reason": str(error)})
            pause = min(pause * 2, LONGEST_PAUSE)
            continue
        pause = FIRST_PAUSE
        executions.adopt(process)
