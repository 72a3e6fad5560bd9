"""One set with one number of triggers, in a process of its own: loaded, checked against plain evaluation, timed.

Prints one JSON object. The counts of work depend on nothing but the set.

Example:
  python -m benchmarks.matcher.cell spread 1000 --passes 3 --checked 200
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import orjson

from backbone.model.events import RecordedEvent
from backbone.model.matches import LiveTrigger
from benchmarks.matcher import machine, records, sets
from trigger_engine.match import Index


@dataclass(frozen=True, slots=True)
class Cell:
    set: str
    triggers: int
    events: int
    matches: int
    rates: list[float]
    """Events a CPU second, a figure a pass."""
    loading: float
    """CPU seconds from compiled filters to the index."""
    entries: float
    """Visited in the index, an event;"""
    residuals: float
    """conditions evaluated one by one, an event."""
    checked: int
    """Events whose matches were compared with plain evaluation."""
    filter_bytes: float
    """Memory of a trigger with its compiled filter,"""
    index_bytes: float
    """and what the index takes for it beside that."""


def measured(name: str, triggers: int, events: int, passes: int, checked: int, seconds: float) -> Cell:
    made = sets.made(name, triggers, events)
    before = _memory()
    live = made.triggers
    filters = _memory()
    began = time.process_time()
    index = Index(live)
    loading = time.process_time() - began
    indexed = _memory()
    machine.settle()
    batches = records.batches(made.events)
    matches, _ = machine.timed(index, batches)
    rates = []
    for _ in range(passes):
        again, cpu = machine.timed(index, batches)
        assert again == matches, f"{again} matches, and {matches} the time before"
        rates.append(events / cpu)
    entries, residuals = work(index, made.events)
    return Cell(
        set=name,
        triggers=triggers,
        events=events,
        matches=matches,
        rates=rates,
        loading=loading,
        entries=entries,
        residuals=residuals,
        checked=check(index, live, made.events[:checked], seconds),
        filter_bytes=(filters - before) / triggers,
        index_bytes=(indexed - filters) / triggers,
    )


def _memory() -> int:
    """Bytes that the process has for itself now."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def work(index: Index, events: Sequence[RecordedEvent]) -> tuple[float, float]:
    """What matching looks at for an event: entries of the index, and conditions one by one."""
    counted = index.work(events)
    return counted.entries / len(events), counted.residuals / len(events)


def check(index: Index, live: list[LiveTrigger], events: Sequence[RecordedEvent], seconds: float) -> int:
    """Each event's matches are what its filters say one by one; for so many CPU seconds, at least one event."""
    by_envelope: dict[tuple[str | None, str, str], list[LiveTrigger]] = defaultdict(list)
    for trigger in live:
        for action in trigger.actions:
            by_envelope[trigger.project_id, trigger.resource, action].append(trigger)
    until = time.process_time() + seconds
    checked = 0
    for recorded in events:
        event = recorded.event
        entity = orjson.loads(event.entity)
        candidates = by_envelope[event.project_id, event.resource, event.action]
        expected = sorted(trigger.id for trigger in candidates if trigger.filter.matches(entity))
        found = sorted(machine.found(index, [recorded]))
        assert found == expected, f"{event.id}: found {found}, expected {expected}"
        checked += 1
        if time.process_time() > until:
            break
    return checked


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.matcher.cell",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("set", choices=sets.NAMES)
    parser.add_argument("triggers", type=int)
    parser.add_argument("--events", type=int, default=sets.EVENTS, help=f"({sets.EVENTS})")
    parser.add_argument("--passes", type=int, default=3, help="timed, after one that is not (3)")
    parser.add_argument("--checked", type=int, default=0, help="events compared with plain evaluation (0)")
    parser.add_argument("--seconds", type=float, default=20, help="CPU time that comparing may take (20)")
    given = parser.parse_args()
    cell = measured(given.set, given.triggers, given.events, given.passes, given.checked, given.seconds)
    print(json.dumps(asdict(cell)))


if __name__ == "__main__":
    main()
