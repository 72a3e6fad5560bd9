"""What an event costs does not grow with the triggers: counted, so that no slow minute of a machine can be blamed."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from benchmarks.matcher import sets
from trigger_engine.match import Index

FEW, MANY = 1_000, 100_000
EVENTS = 1_000
FLAT = ("spread", "one", "worst", "eqonly")


@pytest.fixture(autouse=True)
def _no_collector() -> Iterator[None]:
    """Building an index of a hundred thousand makes no garbage that a collector would have to look for in it."""
    gc.disable()
    yield
    gc.enable()


def work_of(name: str, triggers: int) -> tuple[float, float]:
    """Entries visited and residuals evaluated, and matches, for an event."""
    made = sets.made(name, triggers, EVENTS)
    index = Index(made.triggers)
    work = index.work(made.events)
    matches, unreadable = index.match(made.events)
    assert unreadable == []
    return (work.entries + work.residuals) / EVENTS, sum(len(each.triggers) for each in matches) / EVENTS


@pytest.mark.parametrize("name", FLAT)
def test_a_hundred_thousand_triggers_cost_what_a_thousand_cost(name: str) -> None:
    few, few_matches = work_of(name, FEW)
    many, many_matches = work_of(name, MANY)
    print(f"{name}: {few:.2f} -> {many:.2f} work, {few_matches:.2f} -> {many_matches:.2f} matches")
    assert many <= 1.2 * few
    assert few_matches > 0
    assert many_matches > 0
