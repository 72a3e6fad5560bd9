"""What a trigger fired at lately, what was refused, and what it nearly fired at."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import msgspec

from backbone.model.decisions import Candidate, FiredExecution, Outcome, Question, Recorded, Stop, Verdict
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

Judged = tuple[Question, Verdict]


async def why(call: Call) -> Any:
    trigger_id = call.definition_id("trigger")
    since = datetime.now(UTC) - timedelta(seconds=call.whole_number("seconds", 3600, 1, _LONGEST))
    limit = call.whole_number("limit", 20, 1, _MOST)
    pool = call.parts.database.pool
    async with finding.patiently(pool) as connection:
        questions = await _questions(call, connection, trigger_id, since)
        judged = await _judged(connection, questions[:LOOKED_AT])
    newest_first = [one for one in judged if one[1].outcome is not Outcome.FILTER and not one[1].failing]
    nearest = sorted((one for one in judged if one[1].missing), key=lambda one: one[1].missing)
    return shapes.Reasons(
        trigger_id=trigger_id,
        since=since,
        looked=len(judged),
        whole=len(questions) <= LOOKED_AT,
        counts=verdicts.counts(verdict for _, verdict in judged),
        fired=await _told(pool, [one for one in newest_first if one[1].outcome is Outcome.FIRED][:limit]),
        refused=await _told(pool, [one for one in newest_first if one[1].outcome in _REFUSED][:limit]),
        nearly=await _told(pool, nearest[:limit]),
    )


async def _questions(call: Call, connection: asyncpg.Connection, trigger_id: str, since: datetime) -> list[Question]:
    """One for each event that it listened to, the newest first."""
    versions = await ledger.versions_of(connection, trigger_id, since)
    activity = await ledger.stops_of_services(connection, list({row["service_id"] for row in versions}))
    listens = [row["resource"] for row in versions], [action for row in versions for action in row["actions"]]
    project_id: UUID | None = versions[-1]["project_id"]
    recorded = await ledger.events_since(connection, since, project_id, listens, LOOKED_AT + 1)
    executions, stops = await ledger.recorded_of_trigger(connection, trigger_id, since, 10 * LOOKED_AT)
    known = await call.parts.known_versions.of(connection, [(trigger_id, row["version"]) for row in versions])
    questions = []
    for number, one in enumerate(recorded):
        if number % SLICE == 0:
            await asyncio.sleep(0)
        candidate = _candidate(versions, activity, one)
        if candidate is not None:
            of = _recorded(trigger_id, one, executions, stops)
            entity, unreadable = verdicts.entity_of(one.event.entity)
            questions.append(
                Question(
                    event=one,
                    entity=entity,
                    candidates={trigger_id: candidate},
                    known=known,
                    recorded=replace(of, unreadable=unreadable),
                )
            )
    return questions


def _candidate(
    versions: Sequence[Mapping[str, Any]], activity: Mapping[str, list[tuple[datetime, bool]]], recorded: RecordedEvent
) -> Candidate | None:
    """The version in force, or the first after it, that listens to the event."""
    event, received = recorded.event, recorded.received
    for row in versions:
        over = row["until"] is not None and row["until"] <= received
        if not over and row["resource"] == event.resource and event.action in row["actions"]:
            said = [active for at, active in activity.get(row["service_id"], []) if at <= received]
            return ledger.candidate(row, service_active=said[-1] if said else True)
    return None


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


async def _judged(connection: asyncpg.Connection, questions: Sequence[Question]) -> list[Judged]:
    judged: list[Judged] = []
    for start in range(0, len(questions), SLICE):
        judged += [(one, one.verdict(id)) for one in questions[start : start + SLICE] for id in one.candidates]
        await asyncio.sleep(0)
    keys = [one.undecided([verdict]) for one, verdict in judged]
    held = await ledger.claims(connection, {key for of_one in keys for key in of_one.values()})
    return [_with_claim(one, of_one, held) for one, of_one in zip(judged, keys, strict=True)]


def _with_claim(judged: Judged, keys: Mapping[str, tuple[str, str]], held: Mapping[tuple[str, str], Any]) -> Judged:
    claims = {id: held[key] for id, key in keys.items() if key in held}
    if not claims:
        return judged
    question = replace(judged[0], recorded=replace(judged[0].recorded, claims=claims))
    return question, question.verdict(judged[1].trigger_id)


async def _told(pool: asyncpg.Pool, judged: Sequence[Judged]) -> list[shapes.VerdictOnEvent]:
    told = await verdicts.told(pool, judged)
    return [
        shapes.VerdictOnEvent(
            **msgspec.structs.asdict(shape),
            event_id=question.event.event.id,
            entity_id=question.event.event.entity_id,
            project_id=question.event.event.project_id,
            received=question.event.received,
        )
        for shape, (question, _) in zip(told, judged, strict=True)
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
