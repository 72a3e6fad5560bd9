"""What may run: loops stopped, and the one id that a match can have."""

from __future__ import annotations

from datetime import timedelta

import pytest

from backbone.model import causation
from backbone.model.causation import Causation
from backbone.model.executions import decode_new, encode_new
from backbone.model.loops import LoopKind, LoopProtection
from backbone.model.matches import LiveTrigger
from tests.support.matching import PROJECT, RECEIVED, chain, live_trigger, match, recorded
from trigger_engine import guard
from trigger_engine.guard import Circuits, Limits
from trigger_engine.guard.circuits import Key

LIMITS = Limits(max_depth=3)


def judged(trigger: LiveTrigger, came_by: Causation | None) -> str | None:
    """None when it may run, otherwise why not."""
    admitted, stopped = guard.judge([match(trigger, recorded(causation=came_by))], LIMITS)
    assert len(admitted) + len(stopped) == 1
    return stopped[0].reason if stopped else None


def test_an_event_that_nobody_of_us_caused_may_run() -> None:
    assert judged(live_trigger(), None) is None
    assert judged(live_trigger(), Causation()) is None


def test_a_trigger_in_the_chain_does_not_run_again() -> None:
    for others in (["a"], ["x", "a"], ["a", "x"]):
        assert judged(live_trigger("a"), chain(others)) == (
            "trigger 'name of a' is in the chain that led to this event: it would run for ever"
        )
    assert judged(live_trigger("b"), chain(["a"])) is None


def test_a_chain_ends_at_the_limit() -> None:
    assert judged(live_trigger(), chain(["a", "b"])) is None
    assert judged(live_trigger(), chain(["a", "b", "c"])) == "3 executions in a row led to this event; the limit is 3"


def test_what_is_stopped_shows_the_chain_that_led_there() -> None:
    came_by = chain(["trigger"])
    _, [stopped] = guard.judge([match(live_trigger(), recorded("e", causation=came_by))], LIMITS)
    assert causation.decode(stopped.causation) == came_by
    held = stopped.execution
    assert (held.trigger_id, held.event_id, held.project_id, held.entity_id) == ("trigger", "e", PROJECT, "entity")


def test_what_is_admitted_says_what_led_to_its_event() -> None:
    came_by = chain(["first"])
    [new], _ = guard.judge([match(live_trigger(), recorded("e", causation=came_by))], LIMITS)
    assert new.came_by == causation.encode(came_by)
    [root], _ = guard.judge([match(live_trigger(), recorded("e"))], LIMITS)
    assert root.came_by is None


def test_the_same_match_has_the_same_id_whenever_it_is_made() -> None:
    made = [guard.judge([match(live_trigger(), recorded())], LIMITS)[0][0].id for _ in range(2)]
    assert made[0] == made[1]


def test_once_claims_the_entity_and_always_the_event() -> None:
    def ids(once: bool) -> set[object]:
        trigger = live_trigger(once=once)
        admitted, _ = guard.judge([match(trigger, recorded(str(number))) for number in range(3)], LIMITS)
        return {new.id for new in admitted}

    assert (len(ids(once=True)), len(ids(once=False))) == (1, 3)


def test_other_triggers_have_other_ids() -> None:
    admitted, _ = guard.judge([match(live_trigger(name), recorded()) for name in ("a", "b")], LIMITS)
    assert admitted[0].id != admitted[1].id


def test_an_execution_belongs_to_the_day_on_which_its_event_was_received() -> None:
    late = RECEIVED.replace(hour=23, minute=59, second=59, microsecond=999_999)
    admitted, _ = guard.judge(
        [match(live_trigger(), recorded(received=moment)) for moment in (late, late + timedelta(microseconds=1))],
        LIMITS,
    )
    assert [new.event_day.day for new in admitted] == [4, 5]


OWN_BOT = "service@bot.trigger-engine"


def test_what_the_services_own_bot_wrote_without_a_chain_is_stopped() -> None:
    _, [stopped] = guard.judge([match(live_trigger(), recorded(actor=OWN_BOT))], LIMITS)
    assert (stopped.kind, OWN_BOT in stopped.reason) == (LoopKind.ACTOR, True)
    for actor in ("ann@example.com", "another@bot.trigger-engine"):
        assert guard.judge([match(live_trigger(), recorded(actor=actor))], LIMITS)[1] == []
    # With a chain, the chain tells: another trigger of the same service may go on from there.
    assert guard.judge([match(live_trigger(), recorded(actor=OWN_BOT, causation=chain(["x"])))], LIMITS)[1] == []


@pytest.mark.parametrize(
    ("protection", "came_by", "actor", "outcome"),
    [
        ("ignore", ["x"], None, "ignored"),
        ("ignore", [], "another@bot.trigger-engine", "ignored"),
        ("ignore", [], "ann@example.com", "admitted"),
        ("allow-all", ["trigger"], OWN_BOT, "admitted"),
        ("allow-all", [], OWN_BOT, "admitted"),
        ("allow-all", ["a", "b", "c"], None, "stopped"),
        ("avoid-loop", ["x"], None, "admitted"),
    ],
)
def test_a_trigger_says_what_it_does_about_events_of_executions(
    protection: str, came_by: list[str], actor: str | None, outcome: str
) -> None:
    trigger = live_trigger(loop_protection=LoopProtection(protection))
    event = recorded(causation=chain(came_by) if came_by else None, actor=actor)
    admitted, stopped = guard.judge([match(trigger, event)], LIMITS)
    assert {"admitted": (1, 0), "stopped": (0, 1), "ignored": (0, 0)}[outcome] == (len(admitted), len(stopped))


def test_an_open_circuit_holds_its_entity_or_its_whole_trigger_and_nobody_else() -> None:
    matches = [
        match(live_trigger(trigger, once=False), recorded(f"{trigger}{entity}", entity_id=entity))
        for trigger in "tu"
        for entity in "ab"
    ]
    for key, held in (
        (Key("t", LoopKind.ENTITY, "a"), ["ta"]),
        (Key("t", LoopKind.TRIGGER, ""), ["ta", "tb"]),
    ):
        _, stopped = guard.judge(matches, LIMITS, Circuits([key]))
        assert [one.execution.event_id for one in stopped] == held
        assert {one.kind for one in stopped} == {key.kind}


def test_open_circuits_leave_chains_alone() -> None:
    circuits = Circuits([Key("trigger", LoopKind.TRIGGER, "")])
    assert guard.judge([match(live_trigger(), recorded(causation=chain(["x"])))], LIMITS, circuits)[1] == []


def test_what_a_person_allowed_is_not_stopped_again() -> None:
    led = match(live_trigger("a"), recorded(causation=chain(["x", "a", "b"])))
    _, [stopped] = guard.judge([led], Limits(max_depth=10))
    assert stopped.loop == "a>b"
    allowed = Circuits([], [Key("a", LoopKind.CHAIN, "a>b")])
    assert guard.judge([led], Limits(max_depth=10), allowed)[1] == []


def test_what_is_stopped_survives_the_store() -> None:
    _, [stopped] = guard.judge([match(live_trigger(input=b"{}"), recorded(causation=chain(["trigger"])))], LIMITS)
    assert decode_new(encode_new(stopped.execution)) == stopped.execution
