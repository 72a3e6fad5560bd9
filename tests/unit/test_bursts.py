"""Whole bursts through the guard's own decisions, as the benchmark does by the hundred."""

from __future__ import annotations

from benchmarks.burst_kinds import FRESH
from benchmarks.bursts import Burst, simulate


def test_what_trickles_in_after_an_outage_is_no_loop() -> None:
    for seed in (6, 20, 38):  # each was one when its trickle was taken for what the executions wrote
        assert not simulate(FRESH["after an outage"], f"after an outage {seed}").taken_for_loop


def test_an_entity_that_was_found_ordinary_is_left_alone() -> None:
    def sensor(_: object) -> Burst:
        return Burst([(float(second), "sensor") for second in range(1_800)], took=3.0, places=16, once=False)

    outcome = simulate(sensor, "sensor")
    assert (outcome.taken_for_loop, 0 < outcome.held < 60) == (False, True)
