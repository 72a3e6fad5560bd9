"""What a figure needs to be believed: one processor for both sides, a quiet machine, matching timed in CPU seconds."""

from __future__ import annotations

import gc
import os
import sys
import time
from collections.abc import Sequence

from backbone.kit import huge_pages
from backbone.model.events import RecordedEvent
from trigger_engine.match import Index

LOUD = 1.5
"""Load average at the start from which a result is void."""


def pin() -> int:
    """This process, and those it starts from now on, on one processor."""
    processor = max(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {processor})
    return processor


def void() -> str | None:
    """Why the figures of a run that starts now say nothing."""
    load = os.getloadavg()[0]
    return f"the load average at the start was {load:.1f}, above {LOUD}" if load > LOUD else None


def note(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def settle() -> None:
    """As the engine does when its triggers are loaded: what is there is never looked at by the collector again."""
    gc.collect()
    gc.freeze()
    huge_pages.gather()


def timed(index: Index, batches: Sequence[Sequence[RecordedEvent]]) -> tuple[int, float]:
    """How often the events matched, and the CPU seconds it took."""
    found, cpu = 0, 0.0
    for batch in batches:
        began = time.process_time()
        matches, dead = index.match(batch)
        cpu += time.process_time() - began
        found += sum(len(each.triggers) for each in matches)
        assert not dead, dead[0].reason
    return found, cpu


def found(index: Index, records: Sequence[RecordedEvent]) -> list[str]:
    """The ids of the triggers that match, for each event that they match."""
    matches, dead = index.match(records)
    assert not dead, dead[0].reason
    return [trigger.id for each in matches for trigger in each.triggers]
