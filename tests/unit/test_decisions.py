"""Verdicts, decided purely: what was recorded goes first, and conditions say what the whole filter says."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import assume, given, settings

from backbone.model import dql
from backbone.model.decisions import (
    Candidate,
    Conditions,
    FiredExecution,
    HeldClaim,
    KnownVersion,
    Outcome,
    Question,
    Recorded,
    Stop,
)
from backbone.model.errors import InvalidFilter
from tests.support.dql_strategies import ENTITIES, FILTERS
from tests.support.matching import RECEIVED, recorded

EXECUTION = UUID(int=7)
FIRED = {"t": FiredExecution(EXECUTION, "success", 3)}
STOPPED = {"t": Stop("a loop", ())}
CLAIMED = {"t": HeldClaim("another event", EXECUTION, RECEIVED)}
OWN_CLAIM = {"t": HeldClaim("event", EXECUTION, RECEIVED)}


def question(filter: Any = None, entity: Any = None, known: dict[str, Any] | None = None, **changes: Any) -> Question:
    compiled = dql.compile(filter)
    candidate = {
        "trigger_id": "t",
        "version": 2,
        "at": RECEIVED - timedelta(hours=1),
        "until": None,
        "active": True,
        "deleted": False,
        "service_active": True,
    }
    return Question(
        event=recorded(),
        entity={"id": "entity"} if entity is None else entity,
        candidates={"t": Candidate(**{**candidate, **changes})},
        known={("t", 2): KnownVersion("name", True, False, compiled, Conditions().of(compiled))},
        recorded=Recorded(event_id="event", received=RECEIVED, **(known or {})),
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
    asked = question(known=known, **changes)
    verdict = asked.verdict("t")
    assert verdict.outcome is outcome
    assert asked.sentence(verdict)[0]


def test_an_execution_names_the_version_that_fired() -> None:
    assert question(known={"executions": FIRED}).verdict("t").version == 3
    assert question().verdict("t").version == 2


def test_what_is_missing_is_counted_and_being_kept_off_is_one_more() -> None:
    filter = {"a": 1, "b": 2, "id": "entity", "$or": [{"c": 3}, {"d": 4}]}
    assert question(filter).verdict("t").missing == 3
    assert question(filter, active=False).verdict("t").missing == 4
    assert [one.label for one in question(filter).verdict("t").failing] == ["a $eq", "b $eq", "$or"]
    assert question(filter, known={"executions": FIRED}).verdict("t").missing == 0


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
    asked = question({"a": 1}, **changes)
    assert asked.near_change(asked.verdict("t")) is near


def test_conditions_that_say_the_same_are_one_and_true_is_not_1() -> None:
    conditions = Conditions()
    one, other, true = (conditions.of(dql.compile({"a": value, "b": "x"})) for value in (1, 1, True))
    assert one == other
    assert (one[0] is true[0], one[1] is true[1]) == (False, True)


@settings(max_examples=100, deadline=None)
@given(filter=FILTERS, entity=ENTITIES)
def test_all_conditions_hold_just_when_the_filter_matches(filter: Any, entity: Any) -> None:
    compiled = accepted(filter)
    assume(compiled is not None and entity is not None)
    assert compiled is not None
    assert all(one.holds(entity) for one in Conditions().of(compiled)) is compiled.matches(entity)


def accepted(filter: Any) -> dql.Filter | None:
    try:
        return dql.compile(filter)
    except InvalidFilter:
        return None
