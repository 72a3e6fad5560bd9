"""Executions: recorded, taken, settled; each a batch and one statement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

import asyncpg

from backbone.model import causation
from backbone.model.causation import Causation, Link
from backbone.model.executions import NewExecution, Settlement, StatusLine
from backbone.model.messages import Logged, WorkItem
from backbone.store import claims
from backbone.store.columns import Kinds, optional_text, sparse, text
from backbone.store.queries import sql


async def record(
    connection: asyncpg.Connection, batch: Sequence[NewExecution], *, queue_too: bool, notify: Sequence[str] = ()
) -> list[tuple[UUID, str]]:
    """Record those that nobody recorded before; return (execution, service) of these. With `queue_too` they stand in
    the queue afterwards, otherwise among the pending. The channels of `notify` are told when there are any."""
    kinds = Kinds()
    numbers = [
        kinds.number(
            new.project_id,
            new.service_id,
            new.trigger_id,
            new.function_name,
            new.max_attempts,
            new.event_day,
            new.resource,
            new.action,
            new.claim_prefix if new.once else None,
            new.input,
            new.trigger_version,
        )
        for new in batch
    ]
    rows = await connection.fetch(
        sql("execution/record"),
        [new.id for new in batch],
        numbers,
        [new.event_id for new in batch],
        [new.entity_id for new in batch],
        sparse([new.came_by for new in batch]),
        *kinds.columns(),
        queue_too,
        notify,
    )
    if any(row["service_id"] is None for row in rows):
        freed = {row["id"] for row in rows if row["service_id"] is None}
        held = [(new.trigger_id, new.claim_prefix + new.entity_id, new.id) for new in batch if new.id in freed]
        await claims.free(connection, held)  # what was freed stays free
    return [(row["id"], row["service_id"]) for row in rows if row["service_id"] is not None]


async def settle(connection: asyncpg.Connection, settlements: Sequence[Settlement]) -> list[tuple[UUID, str]]:
    """Move those that still are where the settlement expects them; return (execution, new status) of these.

    At most one settlement an execution.
    """
    if not settlements:
        return []
    kinds = Kinds()
    numbers = [
        kinds.number(one.attempt, one.status.value, one.next_attempt, one.ended_as, one.percent) for one in settlements
    ]
    rows = await connection.fetch(
        sql("execution/settle"),
        [one.id for one in settlements],
        numbers,
        sparse([_seconds(one.started_at) for one in settlements]),
        sparse([_seconds(one.ended_at) for one in settlements]),
        sparse([one.duration for one in settlements]),
        sparse([one.output for one in settlements]),
        sparse([optional_text(one.message) for one in settlements]),
        sparse([optional_text(one.traceback) for one in settlements]),
        sparse([_seconds(one.due) for one in settlements]),
        *kinds.columns(),
    )
    return [(row["id"], row["status"]) for row in rows]


def _seconds(moment: datetime | None) -> float | None:
    return None if moment is None else moment.timestamp()


async def append_status(connection: asyncpg.Connection, lines: Sequence[StatusLine]) -> None:
    await connection.execute(
        sql("execution/append status log"),
        [line.execution_id for line in lines],
        [line.attempt for line in lines],
        [line.number for line in lines],
        [line.at for line in lines],
        [text(line.status) for line in lines],
        [line.percent for line in lines],
        [optional_text(line.message) for line in lines],
        [line.output for line in lines],
    )


async def append_logs(connection: asyncpg.Connection, chunks: Sequence[Logged]) -> None:
    await connection.execute(
        sql("execution/append log lines"),
        [chunk.execution_id for chunk in chunks],
        [chunk.attempt for chunk in chunks],
        [chunk.number for chunk in chunks],
        [chunk.at for chunk in chunks],
        [chunk.lines for chunk in chunks],
    )


def work_item(row: asyncpg.Record) -> WorkItem:
    (execution_id, attempt, max_attempts, service_id, project_id, function_name, recorded_at, input_, trigger_id,
     event_id, resource, action, came_by, entity, occurred, actor, traceparent,
     tracestate, key) = row  # fmt: skip
    return WorkItem(
        execution_id=execution_id,
        attempt=attempt,
        max_attempts=max_attempts,
        service_id=service_id,
        project_id=str(project_id),
        function_name=function_name,
        recorded_at=recorded_at,
        input=input_ or b"{}",
        trigger_id=trigger_id,
        event_id=event_id,
        resource=resource,
        action=action,
        entity=entity,
        event_time=occurred,
        actor=actor,
        causation=causation.encode_signed(chain(execution_id, trigger_id, event_id, came_by), key),
        traceparent=traceparent,
        tracestate=tracestate,
    )


def chain(execution_id: UUID, trigger_id: str | None, event_id: str | None, came_by: bytes | None) -> Causation:
    """The chain whose last link the execution is. The row has the chain before it and the link's other words, so that
    the link is not stored a second time."""
    earlier = Causation() if came_by is None else causation.decode(came_by)
    return earlier.followed_by(Link(event_id or "", trigger_id or "", str(execution_id)))


async def due(connection: asyncpg.Connection, rooms: Mapping[str, int]) -> list[WorkItem]:
    """What is recorded and waits to be put in the queue, and whose time has come: so many of each service."""
    return [work_item(row) for row in await connection.fetch(sql("work/due"), list(rooms), list(rooms.values()))]


async def confirm(connection: asyncpg.Connection, items: Sequence[WorkItem], *, queue_too: bool) -> None:
    """The queue has these; with `queue_too` this very statement puts them there."""
    await connection.execute(
        sql("work/put and confirm" if queue_too else "work/confirm"),
        [item.execution_id for item in items],
        [item.attempt for item in items],
    )
