"""What is found out by holding a suspect: nothing is taken for a loop unless its own executions bring its events."""

from __future__ import annotations

from collections.abc import Sequence

from trigger_engine.guard.lineage import Run
from trigger_engine.guard.watching import ECHO, Evidence, State, next_state

ENDED = [Run(99.0, 99.0, 100.0)]


def found(
    state: State,
    *,
    now: float,
    arrivals: Sequence[float] = (),
    witnesses: Sequence[Run] = ENDED,
    rate: float = 10.0,
    since: float = 95.0,
    waiting: bool | None = None,
    all_arrivals: bool = True,
) -> State:
    held = bool(arrivals) if waiting is None else waiting
    return next_state(
        state,
        Evidence(
            since=since,
            now=now,
            rate=rate,
            witnesses=witnesses,
            arrivals=arrivals,
            all_arrivals=all_arrivals,
            waiting=held,
        ),
    )


def test_nothing_is_known_while_an_execution_runs_or_what_it_wrote_may_arrive() -> None:
    for state in (State.WATCHED, State.PROBED):
        assert found(state, now=500, witnesses=[*ENDED, Run(99.0, 99.0)], arrivals=[101, 102, 103]) is state
        assert found(state, now=500, witnesses=[*ENDED, Run(99.0)], arrivals=[101, 102, 103]) is state
        assert found(state, now=100 + ECHO, arrivals=[100.5]) is state


def test_who_goes_on_without_executions_is_ordinary() -> None:
    arrivals = [101.1, 101.2, 101.3, 101.4]
    assert found(State.WATCHED, now=101.5, arrivals=arrivals) is State.CLOSED


def test_a_few_others_do_not_hide_a_loop() -> None:
    assert found(State.WATCHED, now=101.5, arrivals=[100.2, 101.2]) is State.WATCHED
    assert found(State.WATCHED, now=105, arrivals=[100.2, 101.2, 101.9], rate=100.0) is State.PROBED


def test_who_falls_silent_is_tried_with_a_few() -> None:
    assert found(State.WATCHED, now=102.9, arrivals=[99.0]) is State.WATCHED
    assert found(State.WATCHED, now=103.1, arrivals=[99.0]) is State.PROBED


def test_who_comes_in_heaps_is_waited_for_as_long_as_between_them() -> None:
    heaps = [90.0] * 100 + [95.0] * 100 + [100.0] * 100
    assert found(State.WATCHED, now=115, arrivals=heaps, rate=100.0) is State.WATCHED
    assert found(State.WATCHED, now=117, arrivals=heaps, rate=100.0) is State.PROBED


def test_a_slow_one_is_waited_for_longer_but_not_for_ever() -> None:
    assert found(State.WATCHED, now=140, arrivals=[99.0], rate=0.1) is State.WATCHED
    assert found(State.WATCHED, now=161.5, arrivals=[99.0], rate=0.1) is State.PROBED


def test_where_nothing_is_held_nothing_is_kept_back() -> None:
    assert found(State.WATCHED, now=104, arrivals=[], waiting=False) is State.CLOSED


def test_those_that_bring_new_ones_are_a_loop_and_the_others_are_not() -> None:
    probes = [Run(0, 96.0, 100.0) for _ in range(8)]
    before = [90.0] * 500
    for children, state in ((0, State.CLOSED), (3, State.CLOSED), (4, State.OPEN), (16, State.OPEN)):
        arrivals = before + [99.0] * children
        assert found(State.PROBED, now=102, arrivals=arrivals, witnesses=probes) is state
    assert found(State.PROBED, now=102, arrivals=[99.0], witnesses=probes[:1]) is State.OPEN


def test_what_arrives_anyway_was_not_brought_by_those_that_were_tried() -> None:
    """As after an outage: 2 a second are a trickle beside the 100 of the burst, and no loop."""
    probes = [Run(0, 96.0, 100.0) for _ in range(8)]
    anyway = [90 + number / 2 for number in range(24)]
    assert found(State.PROBED, now=102, arrivals=anyway, witnesses=probes) is State.CLOSED
    assert found(State.PROBED, now=102, arrivals=anyway + [99.0] * 3, witnesses=probes) is State.CLOSED
    assert found(State.PROBED, now=102, arrivals=anyway + [99.0] * 8, witnesses=probes) is State.OPEN


def test_what_is_held_and_not_known_makes_no_gap() -> None:
    newest = [100.0 + number / 100 for number in range(50)]
    witnesses = [Run(40.0, 90.0, 100.0)]
    assert found(State.WATCHED, now=110, arrivals=newest, witnesses=witnesses) is State.WATCHED
    assert found(State.WATCHED, now=110, arrivals=newest, witnesses=witnesses, all_arrivals=False) is State.PROBED


def test_an_open_one_is_tried_again() -> None:
    assert found(State.OPEN, now=102) is State.PROBED
