"""Executions whose agent was lost, or never heard that it has them, are found by their leases and given a new chance,
or an end.

A lease that ran out is looked at twice before anything is done: after an outage of the database every agent is late,
and the living ones renew theirs as soon as they can. While we are deaf, because what agents speak through is away,
nobody is taken for lost, nor for a lease's time after.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg

from backbone.kit import metrics
from backbone.model.executions import Settlement
from backbone.model.states import ExecutionStatus
from backbone.store.database import Database
from backbone.store.queries import sql
from backbone.store.wakeups import PENDING, Wakeups
from dispatcher import retry, settle

BATCH = 1000
LOST = "the agent that ran this attempt was lost"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpiredLease:
    execution_id: UUID
    attempt: int
    status: ExecutionStatus | None  #: None: the execution is gone, or goes on with another attempt
    max_attempts: int
    on_reset: str


@dataclass(frozen=True, slots=True)
class Rescue:
    """What is to be done about leases that ran out."""

    give_back: list[ExpiredLease]
    drop: list[ExpiredLease]
    settlements: list[Settlement]


def decide(expired: Sequence[ExpiredLease], now: datetime) -> Rescue:
    """Pure. Never started: back to the queue, no attempt counted. Started: the attempt counts, and `onReset` says
    whether there is another."""
    rescue = Rescue([], [], [])
    for lease in expired:
        if lease.status in (ExecutionStatus.CREATED, ExecutionStatus.QUEUED):
            rescue.give_back.append(lease)
        elif lease.status is ExecutionStatus.IN_PROGRESS:
            rescue.settlements.append(_reset(lease, now))
        else:
            rescue.drop.append(lease)
    return rescue


def _reset(lease: ExpiredLease, now: datetime) -> Settlement:
    again = lease.on_reset == "rerun" and retry.may_try_again(lease.attempt, lease.max_attempts)
    return Settlement(
        id=lease.execution_id,
        attempt=lease.attempt,
        status=ExecutionStatus.CREATED if again else ExecutionStatus.FAILED,
        next_attempt=lease.attempt + 1 if again else lease.attempt,
        due=now if again else None,
        ended_at=now,
        ended_as=ExecutionStatus.FAILED.value,
        message=LOST
        if again
        else f"{LOST}; onReset is {lease.on_reset!r}, attempt {lease.attempt} of {lease.max_attempts}",
    )


async def run(database: Database, wakeups: Wakeups, lease: timedelta, hears: Callable[[], bool] = lambda: True) -> None:
    clock = asyncio.get_running_loop().time
    silence_counts_from = clock()
    seen: set[tuple[UUID, int]] = set()
    async with database.lane(durable=False) as connection:
        while True:
            await asyncio.sleep(lease.total_seconds() / 6)
            if not hears():
                silence_counts_from = clock() + lease.total_seconds()
            if clock() < silence_counts_from:
                seen.clear()
                continue
            expired = await _expired(connection, lease)
            certain = [one for one in expired if (one.execution_id, one.attempt) in seen]
            seen = {(one.execution_id, one.attempt) for one in expired}
            if certain:
                await act(connection, decide(certain, datetime.now(UTC)))
                wakeups.wake([PENDING])
            await connection.execute(sql("work/forget sessions"), lease * 10)


async def _expired(connection: asyncpg.Connection, lease: timedelta) -> list[ExpiredLease]:
    return [
        ExpiredLease(
            execution_id=row["execution_id"],
            attempt=row["attempt"],
            status=None if row["status"] is None else ExecutionStatus(row["status"]),
            max_attempts=row["max_attempts"] or 0,
            on_reset=row["on_reset"],
        )
        for row in await connection.fetch(sql("work/expired leases"), lease, BATCH)
    ]


async def act(connection: asyncpg.Connection, rescue: Rescue) -> None:
    if rescue.give_back:
        await connection.execute(sql("work/give back"), *_columns(rescue.give_back))
    if rescue.drop:
        await connection.execute(sql("work/drop leases"), *_columns(rescue.drop))
    if rescue.settlements:
        await settle.write(connection, settle.Outcome(settlements={one.id: one for one in rescue.settlements}))
    given_back, interrupted = len(rescue.give_back), len(rescue.settlements)
    if given_back or interrupted:
        metrics.executions_rescued.inc(given_back + interrupted)
        log.warning("executions rescued from lost agents", extra={"given_back": given_back, "interrupted": interrupted})


def _columns(leases: Sequence[ExpiredLease]) -> tuple[list[UUID], list[int]]:
    return [lease.execution_id for lease in leases], [lease.attempt for lease in leases]
