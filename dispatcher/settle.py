"""Reports become outcomes: what a batch of them says of each execution, decided purely and written at once.

The dispatcher alone writes outcomes. Reports may come twice, late, or about an attempt that was given up: every
change names the attempt and the state it expects, so such reports change nothing.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

import asyncpg
import msgspec

from backbone.kit import metrics
from backbone.model.executions import Settlement, StatusLine
from backbone.model.messages import RERUN, Finished, Logged, Progressed, Report, Started
from backbone.model.states import ENDED, UNSUCCESSFUL, ExecutionStatus
from backbone.ports import Reports
from backbone.store import claims, executions
from backbone.store.database import Database
from backbone.store.queries import sql
from backbone.store.wakeups import PENDING, Wakeups
from dispatcher import retry
from dispatcher.retry import RetryPolicy

PAUSE = 0.04  # seconds between two batches: outcomes are waited for by people, not by the next stage

BATCH = 20
"""Rows of reports settled at a time; each holds what an agent said in some milliseconds."""

_ENDS = {status.value: status for status in ENDED}

log = logging.getLogger(__name__)


@dataclass
class Outcome:
    """What a batch of reports comes to: one settlement an execution, and what goes to the logs beside it."""

    settlements: dict[UUID, Settlement] = field(default_factory=dict)
    progress: list[StatusLine] = field(default_factory=list)
    logs: list[Logged] = field(default_factory=list)


def decide(reports: Sequence[Report], policy: RetryPolicy, now: datetime, chance: Callable[[], float]) -> Outcome:
    """Pure. Reports of one execution are in the order they were sent; the newest attempt wins."""
    outcome = Outcome()
    for report in reports:
        if isinstance(report, Finished):
            _settle(outcome, _finished(report, policy, now, chance))
        elif isinstance(report, Started):
            _settle(outcome, _in_progress(report.execution_id, report.attempt, started_at=report.at))
        elif isinstance(report, Progressed):
            _settle(
                outcome,
                _in_progress(
                    report.execution_id,
                    report.attempt,
                    percent=_percent(report),
                    message=report.message,
                    output=report.output,
                ),
            )
            outcome.progress.append(_progress_line(report))
        else:
            outcome.logs.append(report)
    return outcome


def _settle(outcome: Outcome, new: Settlement) -> None:
    old = outcome.settlements.get(new.id)
    if old is None or old.attempt < new.attempt:
        outcome.settlements[new.id] = new
    elif old.attempt == new.attempt and old.ended_as is None:
        outcome.settlements[new.id] = _merged(old, new)


def _merged(old: Settlement, new: Settlement) -> Settlement:
    """What was told earlier of an attempt that goes on, and what is told now."""
    if new.started_at is not None and old.percent is None and old.message is None and old.output is None:
        return new
    return msgspec.structs.replace(
        new,
        started_at=new.started_at or old.started_at,
        percent=old.percent if new.percent is None else new.percent,
        output=old.output if new.output is None else new.output,
        message=old.message if new.message is None and new.ended_as is None else new.message,
    )


def _in_progress(
    execution_id: UUID,
    attempt: int,
    *,
    started_at: datetime | None = None,
    percent: int | None = None,
    message: str | None = None,
    output: bytes | None = None,
) -> Settlement:
    return Settlement(
        id=execution_id,
        attempt=attempt,
        next_attempt=attempt,
        status=ExecutionStatus.IN_PROGRESS,
        started_at=started_at,
        percent=percent,
        message=message,
        output=output,
    )


def _finished(report: Finished, policy: RetryPolicy, now: datetime, chance: Callable[[], float]) -> Settlement:
    status, next_attempt, due = _next(report, policy, now, chance)
    return Settlement(
        id=report.execution_id,
        attempt=report.attempt,
        status=status,
        next_attempt=next_attempt,
        due=due,
        started_at=report.started_at,
        ended_at=report.at,
        ended_as=report.status,
        duration=report.duration,
        percent=100 if status is ExecutionStatus.SUCCESS else None,
        output=report.output,
        message=report.message or None,
        traceback=report.traceback or None,
    )


def _next(
    report: Finished, policy: RetryPolicy, now: datetime, chance: Callable[[], float]
) -> tuple[ExecutionStatus, int, datetime | None]:
    """The execution's status after this attempt, its next attempt, and when that is due."""
    if report.status == RERUN:
        return ExecutionStatus.CREATED, report.attempt + 1, now
    status = _ENDS.get(report.status, ExecutionStatus.SYSTEM_FAILURE)
    may_retry = status is ExecutionStatus.FAILED and report.may_retry
    if may_retry and retry.may_try_again(report.attempt, report.max_attempts):
        return ExecutionStatus.CREATED, report.attempt + 1, retry.next_due(report.attempt, now, policy, chance())
    return status, report.attempt, None


def _progress_line(report: Progressed) -> StatusLine:
    return StatusLine(
        execution_id=report.execution_id,
        attempt=report.attempt,
        number=report.number,
        at=report.at,
        status=report.status or ExecutionStatus.IN_PROGRESS.value,
        percent=_percent(report),
        message=report.message,
        output=report.output,
    )


def _percent(report: Progressed) -> int | None:
    return None if report.percent is None else max(0, min(report.percent, 100))


async def write(connection: asyncpg.Connection, outcome: Outcome) -> list[tuple[UUID, str]]:
    """One transaction; returns (execution, new status) of those that moved."""
    settlements = list(outcome.settlements.values())
    in_vain = any(one.status in UNSUCCESSFUL for one in settlements)
    if not outcome.progress and not outcome.logs and not in_vain:
        return await executions.settle(connection, settlements)
    async with connection.transaction():
        moved = await executions.settle(connection, settlements)
        if in_vain:
            await claims.free_unsuccessful(connection, [id for id, status in moved if status in UNSUCCESSFUL])
        changed = {(execution_id, outcome.settlements[execution_id].attempt) for execution_id, _ in moved}
        lines = [line for line in outcome.progress if (line.execution_id, line.attempt) in changed]
        await executions.append_status(connection, lines)
        await executions.append_logs(connection, outcome.logs)
    return moved


async def run(database: Database, reports: Reports, wakeups: Wakeups, policy: RetryPolicy) -> None:
    # What a crash undoes is settled again from the reports, whose going is undone too: if they are in this database.
    async with (
        database.lane(durable=not reports.in_store, hashes=True) as connection,
        aclosing(reports.receive(BATCH)) as batches,
    ):
        async for batch in batches:
            outcome = decide(batch.reports, policy, datetime.now(UTC), random.random)
            moved = await write(connection, outcome)
            if len(moved) < len(outcome.settlements):
                await _release(connection, outcome, moved)
            await batch.acknowledge()
            _count(outcome, moved)
            if any(settlement.due is not None for settlement in outcome.settlements.values()):
                wakeups.wake([PENDING])
            await asyncio.sleep(PAUSE)


async def _release(connection: asyncpg.Connection, outcome: Outcome, moved: Sequence[tuple[UUID, str]]) -> None:
    """Who says that an attempt has ended holds nothing of it any more, also where somebody else had ended it."""
    left = outcome.settlements.keys() - {execution_id for execution_id, _ in moved}
    ended = [one for one in outcome.settlements.values() if one.id in left and one.ended_as is not None]
    await connection.execute(sql("work/drop leases"), [one.id for one in ended], [one.attempt for one in ended])


def _count(outcome: Outcome, moved: Sequence[tuple[UUID, str]]) -> None:
    by_status: dict[str, int] = {}
    for _, status in moved:
        by_status[status] = by_status.get(status, 0) + 1
    for status, count in by_status.items():
        if status == ExecutionStatus.CREATED.value:
            metrics.executions_retried.inc(count)
        elif status != ExecutionStatus.IN_PROGRESS.value:
            metrics.executions_settled.labels(status).inc(count)
    passed_over = len(outcome.settlements) - len(moved)
    if passed_over:
        log.info(
            "reports passed over: about attempts that were given up, or told twice", extra={"reports": passed_over}
        )
