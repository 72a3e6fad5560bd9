"""Filters that an index finds hard, all triggers of one project: time an event beside that of a selective equality."""

from __future__ import annotations

import gc
from collections.abc import Callable
from dataclasses import asdict, dataclass
from random import Random
from typing import Any

import orjson

from benchmarks import showing
from benchmarks.matcher import entities, machine, records, sets
from benchmarks.matcher.cell import check
from trigger_engine.match import Index

SIZES = (1_000, 10_000)
VALUES = 1_000
"""Of a selective field: with 10,000 triggers ten match an event."""
REFERENCE = "selective equality (reference)"
ASKED = {"$ne and a selective equality": 3.0, "$or across three paths": 3.0}
"""How many times as long as the reference it may take."""
CHECKED = 10


def _batch(random: Random) -> str:
    return entities.selective("metadata.user.batch", sets.project(0), random.randrange(VALUES))


def _low(random: Random, field: str) -> str:
    return entities.low(field, random.randrange(entities.LOW[field]))


def _wide(random: Random) -> dict[str, int]:
    edge = entities.MAX_SIZE // 10
    return {"$gt": random.randrange(edge), "$lt": entities.MAX_SIZE - random.randrange(edge)}


CASES: dict[str, Callable[[Random], dict[str, Any]]] = {
    REFERENCE: lambda r: {"metadata.user.batch": _batch(r)},
    "only $ne, low cardinality": lambda r: {"metadata.user.line": {"$ne": _low(r, "line")}},
    "$ne and a selective equality": lambda r: {
        "metadata.user.batch": _batch(r),
        "metadata.user.line": {"$ne": _low(r, "line")},
    },
    "wildcard with literals of one or two letters": lambda r: {
        "name": f"*{entities.code(r, 2)}*{entities.code(r, 2)}*{entities.code(r, 2)}*{r.choice('xyz')}*"
    },
    "$or across three paths": lambda r: {
        "$or": [
            {path: entities.selective(path, sets.project(0), r.randrange(VALUES))} for path in entities.SELECTIVE[:3]
        ]
    },
    "wide overlapping range": lambda r: {"metadata.system.size": _wide(r)},
    "only $exists: false": lambda r: {f"metadata.user.flag{r.randrange(50)}": {"$exists": False}},
    "$in of 200 values": lambda r: {
        "metadata.user.batch": {"$in": [f"batch-{VALUES + n}" for n in r.sample(range(1_000_000), 200)]}
    },
    "a low-cardinality equality and $ne": lambda r: {
        "metadata.user.line": _low(r, "line"),
        "metadata.user.lane": {"$ne": _low(r, "lane")},
    },
}


@dataclass(frozen=True, slots=True)
class Case:
    name: str
    triggers: int
    micros: float
    """CPU time an event."""
    matches: float
    """An event."""


@dataclass(frozen=True, slots=True)
class Result:
    cases: list[Case]

    def json(self) -> list[dict[str, object]]:
        return [asdict(case) for case in self.cases]


def run(sizes: tuple[int, ...], seconds: float) -> Result:
    """`seconds`: of CPU time for each case and size."""
    return Result([_case(name, size, seconds) for name in CASES for size in sizes])


def _case(name: str, size: int, seconds: float) -> Case:
    random, where = Random(f"{name} {size}"), sets.project(0)
    live = [
        records.trigger(f"t{n}", CASES[name](random), project=where, resource=sets.RESOURCE, action=sets.ACTION)
        for n in range(size)
    ]
    events = [
        records.recorded(
            f"e{n}",
            orjson.dumps(entities.item(random, f"{n:024x}", where, VALUES)),
            project=where,
            resource=sets.RESOURCE,
            action=sets.ACTION,
        )
        for n in range(1_000)
    ]
    index = Index(live)
    check(index, live, events[:CHECKED], seconds)
    machine.settle()
    machine.timed(index, [events[:20]])
    used, matched, done = 0.0, 0, 0
    while used < seconds:
        for batch in (events[start : start + 20] for start in range(0, len(events), 20)):
            matches, cpu = machine.timed(index, [batch])
            used, matched, done = used + cpu, matched + matches, done + len(batch)
            if used >= seconds:
                break
    gc.unfreeze()
    case = Case(name, size, used / done * 1e6, matched / done)
    machine.note(f"{name:45} {size:7,} triggers {case.micros:9,.1f} µs an event")
    return case


def show(result: Result) -> None:
    of = {(case.name, case.triggers): case for case in result.cases}
    sizes = sorted({case.triggers for case in result.cases})
    rows = []
    for name in CASES:
        cells = []
        for size in sizes:
            case, reference = of[name, size], of[REFERENCE, size]
            ratio = case.micros / reference.micros
            cells += [f"{case.micros:,.1f}", f"{ratio:.1f}", f"{case.matches:,.1f}"]
        asked = ASKED.get(name)
        verdict = "" if asked is None else f"asked {asked:g}: {'holds' if ratio <= asked else 'missed'}"
        rows.append((name, *cells, verdict))
    head = ("ALL IN ONE PROJECT", *[cell for size in sizes for cell in (f"µs, {size:,}", "ratio", "matches")], "")
    print("\n" + showing.table(head, rows))
