"""Rates make suspects: by entity, by trigger, never by what brought a chain, and once."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from backbone.model.executions import NewExecution
from backbone.model.loops import LoopKind
from tests.support.matching import RECEIVED, chain, live_trigger, match, recorded
from trigger_engine import guard
from trigger_engine.guard import Limits, Sightings
from trigger_engine.guard.circuits import Key

LIMITS = Limits(entity_matches=5, trigger_matches=20, generations=10)
MILLISECOND = timedelta(milliseconds=1)
TRIGGER = Key("trigger", LoopKind.TRIGGER, "")


def news(
    numbers: Iterable[int],
    *,
    entity: str | None = None,
    every: timedelta = MILLISECOND,
    once: bool = False,
    **event: object,
) -> list[NewExecution]:
    trigger = live_trigger(once=once)
    records = [
        recorded(f"e{number}", entity_id=entity or f"entity-{number}", received=RECEIVED + number * every, **event)
        for number in numbers
    ]
    return guard.judge([match(trigger, one) for one in records], Limits())[0]


def suspects(*batches: list[NewExecution], sightings: Sightings | None = None) -> list[Key]:
    sightings = sightings or Sightings(LIMITS)
    for batch in batches:
        sightings.note(batch)
    return list(sightings.suspects)


def test_an_entity_that_matches_too_often_is_suspect_and_the_others_are_not() -> None:
    assert suspects(news(range(5), entity="a"), news(range(5, 10), entity="b")) == []
    assert suspects(news(range(6), entity="a"), news(range(6, 8))) == [Key("trigger", LoopKind.ENTITY, "a")]


def test_a_trigger_that_matches_too_often_is_suspect_with_its_rate() -> None:
    sightings = Sightings(LIMITS)
    assert suspects(news(range(20)), sightings=sightings) == []
    assert suspects(news(range(20, 30)), sightings=sightings) == [TRIGGER]
    suspect = sightings.suspects[TRIGGER]
    assert suspect.rate == 21  # in a second, as short as it is counted
    assert [new.event_id for new in suspect.witnesses][-1] == "e20"


def test_slow_ones_are_in_windows_of_their_own() -> None:
    assert suspects(news(range(200), every=timedelta(seconds=4))) == []
    assert suspects(news(range(200), entity="a", every=timedelta(seconds=15))) == []


def test_what_brought_a_chain_and_what_is_once_by_entity_is_not_counted() -> None:
    assert suspects(news(range(100), entity="a", causation=chain(["another"]))) == []
    assert suspects(news(range(15), entity="a", once=True)) == []


def test_what_was_found_ordinary_is_suspect_again_at_ten_times_its_rate() -> None:
    sightings = Sightings(LIMITS)
    sightings.pardon({TRIGGER: 10.0})
    assert suspects(news(range(100)), sightings=sightings) == []
    assert suspects(news(range(100, 101)), sightings=sightings) == [TRIGGER]


def test_generations_are_looked_at_once_there_are_enough_and_again_a_second_later() -> None:
    sightings = Sightings(LIMITS)
    sightings.note(news(range(9)))
    assert not sightings.is_due
    sightings.note(news(range(9, 12)))
    assert sightings.is_due
    [(trigger_id, last)] = sightings.to_look_at(100.0, 5)
    assert (trigger_id, len(last)) == ("trigger", 12)
    sightings.note(news(range(12, 19)))
    assert sightings.to_look_at(100.5, 5) == []
    sightings.note(news(range(19, 20)))
    assert sightings.to_look_at(100.9, 5) == []
    sightings.note(news(range(20, 30), every=timedelta(minutes=1)))
    assert len(sightings.to_look_at(101.1, 5)) == 1


def test_a_trigger_that_wants_loops_is_left_alone_for_this_window() -> None:
    sightings = Sightings(LIMITS)
    sightings.note(news(range(1)))
    sightings.leave_alone("trigger")
    assert suspects(news(range(1, 30)), sightings=sightings) == []
    assert sightings.to_look_at(100.0, 5) == []
