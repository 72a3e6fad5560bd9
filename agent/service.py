"""An agent: one process that takes executions of one service, has them run, and reports.

It takes as many as it has free slots and no more, so that what it cannot run now, another agent can. Told to end, it
stops taking, lets what it holds finish, and leaves in order.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID, uuid4

from agent.functions import Loaded
from agent.process import FunctionProcess
from agent.report import Outbox
from agent.run import Executions
from backbone.kit import metrics, pace
from backbone.kit.loops import Health, keep
from backbone.model.messages import WorkItem
from backbone.ports import TAKEN_AT_ONCE, Reports, WorkQueue


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """`drain`: stop taking, and let what runs finish within the service's drain time. `soon`: within `grace`; what has
    not finished then is interrupted and runs again elsewhere."""

    drain: asyncio.Event
    soon: asyncio.Event
    grace: timedelta


FIRST_PAUSE = 0.1  # seconds before a process that went away is started again
LONGEST_PAUSE = 10.0
LAST_WORDS = 3.0  # seconds for what is still to be said when we go

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
        async with asyncio.TaskGroup() as tasks:
            saying = [
                tasks.create_task(keep("report", outbox.run, health)),
                tasks.create_task(
                    keep("beat", partial(_beat, session, service_id, lease, reports, executions, outbox), health)
                ),
                tasks.create_task(keep("watch", executions.watch, health)),
            ]
            beginning = [
                tasks.create_task(
                    keep("take", partial(_take, session, service_id, work_queue, lease, executions, outbox), health)
                ),
                tasks.create_task(_restart(loaded, executions)),
            ]
            await _told(stop)
            executions.leave()
            await _end(beginning)
            await work_queue.forgo(service_id)
            await _end_process(executions.process, loaded.rules.drain_time, stop)
            await _say_the_rest(outbox)
            executions.count()
            await _end(saying)
    finally:
        await executions.process.stop(timedelta())
    await _leave(reports, session)


async def _told(stop: Stop) -> None:
    """Wait for either."""
    waiting = [asyncio.create_task(event.wait()) for event in (stop.drain, stop.soon)]
    try:
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await _end(waiting)


async def _end(tasks: Sequence[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


async def _end_process(process: FunctionProcess, drain_time: timedelta, stop: Stop) -> None:
    """Who drains may still be told that it is to be soon."""

    async def hurry() -> None:
        await stop.soon.wait()
        await process.stop(stop.grace)

    async with asyncio.TaskGroup() as tasks:
        hurrying = tasks.create_task(hurry())
        await process.stop(drain_time)
        hurrying.cancel()


async def _say_the_rest(outbox: Outbox) -> None:
    try:
        async with asyncio.timeout(LAST_WORDS):
            await outbox.drained()
    except TimeoutError:
        log.error("nobody took the last reports; what they told is found out when the leases have run out")


async def _leave(reports: Reports, session: UUID) -> None:
    try:
        async with asyncio.timeout(LAST_WORDS):
            await reports.leave(session)
    except Exception as error:  # any: whatever keeps us from saying it, the leases run out by themselves
        log.warning("left without a word", extra={"reason": str(error) or type(error).__name__})


async def _take(
    session: UUID,
    service_id: str,
    work_queue: WorkQueue,
    lease: timedelta,
    executions: Executions,
    outbox: Outbox,
) -> None:
    clock = asyncio.get_running_loop().time
    while True:
        executions.room.clear()
        if outbox.is_full:
            await work_queue.forgo(service_id)
            await outbox.room()
        if not executions.free:
            if not executions.is_usable:
                await work_queue.forgo(service_id)
            await executions.room.wait()
            continue
        items = await work_queue.take(service_id, session, executions.free)
        taken = datetime.now(UTC)
        began = clock()
        await executions.until_usable()
        if clock() - began > lease.total_seconds() / 2:
            continue  # what nobody begins within the lease is given to others
        for item in items:
            executions.begin(item)
        _count(items, taken)
        if 2 * len(items) < TAKEN_AT_ONCE:  # a few short of full is no sign that few come
            await pace.pause_after(len(items))


def _count(items: Sequence[WorkItem], taken: datetime) -> None:
    """Of first attempts alone: what is tried again waited on purpose."""
    now = datetime.now(UTC)
    first = [item.recorded_at for item in items if item.attempt == 1]
    metrics.executions_taken.inc(len(items))
    metrics.observe(metrics.queue_age, [(taken - recorded).total_seconds() for recorded in first])
    metrics.observe(metrics.recorded_to_started, [(now - recorded).total_seconds() for recorded in first])


async def _beat(
    session: UUID, service_id: str, lease: timedelta, reports: Reports, executions: Executions, outbox: Outbox
) -> None:
    pause = min(lease.total_seconds() / 5, 1.0)
    while True:
        executions.terminate(set(await reports.beat(session, service_id, lease, outbox.untold())))
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
