"""Why an event made triggers fire, or did not: every trigger that listens to it, the nearest misses first."""

from __future__ import annotations

import asyncio
import heapq
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from operator import attrgetter
from typing import Any

import asyncpg

from backbone.model.decisions import Candidate, Question, Recorded, Verdict
from backbone.model.events import RecordedEvent
from backbone.store import finding, ledger
from gateway import events, shapes, verdicts
from gateway.operations import PREFIX, Call, Operation, Parameter

SLICE = 1_000
"""Filters asked at a time, some milliseconds, with other requests in between."""

_MOST = 1_000
_GROUPS = 50


async def explain(call: Call) -> Any:
    limit = call.whole_number("limit", 100, 1, _MOST)
    pool = call.parts.database.pool
    async with finding.patiently(pool) as connection:
        question = await _question(call, connection, await events.found(call, connection))
        question, found = await _judged(connection, question)
    listed = heapq.nsmallest(limit, found, key=attrgetter("order"))
    event = question.event.event
    return shapes.Explanation(
        event=shapes.EventOfExplanation(
            id=event.id,
            project_id=event.project_id,
            resource=event.resource,
            action=event.action,
            entity_id=event.entity_id,
            received=question.event.received,
        ),
        waiting=question.recorded.waiting,
        unreadable=question.recorded.unreadable,
        counts=verdicts.counts(found),
        triggers=await verdicts.told(pool, [(question, one) for one in listed]),
        groups=_groups(found),
    )


async def _question(call: Call, connection: asyncpg.Connection, recorded: RecordedEvent) -> Question:
    log_in_store = call.parts.event_log.in_store
    known = await ledger.recorded_of(connection, recorded, log_in_store=log_in_store)
    candidates = {one.trigger_id: one for one in await ledger.candidates(connection, recorded)}
    candidates.update(_by_execution(known, candidates))
    entity, unreadable = verdicts.entity_of(recorded.event.entity)
    wanted = [(one.trigger_id, one.version) for one in candidates.values()]
    return Question(
        event=recorded,
        entity=entity,
        candidates=candidates,
        known=await call.parts.known_versions.of(connection, wanted),
        recorded=replace(known, unreadable=known.unreadable or unreadable),
    )


def _by_execution(recorded: Recorded, candidates: dict[str, Candidate]) -> dict[str, Candidate]:
    """What fired by another version than the one in force, as while the engine was behind: the version that it was."""
    return {
        trigger_id: Candidate(
            trigger_id=trigger_id,
            version=execution.trigger_version,
            at=recorded.received,
            until=None,
            active=True,
            deleted=False,
            service_active=True,
        )
        for trigger_id, execution in recorded.executions.items()
        if execution.trigger_version is not None
        and (trigger_id not in candidates or candidates[trigger_id].version != execution.trigger_version)
    }


async def _judged(connection: asyncpg.Connection, question: Question) -> tuple[Question, list[Verdict]]:
    """The verdict on each, and the question with the claims that some of them needed."""
    found: dict[str, Verdict] = {}
    ids = list(question.candidates)
    for start in range(0, len(ids), SLICE):
        found.update((id, question.verdict(id)) for id in ids[start : start + SLICE])
        await asyncio.sleep(0)
    undecided = question.undecided(found.values())
    held = await ledger.claims(connection, undecided.values())
    claims = {id: held[key] for id, key in undecided.items() if key in held}
    question = replace(question, recorded=replace(question.recorded, claims=claims))
    found.update((id, question.verdict(id)) for id in claims)
    return question, list(found.values())


def _groups(found: Sequence[Verdict]) -> list[shapes.VerdictGroup]:
    counted = Counter((one.outcome.value, one.failing[0].label if one.failing else None) for one in found)
    return [
        shapes.VerdictGroup(outcome=outcome, condition=condition, triggers=count)
        for (outcome, condition), count in counted.most_common(_GROUPS)
    ]


OPERATIONS = (
    Operation(
        method="GET", path=f"{PREFIX}/events/{{id:path}}/explanation",
        summary="Why triggers fired at an event, or did not", handler=explain,
        parameters=(
            Parameter("project", "The project it is of, by name or id"),
            Parameter("limit", "Tell of so many triggers, and count the others; 100 when not given", 1, _MOST),
        ),
        answers=shapes.Explanation, refusals=(404,),
    ),
)  # fmt: skip
