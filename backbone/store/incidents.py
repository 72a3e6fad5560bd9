"""The loops that the guard stopped, and what the parts say of themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import asyncpg

from backbone.model import causation
from backbone.model.causation import Causation, Link
from backbone.model.errors import NotFound
from backbone.model.executions import StoppedMatch, encode_new
from backbone.model.loops import LoopKind
from backbone.store.queries import sql

SILENT = 5.0
"""Seconds after which a part that says nothing is taken to be gone."""

PARDON = timedelta(days=1)
"""How long a circuit that a person closed is not opened again, but for a much higher rate."""

CHANNEL = "guard"
"""Woken after a person settled an incident."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopped:
    """What of a batch was not stopped before."""

    stopped: int = 0
    held: int = 0  #: of them nobody knows yet: they wait
    raised: int = 0  #: new incidents


@dataclass(frozen=True, slots=True, kw_only=True)
class Raised:
    """The incident of something that was refused at once: there is nothing to let go on."""

    id: int
    is_new: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """One loop, and all that was stopped of it."""

    id: int
    state: str
    kind: LoopKind
    loop: str
    reason: str
    trigger_id: str
    trigger_name: str | None  #: None when the trigger was deleted
    event_id: str  #: of the first match that was stopped; so is the entity, and the chain
    entity_id: str
    project_id: str
    chain: tuple[Link, ...]
    stopped: int
    waiting: int
    circuit: str | None
    until: datetime | None  #: when an open circuit is tried again
    first_at: datetime
    last_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class StoppedEvent:
    event_id: str
    entity_id: str
    at: datetime
    released_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    name: str
    role: str
    ready: bool
    detail: str


async def record_stopped(connection: asyncpg.Connection, stopped: Sequence[StoppedMatch]) -> Stopped:
    """Write down what the guard stopped."""
    news = [one.execution for one in stopped]
    row = await connection.fetchrow(
        sql("incident/record stopped"),
        [new.trigger_id for new in news],
        [new.event_id for new in news],
        [new.project_id for new in news],
        [new.entity_id for new in news],
        [one.kind.value for one in stopped],
        [one.loop for one in stopped],
        [one.reason for one in stopped],
        [one.causation for one in stopped],
        [encode_new(new) for new in news],
        [(new.id.int >> 80) / 1000 for new in news],
    )
    return Stopped(stopped=row["stopped"], held=row["held"], raised=row["raised"])


async def raise_call(
    connection: asyncpg.Pool, project_id: str, chain: Causation, loop: str, reason: str
) -> Raised | None:
    """A call that closes no circle and is too deep in a chain. None where a person allowed it."""
    last = next((link for link in reversed(chain.chain) if link.trigger), Link("", "", ""))
    encoded = causation.encode(chain.unsigned)
    row = await connection.fetchrow(
        sql("incident/raise call"), last.trigger, project_id, LoopKind.DEPTH.value, loop, reason, encoded, last.event
    )
    return None if row is None else Raised(id=row["id"], is_new=row["is_new"])


async def newest(connection: asyncpg.Pool, project_id: str | None, limit: int) -> list[Incident]:
    return [_incident(row) for row in await connection.fetch(sql("incident/list"), project_id, None, limit)]


async def get(connection: asyncpg.Pool, incident_id: int) -> Incident:
    """Raises NotFound."""
    row = await connection.fetchrow(sql("incident/list"), None, incident_id, 1)
    if row is None:
        raise NotFound("incident", str(incident_id))
    return _incident(row)


async def latest(connection: asyncpg.Pool, of: Incident, limit: int) -> list[StoppedEvent]:
    """Of what it stopped, newest first."""
    rows = await connection.fetch(
        sql("incident/latest stopped"), of.trigger_id, of.project_id, of.kind.value, of.loop, limit
    )
    return [StoppedEvent(**dict(row)) for row in rows]


async def settle(connection: asyncpg.Pool, incident_id: int, state: str) -> int:
    """`released`: what it stopped goes on. `allowed`: that, and it is not stopped again. Returns how many go on."""
    row = await connection.fetchrow(sql("incident/settle incident"), incident_id, state, PARDON)
    if not row["settled"]:
        raise NotFound("incident", str(incident_id))
    return int(row["going_on"])


def _incident(row: asyncpg.Record) -> Incident:
    fields: dict[str, Any] = {name: row[name] for name in Incident.__dataclass_fields__ if name != "chain"}
    return Incident(
        **{**fields, "kind": LoopKind(row["kind"]), "project_id": str(row["project_id"])},
        chain=causation.decode(row["causation"]).chain,
    )


async def trigger_names(connection: asyncpg.Pool, trigger_ids: list[str]) -> dict[str, str]:
    """Of those that are still there."""
    rows = await connection.fetch(sql("incident/trigger names"), trigger_ids)
    return {row["id"]: row["name"] for row in rows}


async def parts(connection: asyncpg.Pool) -> list[Part]:
    return [
        Part(
            name=row["name"],
            role=row["role"],
            ready=row["ready"] and row["silence"] <= SILENT,
            detail=row["detail"] if row["silence"] <= SILENT else f"silent for {row['silence']:.0f} s",
        )
        for row in await connection.fetch(sql("incident/parts"))
    ]
