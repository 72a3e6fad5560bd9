"""How long it takes to add and to remove a trigger while 100,000 others are there; the next event meets the change."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from random import Random
from typing import TypeVar

import orjson

from benchmarks import showing
from benchmarks.matcher import entities, machine, records, sets
from trigger_engine.match import Index

Subject = TypeVar("Subject")

SET = "one"
ASKED = {"put": 1000.0, "remove": 200.0}
"""CPU microseconds that the slowest in a hundred may take."""
TRIED = 200


@dataclass(frozen=True, slots=True)
class Times:
    """CPU microseconds of one change, the garbage collector's included."""

    p50: float
    p99: float
    longest: float


@dataclass(frozen=True, slots=True)
class Result:
    triggers: int
    changes: int
    times: dict[str, Times]

    def json(self) -> dict[str, object]:
        return asdict(self)


def run(triggers: int, changes: int) -> Result:
    """So many that were not there before are added, replaced by themselves, and removed, each in another order."""
    live = sets.made(SET, triggers + changes, 0).triggers
    index = Index(live[:triggers])
    machine.settle()
    new = live[triggers:]
    _assert_effective(index)
    times = {"put": _times([_timed(index.put, trigger) for trigger in new])}
    Random(7).shuffle(new)
    times["replace"] = _times([_timed(index.put, trigger) for trigger in new])
    Random(8).shuffle(new)
    times["remove"] = _times([_timed(index.remove, trigger.id) for trigger in new])
    assert len(index) == triggers
    return Result(triggers, changes, times)


def _assert_effective(index: Index) -> None:
    """An event meets a trigger that was added just before it, and none that was just removed."""
    random, where = Random(9), sets.project(0)
    for number in range(TRIED):
        entity = entities.item(random, f"{number:024x}", where, 10)
        entity["creator"] = f"new.{number}@example.com"
        event = records.recorded(
            f"e{number}", orjson.dumps(entity), project=where, resource=sets.RESOURCE, action=sets.ACTION
        )
        trigger = records.trigger(
            "new", {"creator": entity["creator"]}, project=where, resource=sets.RESOURCE, action=sets.ACTION
        )
        assert trigger.id not in machine.found(index, [event]), f"{number}: found before it was added"
        index.put(trigger)
        assert trigger.id in machine.found(index, [event]), f"{number}: not found by the event after it was added"
        index.remove(trigger.id)
        assert trigger.id not in machine.found(index, [event]), f"{number}: found by the event after it was removed"


def _timed(change: Callable[[Subject], None], subject: Subject) -> float:
    began = time.process_time()
    change(subject)
    return (time.process_time() - began) * 1e6


def _times(taken: list[float]) -> Times:
    ordered = sorted(taken)
    return Times(ordered[len(ordered) // 2], ordered[len(ordered) * 99 // 100], ordered[-1])


def show(result: Result) -> None:
    rows = []
    for name, times in result.times.items():
        asked = ASKED.get(name)
        verdict = "" if asked is None else "holds" if times.p99 <= asked else "missed"
        figures = [showing.number(figure) for figure in (times.p50, times.p99, times.longest)]
        rows.append((name, *figures, "" if asked is None else f"{asked:,.0f}", verdict))
    head = ("CHANGE, CPU microseconds", "p50", "p99", "longest", "p99 asked", "")
    print(f"\n{result.changes:,} changes beside {result.triggers:,} triggers of {SET!r}; each effective at once\n")
    print(showing.table(head, rows))
