"""Verdicts on triggers in the API's shape, each with its reason in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

import asyncpg
import orjson

from backbone.model.decisions import Outcome, Question, Verdict, Version
from backbone.model.dql import Explanation
from backbone.store import incidents
from gateway import shapes

Told = tuple[Question, Verdict, Version | None]


def entity_of(written: bytes) -> tuple[Any, str | None]:
    """The entity, or why it does not read: then no filter was asked."""
    try:
        return orjson.loads(written), None
    except (orjson.JSONDecodeError, RecursionError) as error:
        return None, str(error)


def counts(of: Iterable[Verdict]) -> dict[str, int]:
    """By outcome, in the order in which they are told."""
    counted = Counter(one.outcome for one in of)
    return {outcome.value: counted[outcome] for outcome in Outcome if counted[outcome]}


async def told(pool: asyncpg.Pool, given: Iterable[Told]) -> list[shapes.VerdictShape]:
    shaped = [(_shape(*one), *_stop(*one[:2])) for one in given]
    names = await incidents.trigger_names(pool, [link.trigger for _, *links in shaped for link in links])
    for shape, *links in shaped:
        if links:
            shape.chain = [shapes.link(link, names) for link in links]
    return [shape for shape, *_ in shaped]


def _stop(question: Question, verdict: Verdict) -> tuple[Any, ...]:
    stop = question.recorded.stops.get(verdict.trigger_id)
    return stop.chain if stop is not None and verdict.outcome is Outcome.STOPPED else ()


def _shape(question: Question, verdict: Verdict, version: Version | None) -> shapes.VerdictShape:
    execution = question.recorded.executions.get(verdict.trigger_id)
    claim = question.recorded.claims.get(verdict.trigger_id) if verdict.outcome is Outcome.CLAIMED else None
    sentence, explanation = question.sentence(verdict, version)
    return shapes.VerdictShape(
        trigger_id=verdict.trigger_id,
        trigger_name=None if version is None else version.name,
        version=verdict.version,
        outcome=verdict.outcome.value,
        sentence=sentence,
        missing=verdict.missing,
        near_change=question.near_change(verdict, version),
        condition=_condition(explanation) if verdict.failing else None,
        execution=None
        if execution is None
        else shapes.ExecutionOfVerdict(id=str(execution.id), status=execution.status),
        claim=None
        if claim is None
        else shapes.ClaimOfVerdict(
            event_id=claim.event_id, execution_id=str(claim.execution_id), claimed_at=claim.claimed_at
        ),
    )


def _condition(of: Explanation | None) -> shapes.ConditionShape | None:
    if of is None or of.path is None or of.operator is None:
        return None
    return shapes.ConditionShape(
        path=of.path, operator=of.operator, operand=of.operand, seen=of.seen, missing=of.missing
    )
