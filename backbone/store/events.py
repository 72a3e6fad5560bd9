"""Rows of the event table, to and from `Event`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from backbone.model import causation
from backbone.model.definitions import Service
from backbone.model.events import Event, RecordedEvent
from backbone.store import partitions
from backbone.store.columns import Kinds, sparse
from backbone.store.queries import sql


async def append(connection: asyncpg.Connection, events: Sequence[Event]) -> None:
    if not events:
        return
    await connection.execute(sql("event/append"), *_columns(events))


def _columns(events: Sequence[Event]) -> list[Any]:
    kinds = Kinds()
    numbers = [kinds.number(event.project_id, event.resource, event.action, event.actor) for event in events]
    return [
        [event.id for event in events],
        numbers,
        [event.entity_id for event in events],
        [event.time.timestamp() for event in events],
        sparse([None if event.causation is None else causation.encode(event.causation) for event in events]),
        [event.entity for event in events],
        sparse([event.previous for event in events]),
        *kinds.columns(),
        sparse([event.traceparent for event in events]),
        sparse([event.tracestate for event in events]),
    ]


async def keep(connection: asyncpg.Connection, recorded: Sequence[RecordedEvent]) -> list[datetime]:
    """Keep events of a log that is not in the store; return when each was received first, in the order given: an id
    that its project has already is the event that came then."""
    if not recorded:
        return []
    events = [one.event for one in recorded]
    columns = [*_columns(events), [one.received.timestamp() for one in recorded]]
    try:
        kept = await connection.execute(sql("event/keep"), *columns)
    except asyncpg.CheckViolationError:  # of a day that has no partition: a log elsewhere may reach further back
        for day in {one.received.date() for one in recorded}:
            await partitions.ensure(connection, day)
        kept = await connection.execute(sql("event/keep"), *columns)
    if kept == f"INSERT 0 {len(events)}":  # none of them was there before
        return [one.received for one in recorded]
    rows = await connection.fetch(
        sql("event/kept"),
        list(range(len(events))),
        [event.id for event in events],
        [event.project_id for event in events],
    )
    received = {row["number"]: row["received"] for row in rows}
    return [received[number] for number in range(len(events))]


async def get(
    connection: asyncpg.Connection | asyncpg.Pool, event_id: str, project_id: str | None
) -> RecordedEvent | None:
    rows = await connection.fetch(sql("event/get"), event_id, None if project_id is None else UUID(project_id))
    return from_row(rows[0]) if rows else None


async def written_lately_by(
    connection: asyncpg.Pool,
    service: Service,
    resource: str,
    actions: Sequence[str],
    project_id: str | None,
    newest: int,
    limit: int,
) -> list[asyncpg.Record]:
    """id, entity_id and entity of the service's own among so many of the newest events, newest first."""
    rows: list[asyncpg.Record] = await connection.fetch(
        sql("event/written lately by"), newest, resource, list(actions), project_id, service.bot, service.id, limit
    )
    return rows


def from_row(row: asyncpg.Record) -> RecordedEvent:
    """Raises InvalidEvent when the causation in the row does not read."""
    event = Event(
        id=row["id"],
        project_id=str(row["project_id"]),
        resource=row["resource"],
        action=row["action"],
        entity_id=row["entity_id"],
        entity=row["entity"],
        previous=row["previous"],
        actor=row["actor"],
        time=row["occurred"],
        causation=None if row["causation"] is None else causation.decode(row["causation"]),
        traceparent=row["traceparent"],
        tracestate=row["tracestate"],
    )
    return RecordedEvent(event=event, received=row["received"])
