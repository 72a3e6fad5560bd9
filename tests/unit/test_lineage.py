"""Who feeds himself is seen by the times of his executions alone; a crowd and a backlog are not taken for it."""

from __future__ import annotations

import random

import pytest

from trigger_engine.guard.lineage import Run, feeds_itself

WANTED = 20


def served(arrivals: list[float], took: float, servers: int) -> list[Run]:
    """As a service with so many places runs them, first come first served."""
    free = [0.0] * servers
    runs = []
    for arrival in arrivals:
        started = max(arrival + 0.003, min(free))
        free[free.index(min(free))] = started + took
        runs.append(Run(arrival, started, started + took))
    return runs


def loop(rounds: int, took: float = 0.05) -> list[Run]:
    runs, now = [Run(0.0, 0.003, 0.003 + took)], 0.0
    for _ in range(rounds):
        now = runs[-1].started + 0.9 * took  # type: ignore[operator]
        runs.append(Run(now, now + 0.003, now + 0.003 + took))
    return runs


@pytest.mark.parametrize("took", [0.005, 1.0, 600.0])
def test_a_loop_feeds_itself_however_slow_it_is(took: float) -> None:
    assert feeds_itself(loop(WANTED, took), WANTED)


def test_a_loop_whose_last_runs_are_not_known_yet_is_seen_too() -> None:
    runs = loop(WANTED)
    runs[-3:] = [Run(run.received) for run in runs[-3:]]
    assert feeds_itself(runs, WANTED)


def test_a_short_chain_is_none() -> None:
    assert not feeds_itself(loop(8), WANTED)
    assert not feeds_itself([], WANTED)


@pytest.mark.parametrize("a_second", [10, 100, 1000])
def test_an_upload_that_is_faster_than_its_service_is_none(a_second: int) -> None:
    arrivals = [number / a_second for number in range(64)]
    assert not feeds_itself(served(arrivals, took=0.5, servers=4), WANTED)


def test_events_now_and_then_are_none() -> None:
    chance = random.Random(1)
    now, arrivals = 0.0, []
    for _ in range(64):
        now += chance.expovariate(2)
        arrivals.append(now)
    assert not feeds_itself(served(arrivals, took=0.1, servers=8), WANTED)


def test_a_steady_stream_that_keeps_one_function_busy_looks_like_a_loop() -> None:
    """What `watching` is for."""
    assert feeds_itself(served([float(number) for number in range(64)], took=1.2, servers=8), WANTED)
