"""Does a trigger feed itself? Each of its events came from within the run of the execution before, on and on.

Only times are known, so parents are guessed, in the trigger's favour: each execution is the parent of one event at
most, and of several that it might be, the oldest one is. Many runs at a time so make few generations of many, as a
backlog does, and one run at a time makes as many as there are events, as a loop does. A stream that keeps one function
busy all the time looks the same; `watching` tells it apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

EXPLAINED = 0.9
"""The share of the events that came from within a run."""

ENOUGH = 0.75
"""The share of the wanted generations that will do: the latest runs are not known yet."""

_CLOCKS = 0.002  # seconds that an agent's clock and the log's may differ, and the milliseconds that ids leave out


@dataclass(slots=True)
class Run:
    """An execution of the trigger: when its event was received, when it ran. Seconds since 1970."""

    received: float
    started: float | None = None
    ended: float | None = None


def feeds_itself(runs: Sequence[Run], wanted: int) -> bool:
    """`runs` in the order in which their events were received."""
    generations = _generations(runs)
    explained = sum(generation > 1 for generation in generations)
    return max(generations, default=0) >= ENOUGH * wanted and explained >= EXPLAINED * (len(runs) - 1)


def _generations(runs: Sequence[Run]) -> list[int]:
    generations: list[int] = []
    parents: list[int] = []  # by index, those that have no child yet
    for index, run in enumerate(runs):
        parent = next((one for one in parents if _within(run.received, runs[one])), None)
        if parent is None:
            generations.append(1)
        else:
            parents.remove(parent)
            generations.append(generations[parent] + 1)
        parents.append(index)
    return generations


def _within(moment: float, run: Run) -> bool:
    if run.started is None or run.started > moment + _CLOCKS:
        return False
    return run.ended is None or moment <= run.ended + _CLOCKS
