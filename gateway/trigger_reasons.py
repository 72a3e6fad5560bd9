"""What a trigger fired at lately, what was refused, and what it nearly fired at."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import msgspec

from backbone.model import conditions
from backbone.model.conditions import Conditions
from backbone.model.decisions import (
    UNEXPLAINED,
    Candidate,
    FiredExecution,
    HeldClaim,
    Outcome,
    Question,
    Recorded,
    Stop,
    Verdict,
    Version,
    verdict,
    with_claim,
)
from backbone.model.events import RecordedEvent
from backbone.store import finding, ledger
from backbone.store.ledger import EventKey
from gateway import shapes, verdicts
from gateway.operations import PREFIX, Call, Operation, Parameter

LOOKED_AT = 10_000
"""The newest events that are asked: some tenths of a second."""

SLICE = 200

_MOST = 1_000
_LONGEST = 90 * 24 * 3600  # seconds
_REFUSED = (Outcome.STOPPED, Outcome.CLAIMED, Outcome.UNREADABLE, Outcome.UNRECORDED, Outcome.WAITING)


@dataclass(frozen=True, slots=True)
class Asked:
    """A version, its conditions compiled for all events that are looked at."""

    row: Mapping[str, Any]
    version: Version
    conditions: Conditions


@dataclass(frozen=True, slots=True)
class Judged:
    question: Question
    verdict: Verdict
    version: Version


async def why(call: Call) -> Any:
    trigger_id = call.definition_id("trigger")
    since = datetime.now(UTC) - timedelta(seconds=call.whole_number("seconds", 3600, 1, _LONGEST))
    limit = call.whole_number("limit", 20, 1, _MOST)
    pool = call.parts.database.pool
    async with finding.patiently(pool) as connection:
        judged, whole = await _judged(connection, trigger_id, since)
    newest_first = [one for one in judged if one.verdict.outcome is not Outcome.FILTER and not one.verdict.failing]
    nearest = sorted((one for one in judged if one.verdict.missing), key=lambda one: one.verdict.missing)
    return shapes.Reasons(
        trigger_id=trigger_id,
        since=since,
        looked=len(judged),
        whole=whole,
        counts=verdicts.counts(one.verdict for one in judged),
        fired=await _told(pool, [one for one in newest_first if one.verdict.outcome is Outcome.FIRED][:limit]),
        refused=await _told(pool, [one for one in newest_first if one.verdict.outcome in _REFUSED][:limit]),
        nearly=await _told(pool, nearest[:limit]),
    )


async def _judged(connection: asyncpg.Connection, trigger_id: str, since: datetime) -> tuple[list[Judged], bool]:
    """Of each event that it listened to, the newest first; and whether that is all."""
    asked = await _asked(connection, trigger_id, since)
    services = list({one.row["service_id"] for one in asked})
    activity = await ledger.stops_of_services(connection, services)
    listens = (
        [one.row["resource"] for one in asked],
        [action for one in asked for action in one.row["actions"]],
    )
    project_id: UUID | None = asked[-1].row["project_id"]
    recorded = await ledger.events_since(connection, since, project_id, listens, LOOKED_AT + 1)
    executions, stops = await ledger.recorded_of_trigger(connection, trigger_id, since, 10 * LOOKED_AT)
    judged = []
    for number, one in enumerate(recorded):
        if number % SLICE == 0:
            await asyncio.sleep(0)
        listening = _listening(asked, one)
        if listening is not None:
            judged.append(_verdict(listening, activity, one, _recorded(trigger_id, one, executions, stops)))
    whole = len(judged) <= LOOKED_AT
    return await _with_claims(connection, judged[:LOOKED_AT]), whole


async def _asked(connection: asyncpg.Connection, trigger_id: str, since: datetime) -> list[Asked]:
    rows = await ledger.versions_of(connection, trigger_id, since)
    versions = await ledger.versions(connection, [(trigger_id, row["version"]) for row in rows])
    return [
        Asked(row, version, conditions.of(version.filter.expression))
        for row in rows
        if (version := versions.get((trigger_id, row["version"])))
    ]


def _listening(asked: Iterable[Asked], recorded: RecordedEvent) -> Asked | None:
    """The version in force, or the first after it, that listens to the event."""
    event, received = recorded.event, recorded.received
    for one in asked:
        over = one.version.until is not None and one.version.until <= received
        if not over and one.row["resource"] == event.resource and event.action in one.row["actions"]:
            return one
    return None


def _verdict(
    of: Asked, activity: Mapping[str, list[tuple[datetime, bool]]], event: RecordedEvent, recorded: Recorded
) -> Judged:
    entity, unreadable = verdicts.entity_of(event.event.entity)
    recorded = replace(recorded, unreadable=unreadable)
    said = [active for at, active in activity.get(of.row["service_id"], []) if at <= event.received]
    candidate = Candidate(
        trigger_id=of.row["trigger_id"],
        version=of.row["version"],
        written=of.version.written,
        later=of.version.at > event.received,
        deleted=of.row["deleted"],
        active=of.row["active"],
        service_active=said[-1] if said else True,
    )
    failing = () if entity is None else conditions.failing(of.conditions, entity)
    question = Question(event=event, entity=entity, recorded=recorded)
    return Judged(question, verdict(candidate, failing, recorded), of.version)


def _recorded(
    trigger_id: str, of: RecordedEvent, executions: Mapping[EventKey, FiredExecution], stops: Mapping[EventKey, Stop]
) -> Recorded:
    key = of.event.project_id, of.event.id
    execution, stop = executions.get(key), stops.get(key)
    return Recorded(
        event_id=of.event.id,
        received=of.received,
        executions={} if execution is None else {trigger_id: execution},
        stops={} if stop is None else {trigger_id: stop},
    )


async def _with_claims(connection: asyncpg.Connection, judged: list[Judged]) -> list[Judged]:
    undecided = [place for place, one in enumerate(judged) if one.verdict.outcome in UNEXPLAINED]
    wanted = [(judged[place].verdict.key, judged[place].question.event.event) for place in undecided]
    for place, claim in (await ledger.claims(connection, wanted)).items():
        judged[undecided[place]] = _with_claim(judged[undecided[place]], claim)
    return judged


def _with_claim(judged: Judged, claim: HeldClaim) -> Judged:
    question, trigger_id = judged.question, judged.verdict.trigger_id
    recorded = replace(question.recorded, claims={trigger_id: claim})
    found = with_claim(judged.verdict, claim, question.event.event.id)
    return replace(judged, question=replace(question, recorded=recorded), verdict=found)


async def _told(pool: asyncpg.Pool, judged: Sequence[Judged]) -> list[shapes.VerdictOnEvent]:
    told = await verdicts.told(pool, [(one.question, one.verdict, one.version) for one in judged])
    return [
        shapes.VerdictOnEvent(
            **msgspec.structs.asdict(shape),
            event_id=one.question.event.event.id,
            entity_id=one.question.event.event.entity_id,
            project_id=one.question.event.event.project_id,
            received=one.question.event.received,
        )
        for shape, one in zip(told, judged, strict=True)
    ]


OPERATIONS = (
    Operation(
        method="GET", path=f"{PREFIX}/triggers/{{id}}/why",
        summary="What it fired at lately, what was refused, and what it nearly fired at", handler=why,
        parameters=(
            Parameter("seconds", "How far to look back; 3600 when not given", 1, _LONGEST),
            Parameter("limit", "Tell of so many events of each kind; 20 when not given", 1, _MOST),
        ),
        answers=shapes.Reasons, refusals=(404,),
    ),
)  # fmt: skip
