"""What explanations of decisions are made from: versions of triggers, and what was recorded of an event."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import date, datetime
from uuid import UUID

import asyncpg

from backbone.model import causation, ids
from backbone.model.decisions import Candidate, FiredExecution, HeldClaim, Recorded, Stop, Version
from backbone.model.errors import NotFound
from backbone.model.events import Event, RecordedEvent
from backbone.store import events
from backbone.store.queries import sql

_HASH = 8  # bytes of one in `removed_events`

EventKey = tuple[str, str]
"""Project and id: the ids of events are those of a project."""

VersionKey = tuple[str, int]
"""A trigger and its version."""


async def candidates(connection: asyncpg.Connection, to: RecordedEvent, most: int) -> AsyncIterator[list[Candidate]]:
    """Versions that listen to the event, or came to listen to it later, so many at a time, in no order; of a trigger
    that came to listen later there may be several."""
    event = to.event
    arguments = UUID(event.project_id), event.resource, event.action, to.received
    cursor = await connection.cursor(sql("ledger/candidates"), *arguments)
    active: dict[str, bool] = {}
    while rows := await cursor.fetch(most):
        new = {row["service_id"] for row in rows} - active.keys()
        if new:
            stopped = await connection.fetch(sql("ledger/stopped services"), list(new), to.received)
            active |= dict.fromkeys(new, True) | {row["service_id"]: False for row in stopped}
        yield [_candidate(row, active[row["service_id"]]) for row in rows]


def _candidate(row: asyncpg.Record, service_active: bool) -> Candidate:
    trigger_id, version, written, later, deleted, active, _ = row
    return Candidate(trigger_id, version, written, later, deleted, active, service_active)


async def versions(connection: asyncpg.Connection, wanted: Iterable[VersionKey]) -> dict[VersionKey, Version]:
    """Those of them that there are."""
    keys = list(wanted)
    rows = await connection.fetch(
        sql("ledger/versions"), [trigger_id for trigger_id, _ in keys], [version for _, version in keys]
    )
    return {(row["trigger_id"], row["version"]): _version(row) for row in rows}


def _version(row: asyncpg.Record) -> Version:
    return Version(row["name"], row["at"], row["until"], row["written"])


async def recorded_of(connection: asyncpg.Connection, of: RecordedEvent, *, log_in_store: bool) -> Recorded:
    """All but the claims. `log_in_store`: the log is this database, so an event may be there and not read yet."""
    event = of.event
    first, beyond = ids.execution_ids_of(of.received)
    executions = await connection.fetch(
        sql("ledger/executions of event"), first, beyond, event.id, UUID(event.project_id)
    )
    stops = await connection.fetch(sql("ledger/stops of event"), event.id, UUID(event.project_id))
    return Recorded(
        event_id=event.id,
        received=of.received,
        executions={row["trigger_id"]: fired(row) for row in executions},
        stops={row["trigger_id"]: stop(row) for row in stops},
        waiting=log_in_store and await connection.fetchval(sql("ledger/is waiting"), event.id, UUID(event.project_id)),
        unreadable=await connection.fetchval(sql("ledger/unreadable"), event.id, event.project_id),
    )


def fired(row: asyncpg.Record) -> FiredExecution:
    return FiredExecution(row["id"], row["status"], row["trigger_version"])


def stop(row: asyncpg.Record) -> Stop:
    return Stop(row["reason"], causation.decode(row["causation"]).chain)


async def claims(connection: asyncpg.Connection, wanted: Sequence[tuple[VersionKey, Event]]) -> dict[int, HeldClaim]:
    """Who holds the event's entity for a version that fires once, by the place in what is wanted."""
    rows = await connection.fetch(
        sql("ledger/claims"),
        [trigger_id for (trigger_id, _), _ in wanted],
        [version for (_, version), _ in wanted],
        [event.project_id for _, event in wanted],
        [event.entity_id for _, event in wanted],
    )
    return {row["place"] - 1: HeldClaim(row["event_id"], row["execution_id"], row["claimed_at"]) for row in rows}


# Of one trigger


async def versions_of(connection: asyncpg.Connection, trigger_id: str, since: datetime) -> list[asyncpg.Record]:
    """Those in force then or later, oldest first. Raises NotFound for what never was."""
    rows: list[asyncpg.Record] = await connection.fetch(sql("ledger/versions of"), trigger_id, since)
    if not rows:
        raise NotFound("trigger", trigger_id)
    return rows


async def stops_of_services(
    connection: asyncpg.Connection, service_ids: Sequence[str]
) -> dict[str, list[tuple[datetime, bool]]]:
    """From when on each was active or not, oldest first."""
    found: dict[str, list[tuple[datetime, bool]]] = {}
    for row in await connection.fetch(sql("ledger/activity"), service_ids):
        found.setdefault(row["service_id"], []).append((row["at"], row["active"]))
    return found


async def events_since(
    connection: asyncpg.Connection,
    since: datetime,
    project_id: UUID | None,
    listens: tuple[Sequence[str], Sequence[str]],
    limit: int,
) -> list[RecordedEvent]:
    """The newest, first, of these resources and actions."""
    return [
        events.from_row(row)
        for row in await connection.fetch(sql("ledger/events since"), since, project_id, *listens, limit)
    ]


async def recorded_of_trigger(
    connection: asyncpg.Connection, trigger_id: str, since: datetime, limit: int
) -> tuple[dict[EventKey, FiredExecution], dict[EventKey, Stop]]:
    """Its executions and stops, by event."""
    executions = await connection.fetch(
        sql("ledger/executions of trigger"), trigger_id, ids.partition_floor(since), limit
    )
    stops = await connection.fetch(sql("ledger/stops of trigger"), trigger_id, since, limit)
    return {_event(row): fired(row) for row in executions}, {_event(row): stop(row) for row in stops}


def _event(row: asyncpg.Record) -> EventKey:
    return row["project_id"], row["event_id"]


# What is gone


async def removed_on(connection: asyncpg.Connection, event_id: str) -> date | None:
    """The day, now pruned, on which an event of this id was received; None when none is known."""
    for row in await connection.fetch(sql("ledger/removed events"), event_id):
        hashes = row["hashes"]
        if row["hash"] in {hashes[place : place + _HASH] for place in range(0, len(hashes), _HASH)}:
            day: date = row["day"]
            return day
    return None


async def oldest_day(connection: asyncpg.Connection) -> date | None:
    day: date | None = await connection.fetchval(sql("ledger/oldest day"))
    return day
