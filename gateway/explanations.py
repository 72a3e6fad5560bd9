"""Why an event made triggers fire, or did not: every trigger that listens to it, the nearest misses first."""

from __future__ import annotations

import asyncio
import heapq
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from operator import attrgetter
from typing import Any

import asyncpg

from backbone.model.conditions import Answers
from backbone.model.decisions import (
    UNEXPLAINED,
    Candidate,
    HeldClaim,
    Outcome,
    Question,
    Recorded,
    Verdict,
    verdict,
    with_claim,
)
from backbone.model.events import RecordedEvent
from backbone.store import finding, ledger
from gateway import events, shapes, verdicts
from gateway.operations import PREFIX, Call, Operation, Parameter

READ = 1_000
"""Triggers held at a time."""

SLICE = 100
"""Judged at a time, with other requests in between: half a millisecond, or five when no two filters are alike."""

_MOST = 1_000
_GROUPS = 50


async def explain(call: Call) -> Any:
    limit = call.whole_number("limit", 100, 1, _MOST)
    pool = call.parts.database.pool
    async with finding.patiently(pool) as connection:
        question = await _question(call, connection, await events.found(call, connection))
        question, found = await _judged(connection, question)
        listed = heapq.nsmallest(limit, found.values(), key=attrgetter("order"))
        versions = await ledger.versions(connection, [one.key for one in listed])
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
        counts=verdicts.counts(found.values()),
        triggers=await verdicts.told(pool, [(question, one, versions.get(one.key)) for one in listed]),
        groups=_groups(found.values()),
    )


async def _question(call: Call, connection: asyncpg.Connection, recorded: RecordedEvent) -> Question:
    log_in_store = call.parts.event_log.in_store
    known = await ledger.recorded_of(connection, recorded, log_in_store=log_in_store)
    entity, unreadable = verdicts.entity_of(recorded.event.entity)
    return Question(event=recorded, entity=entity, recorded=replace(known, unreadable=known.unreadable or unreadable))


async def _judged(connection: asyncpg.Connection, question: Question) -> tuple[Question, dict[str, Verdict]]:
    """The verdict on each, and the question with the claims that some of them needed."""
    found: dict[str, Verdict] = {}
    answers = Answers(question.entity)
    async for candidates in ledger.candidates(connection, question.event, READ):
        for start in range(0, len(candidates), SLICE):
            judge(candidates[start : start + SLICE], answers, question.recorded, found)
            await asyncio.sleep(0)
    # What fired by a version that does not listen, or by one that is not known any more.
    for trigger_id, execution in question.recorded.executions.items():
        if trigger_id not in found and execution.trigger_version is not None:
            found[trigger_id] = Verdict(trigger_id, execution.trigger_version, Outcome.FIRED, 0)
    undecided = [one for one in found.values() if one.outcome in UNEXPLAINED]
    claims: dict[str, HeldClaim] = {}
    for start in range(0, len(undecided), READ):
        wanted = undecided[start : start + READ]
        held = await ledger.claims(connection, [(one.key, question.event.event) for one in wanted])
        claims |= {wanted[place].trigger_id: claim for place, claim in held.items()}
    found.update((id, with_claim(found[id], claim, question.event.event.id)) for id, claim in claims.items())
    return replace(question, recorded=replace(question.recorded, claims=claims)), found


def judge(candidates: Iterable[Candidate], answers: Answers, recorded: Recorded, found: dict[str, Verdict]) -> None:
    """Of each trigger the verdict on the first of its versions, as far as no claim decides it."""
    for candidate in candidates:
        known = found.get(candidate.trigger_id)
        if known is None or candidate.version < known.version:
            found[candidate.trigger_id] = verdict(candidate, answers.failing(candidate.written), recorded)


def _groups(found: Iterable[Verdict]) -> list[shapes.VerdictGroup]:
    counted = Counter((one.outcome, one.failing[0] if one.failing else None) for one in found)
    return [
        shapes.VerdictGroup(outcome=outcome.value, condition=condition, triggers=count)
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
