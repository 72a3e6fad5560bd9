"""What is found out about a suspect, by experiment: hold its matches, and see.

    watched ── matches go on arriving though none of its executions runs ──► closed, it is ordinary
       │
       └─ nothing more arrives ──► probed: a few of the held go on ── they bring no new ones ──► closed
                                      ▲                            └─ they bring new ones ──► open: it is a loop
                                      └───────────── after a while, twice as long each time ────┘

Neither costs anybody an event: what is held waits, and a closed circuit lets it go on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

from trigger_engine.guard.lineage import Run

PROBES = 8
"""Held matches that go on to see what comes of them."""

ECHO = 1.0
"""Seconds after the end of an execution in which what it wrote may still arrive."""

LONGEST_LOOK = 60.0
"""Seconds without any of its executions after which nothing more is expected, also of a slow suspect."""

SHORTEST_LOOK = 2.0
"""Seconds in which also those that come in heaps show that they come without its executions."""

_EXPECTED = 8
"""Matches that would have arrived meanwhile at the suspect's own rate."""

_GAPS = 3
"""As long as so many of the longest gaps between two of its matches."""

_SHARE = 0.25
"""Of that rate: so much arrives without its executions where it does not feed itself."""


class State(StrEnum):
    WATCHED = "watched"
    PROBED = "probed"
    OPEN = "open"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    since: float  #: when this state began; all times are seconds since 1970
    now: float
    rate: float  #: matches a second before it was suspect
    witnesses: Sequence[Run]  #: the executions that were let through last
    arrivals: Sequence[float]  #: when the events of held matches were received: the newest, at most as many as matter
    all_arrivals: bool = True  #: and no others are held
    waiting: bool  #: whether anything is held at all


def next_state(state: State, evidence: Evidence) -> State:
    """The same while it is not known yet."""
    if state is State.OPEN:
        return State.PROBED
    if any(run.ended is None for run in evidence.witnesses):
        return state
    quiet_from = max([evidence.since, *(run.ended for run in evidence.witnesses if run.ended is not None)]) + ECHO
    if evidence.now <= quiet_from:
        return state
    return _watched(evidence, quiet_from) if state is State.WATCHED else _probed(evidence)


def _watched(evidence: Evidence, quiet_from: float) -> State:
    quiet = evidence.now - quiet_from
    of_others = sum(moment > quiet_from for moment in evidence.arrivals)
    if of_others >= max(2, _SHARE * evidence.rate * quiet):
        return State.CLOSED
    if quiet < _look(evidence):
        return State.WATCHED
    return State.PROBED if evidence.waiting else State.CLOSED


def _look(evidence: Evidence) -> float:
    """How long nothing has to arrive until nothing is expected any more."""
    witnessed, arrived = sorted(run.received for run in evidence.witnesses), sorted(evidence.arrivals)
    # Where some of the held are not known, those are in between.
    stretches = [sorted(witnessed + arrived)] if evidence.all_arrivals else [witnessed, arrived]
    gap = max((after - before for moments in stretches for before, after in pairwise(moments)), default=0.0)
    return min(max(SHORTEST_LOOK, _EXPECTED / evidence.rate, _GAPS * gap), LONGEST_LOOK)


def _probed(evidence: Evidence) -> State:
    """What arrives anyway, as it did just before them, they did not bring."""
    before = sum(evidence.since - SHORTEST_LOOK <= moment < evidence.since for moment in evidence.arrivals)
    anyway = before / SHORTEST_LOOK * (evidence.now - evidence.since)
    brought = sum(moment >= evidence.since for moment in evidence.arrivals) - anyway
    return State.OPEN if brought >= max(1, len(evidence.witnesses) / 2) else State.CLOSED
