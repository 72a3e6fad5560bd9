"""The ledger of Once: which trigger has run for which entity, and who freed what of it, and why.

A claim is made by the statement that records an execution (`sql/execution.sql`). Here it is looked at, and freed: by a
person, for a reason that is kept, or by the failure of its execution where the trigger counts successes alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg
import orjson

from backbone.model.dql import Filter
from backbone.model.errors import NotFound
from backbone.store.columns import text
from backbone.store.queries import sql

NEWEST = 2**63 - 1
"""Larger than the id of every reset: where a list begins."""

BEGINNING = ("", "")
"""Before every claim: where their list begins."""

MOST_RESETS = 100
_PREFIX = 37  # the id of a project and a slash, before the entity's id where a trigger is of every project

Place = tuple[str, str]
"""A claim's own: its trigger and the entity as it stands there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    place: Place
    trigger_id: str
    trigger_name: str | None  #: as it was called last; None when nothing of it is known
    project_id: str | None  #: of the entity, where the trigger is of every project
    entity_id: str
    execution_id: UUID
    event_id: str
    claimed_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    triggers: Sequence[str]
    entities: Sequence[str] | None = None  #: as they stand in claims; None: all
    since: datetime | None = None
    before: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reset:
    id: int
    at: datetime
    actor: str
    reason: str
    asked: str  #: JSON of what was to be freed
    claims: int  #: freed by it


@dataclass(frozen=True, slots=True, kw_only=True)
class FreedClaim:
    """A claim that a reset freed, and that reset."""

    id: int
    at: datetime
    actor: str
    reason: str
    execution_id: UUID
    event_id: str
    claimed_at: datetime


async def possible_triggers(connection: asyncpg.Connection | asyncpg.Pool, project_id: str | None) -> list[str]:
    """Every trigger there is or was that may hold claims of the project's entities."""
    rows = await connection.fetch(sql("claim/triggers that may have claimed"), project_id)
    return [row["trigger_id"] for row in rows]


def places_of(entity_id: str, projects: Sequence[str]) -> list[str]:
    """How the entity stands in claims: a trigger of every project claims it with the project's id before it."""
    return [entity_id, *(f"{project}/{entity_id}" for project in projects)]


async def found(connection: asyncpg.Connection, wanted: Wanted, after: Place, limit: int) -> list[Claim]:
    """In the order of trigger and entity."""
    rows = await connection.fetch(
        sql("claim/found"),
        sorted(wanted.triggers),
        wanted.entities,
        wanted.since,
        wanted.before,
        *after,
        limit,
    )
    return [_claim(row) for row in rows]


def _claim(row: asyncpg.Record) -> Claim:
    trigger_id, place, org_wide = row["trigger_id"], row["entity_id"], row["org_wide"]
    return Claim(
        place=(trigger_id, place),
        trigger_id=trigger_id,
        trigger_name=row["name"],
        project_id=place[: _PREFIX - 1] if org_wide else None,
        entity_id=place[_PREFIX:] if org_wide else place,
        execution_id=row["execution_id"],
        event_id=row["event_id"],
        claimed_at=row["claimed_at"],
    )


async def passing(connection: asyncpg.Connection, claims: Sequence[Claim], filter_: Filter) -> tuple[list[Claim], int]:
    """Those whose entity, as the claiming event had it, passes; and of how many that event is gone."""
    rows = await connection.fetch(sql("claim/entities"), [claim.execution_id for claim in claims])
    passed = [claims[row["place"] - 1] for row in rows if filter_.matches(orjson.loads(row["entity"]))]
    return passed, len(claims) - len(rows)


# Freed by a person


async def begin_reset(connection: asyncpg.Connection, actor: str, reason: str, asked: str) -> Reset:
    return Reset(**dict(await connection.fetchrow(sql("claim/begin reset"), text(actor), text(reason), text(asked))))


async def reset_to_go_on_with(connection: asyncpg.Connection, reset_id: int) -> Reset:
    """Raises NotFound."""
    row = await connection.fetchrow(sql("claim/go on with reset"), reset_id)
    if row is None:
        raise NotFound("reset", str(reset_id))
    return Reset(**dict(row))


async def reset(connection: asyncpg.Connection, reset_id: int, claims: Sequence[Claim]) -> int:
    """Free them; returns how many claims this reset has freed by now."""
    return int(
        await connection.fetchval(
            sql("claim/reset"),
            reset_id,
            [claim.place[0] for claim in claims],
            [claim.place[1] for claim in claims],
            [claim.execution_id for claim in claims],
        )
    )


async def resets(connection: asyncpg.Connection | asyncpg.Pool, before: int, limit: int) -> list[Reset]:
    """Newest first."""
    return [Reset(**dict(row)) for row in await connection.fetch(sql("claim/resets"), before, limit)]


async def resets_of(connection: asyncpg.Connection, place: Place) -> list[FreedClaim]:
    """The claims of this trigger on this entity that were freed, newest first."""
    return [FreedClaim(**dict(row)) for row in await connection.fetch(sql("claim/resets of"), *place, MOST_RESETS)]


# Freed by a failure


async def free_unsuccessful(connection: asyncpg.Connection, execution_ids: Sequence[UUID]) -> None:
    """Called in the transaction in which these ended, and not in success."""
    if execution_ids:
        await free(connection, await connection.fetch(sql("claim/of the unsuccessful"), execution_ids))


async def free(connection: asyncpg.Connection, held: Sequence[tuple[str, str, UUID]]) -> None:
    """Each by its key: few, and no plan can make it a search through all claims."""
    await connection.executemany(sql("claim/free"), [tuple(one) for one in held])


async def take_back(connection: asyncpg.Connection, execution_id: UUID) -> None:
    """Called when a person lets an execution run again."""
    await connection.execute(sql("claim/take back"), execution_id)
