"""The claims of Once: looked at, and freed with a name and a reason."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import asyncpg
import msgspec

from backbone.model import dql
from backbone.model.errors import Invalid
from backbone.store import claims, definitions, finding
from backbone.store.claims import BEGINNING, Claim, Place, Wanted
from backbone.store.queries import sql
from gateway import shapes
from gateway.operations import PREFIX, Call, Operation, Parameter

_MOST = 1_000
_LONGEST_REASON = 1_000

STEP = 5_000
"""Claims that a call of a reset looks at: a transaction of well under a second, also where entities are read."""


async def some(call: Call) -> Any:
    limit = call.whole_number("limit", 100, 1, _MOST)
    asked = shapes.ClaimSelection(
        trigger=call.query.get("trigger"),
        entity=call.query.get("entity"),
        project=call.query.get("project"),
        since=_moment(call, "since"),
        before=_moment(call, "before"),
    )
    async with finding.patiently(call.parts.database.pool) as connection:
        wanted = await _wanted(call, connection, asked)
        found = await claims.found(connection, wanted, _place(call.query.get("after")), limit)
    return shapes.Claims(items=[_shape(one) for one in found], next=_next(found, limit))


async def show(call: Call) -> Any:
    asked = shapes.ClaimSelection(
        trigger=call.definition_id("trigger"), entity=call.path["entity"], project=call.query.get("project")
    )
    async with finding.patiently(call.parts.database.pool) as connection:
        wanted = await _wanted(call, connection, asked)
        held = await claims.found(connection, wanted, BEGINNING, _MOST)
        places = {one.place for one in held} | {(asked.trigger or "", asked.entity or "")}
        freed = [one for place in sorted(places) for one in await claims.resets_of(connection, place)]
    return shapes.ClaimHistory(
        held=[_shape(one) for one in held],
        resets=[
            shapes.FreedClaimShape(
                reset=one.id,
                at=one.at,
                actor=one.actor,
                reason=one.reason,
                execution_id=str(one.execution_id),
                event_id=one.event_id,
                claimed_at=one.claimed_at,
            )
            for one in freed
        ],
    )


async def reset(call: Call) -> Any:
    asked = call.written(shapes.ClaimReset)
    if not 0 < len(asked.reason.strip()) <= _LONGEST_REASON:
        raise Invalid("reason", f"has {len(asked.reason):,} characters; expected 1 to {_LONGEST_REASON:,}")
    filter_ = None if asked.filter is None else dql.compile(asked.filter)
    async with call.changing() as connection:
        await connection.execute(sql("finding/be patient"), f"{finding.PATIENCE.total_seconds():.0f}s")
        wanted = await _wanted(call, connection, asked)
        looked_at = await claims.found(connection, wanted, _place(asked.after), STEP)
        chosen, unknown = looked_at, 0
        if filter_ is not None:
            chosen, unknown = await claims.passing(connection, looked_at, filter_)
        number, freed = await _free(call, connection, asked, chosen)
    return shapes.ClaimsFreed(id=number, freed=freed, unknown=unknown, next=_next(looked_at, STEP))


async def _free(
    call: Call, connection: asyncpg.Connection, asked: shapes.ClaimReset, chosen: Sequence[Claim]
) -> tuple[int | None, int]:
    """The reset's number, and how many claims this call freed, or would have freed."""
    if asked.dry_run:
        return None, len(chosen)
    if asked.reset is None:
        told = msgspec.json.encode(msgspec.convert(asked, shapes.ClaimSelection, from_attributes=True)).decode()
        begun = await claims.begin_reset(connection, call.actor, asked.reason, told)
    else:
        begun = await claims.reset_to_go_on_with(connection, asked.reset)
    return begun.id, await claims.reset(connection, begun.id, chosen) - begun.claims


async def resets(call: Call) -> Any:
    before = call.whole_number("before", claims.NEWEST, 0, claims.NEWEST)
    limit = call.whole_number("limit", 100, 1, _MOST)
    found = await claims.resets(call.parts.database.pool, before, limit + 1)
    items = [
        shapes.ClaimResetShape(
            id=one.id,
            at=one.at,
            actor=one.actor,
            reason=one.reason,
            asked=msgspec.Raw(one.asked.encode()),
            claims=one.claims,
        )
        for one in found[:limit]
    ]
    return shapes.ClaimResets(items=items, has_next_page=len(found) > limit)


async def _wanted(call: Call, connection: asyncpg.Connection, asked: shapes.ClaimSelection) -> Wanted:
    for name in ("trigger", "entity", "project"):
        if "\x00" in (getattr(asked, name) or ""):
            raise Invalid(name, "holds NUL")
    if not (asked.trigger or asked.entity or asked.project):
        raise Invalid("trigger", "is missing, and so are entity and project: claims are found by one of these")
    project = await call.parts.projects.found(asked.project, connection) if asked.project else None
    entities = None
    if asked.entity:
        known = [project] if project else [one.id for one in await definitions.projects(connection)]
        entities = claims.places_of(asked.entity, known)
    triggers = [asked.trigger] if asked.trigger else await claims.possible_triggers(connection, project)
    since, before = _in_utc(asked.since, "since"), _in_utc(asked.before, "before")
    return Wanted(triggers=triggers, entities=entities, since=since, before=before)


def _moment(call: Call, name: str) -> datetime | None:
    text = call.query.get(name)
    if text is None:
        return None
    try:
        return msgspec.convert(text, shapes.Moment)
    except msgspec.ValidationError:
        raise Invalid(name, f"{text[:40]!r} is no time such as 2026-03-04T05:06:07Z") from None


def _in_utc(moment: datetime | None, name: str) -> datetime | None:
    try:
        return None if moment is None else moment.astimezone(UTC)
    except OverflowError:
        raise Invalid(name, f"{moment} is out of range") from None


def _next(found: Sequence[Claim], limit: int) -> str | None:
    return ":".join(found[-1].place) if len(found) == limit else None


def _place(after: str | None) -> Place:
    if after is None:
        return BEGINNING
    trigger_id, colon, entity_id = after.partition(":")
    if not colon or "\x00" in after:
        raise Invalid("after", f"{after[:40]!r} is not what `next` of a page was")
    return trigger_id, entity_id


def _shape(of: Claim) -> shapes.ClaimShape:
    return shapes.ClaimShape(
        trigger_id=of.trigger_id,
        trigger_name=of.trigger_name,
        project_id=of.project_id,
        entity_id=of.entity_id,
        execution_id=str(of.execution_id),
        event_id=of.event_id,
        claimed_at=of.claimed_at,
    )


_PROJECT = Parameter("project", "Only claims of this project's triggers and entities, by name or id")

OPERATIONS = (
    Operation(
        method="GET", path=f"{PREFIX}/claims", summary="Claims of Once, by trigger, entity or project", handler=some,
        parameters=(
            Parameter("trigger", "Only those of this trigger, by id; a deleted one, too"),
            Parameter("entity", "Only those on this entity"),
            _PROJECT,
            Parameter("since", "Only those claimed then or later"),
            Parameter("before", "Only those claimed before"),
            Parameter("after", "What `next` of the page before was"),
            Parameter("limit", "At most so many; 100 when not given", 1, _MOST),
        ),
        answers=shapes.Claims, refusals=(404,),
    ),
    Operation(
        method="POST", path=f"{PREFIX}/claims/reset", summary="Free claims, so that their triggers run once more",
        handler=reset, takes=shapes.ClaimReset, answers=shapes.ClaimsFreed, refusals=(404,), signed=True,
    ),
    Operation(
        method="GET", path=f"{PREFIX}/claim-resets", summary="Who freed claims, when and why; newest first",
        handler=resets,
        parameters=(
            Parameter("before", "Only those with a smaller id", 0, claims.NEWEST),
            Parameter("limit", "At most so many; 100 when not given", 1, _MOST),
        ),
        answers=shapes.ClaimResets,
    ),
    Operation(
        method="GET", path=f"{PREFIX}/triggers/{{id}}/claims/{{entity:path}}",
        summary="Who holds the trigger's claim on an entity, and the resets that freed it", handler=show,
        parameters=(_PROJECT,), answers=shapes.ClaimHistory, refusals=(404,),
    ),
)  # fmt: skip
