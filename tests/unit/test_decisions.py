"""Verdicts, decided purely: what was recorded goes first, and conditions say what the whole filter says."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from backbone.model import conditions, dql
from backbone.model.conditions import Answers
from backbone.model.decisions import (
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
from backbone.model.errors import InvalidFilter
from tests.support.dql_strategies import ENTITIES, FILTERS
from tests.support.matching import RECEIVED, recorded

EXECUTION = UUID(int=7)
FIRED = {"t": FiredExecution(EXECUTION, "success", 3)}
STOPPED = {"t": Stop("a loop", ())}
CLAIMED = {"t": HeldClaim("another event", EXECUTION, RECEIVED)}
OWN_CLAIM = {"t": HeldClaim("event", EXECUTION, RECEIVED)}


@dataclass(frozen=True)
class Judged:
    question: Question
    verdict: Verdict
    version: Version


def judged(
    filter: Any = None,
    known: dict[str, Any] | None = None,
    at: datetime = RECEIVED - timedelta(hours=1),
    until: datetime | None = None,
    **changes: Any,
) -> Judged:
    written, entity = msgspec.json.encode(filter).decode(), {"id": "entity"}
    given = {"later": at > RECEIVED, "deleted": False, "active": True, "service_active": True, **changes}
    of = Recorded(event_id="event", received=RECEIVED, **(known or {}))
    found = verdict(Candidate("t", 2, written, **given), Answers(entity).failing(written), of)
    claim = of.claims.get("t")
    return Judged(
        Question(event=recorded(), entity=entity, recorded=of),
        found if claim is None else with_claim(found, claim, "event"),
        Version("name", at, until, written),
    )


@pytest.mark.parametrize(
    ("known", "changes", "outcome"),
    [
        ({}, {}, Outcome.UNRECORDED),
        ({"waiting": True}, {}, Outcome.WAITING),
        ({"claims": CLAIMED}, {}, Outcome.CLAIMED),
        ({"claims": OWN_CLAIM}, {}, Outcome.FIRED),
        ({"stops": STOPPED}, {}, Outcome.STOPPED),
        ({"executions": FIRED}, {}, Outcome.FIRED),
        ({"executions": FIRED, "stops": STOPPED}, {}, Outcome.FIRED),
        ({"unreadable": "no JSON"}, {}, Outcome.UNREADABLE),
        ({}, {"active": False}, Outcome.PAUSED),
        ({"executions": FIRED}, {"active": False}, Outcome.FIRED),
        ({"unreadable": "no JSON"}, {"active": False}, Outcome.PAUSED),
        ({}, {"service_active": False}, Outcome.SERVICE_PAUSED),
        ({}, {"deleted": True}, Outcome.DELETED),
        ({}, {"at": RECEIVED + timedelta(hours=1)}, Outcome.NOT_YET),
        ({"executions": FIRED}, {"at": RECEIVED + timedelta(hours=1)}, Outcome.FIRED),
    ],
)
def test_what_was_recorded_goes_first_then_what_kept_it_off(
    known: dict[str, Any], changes: dict[str, Any], outcome: Outcome
) -> None:
    one = judged(known=known, **changes)
    assert one.verdict.outcome is outcome
    assert one.question.sentence(one.verdict, one.version)[0]


def test_an_execution_names_the_version_that_fired() -> None:
    assert judged(known={"executions": FIRED}).verdict.version == 3
    assert judged().verdict.version == 2


def test_what_is_missing_is_counted_and_being_kept_off_is_one_more() -> None:
    filter = {"a": 1, "b": 2, "id": "entity", "$or": [{"c": 3}, {"d": 4}]}
    assert judged(filter).verdict.missing == 3
    assert judged(filter, active=False).verdict.missing == 4
    assert judged(filter).verdict.failing == ("a $eq", "b $eq", "$or")
    assert judged(filter, known={"executions": FIRED}).verdict.missing == 0


@pytest.mark.parametrize(
    ("changes", "near"),
    [
        ({"at": RECEIVED - timedelta(seconds=1)}, True),
        ({"at": RECEIVED - timedelta(seconds=3)}, False),
        ({"until": RECEIVED + timedelta(seconds=1)}, True),
        ({"until": RECEIVED + timedelta(seconds=3)}, False),
        ({"at": RECEIVED + timedelta(seconds=1)}, True),
    ],
)
def test_a_change_that_may_have_been_on_its_way_is_told(changes: dict[str, Any], near: bool) -> None:
    one = judged({"a": 1}, **changes)
    assert one.question.near_change(one.verdict, one.version) is near


def test_conditions_that_say_the_same_are_asked_once_and_true_is_not_1() -> None:
    answers = Answers({"a": 1, "b": [1, "x"]})
    written = ('{"a":1,"b":"x"}', '{"a":true,"b":"x"}', '{"a":1.0,"b":"y"}', '{"a":[1],"b":1}')
    assert [answers.failing(one) for one in written] == [(), ("a $eq",), ("b $eq",), ("a $eq",)]


def test_answers_that_are_not_kept_any_more_are_found_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conditions, "KEPT", 2)
    answers = Answers({"a": 7})
    assert [bool(answers.failing(f'{{"a":{number % 10}}}')) for number in range(30)] == 3 * [
        number != 7 for number in range(10)
    ]


@settings(max_examples=200, deadline=None)
@given(filters=st.lists(FILTERS, min_size=1, max_size=4), entity=ENTITIES)
def test_what_fails_is_what_the_compiled_filter_says(filters: list[Any], entity: Any) -> None:
    assume(entity is not None)
    answers = Answers(entity)
    for filter in filters:
        compiled = accepted(filter)
        if compiled is not None:
            failing = answers.failing(msgspec.json.encode(filter).decode())
            assert failing == conditions.failing(conditions.of(compiled.expression), entity)
            assert (not failing) is compiled.matches(entity)


@pytest.mark.parametrize(
    "wrapped", ['{"a":1,"b":2}', {"filter": {"a": 1, "b": 2}}, {"a": {"$eq": 1}, "$and": [{"b": 2}]}]
)
def test_a_filter_in_another_shape_says_the_same(wrapped: Any) -> None:
    assert Answers({"b": 2}).failing(msgspec.json.encode(wrapped).decode()) == ("a $eq",)
    assert Answers({}).failing("null") == ()


def accepted(filter: Any) -> dql.Filter | None:
    try:
        return dql.compile(filter)
    except InvalidFilter:
        return None
