"""Events a CPU second against the number of triggers: ours in processes of their own, event-ruler as far as it gets.

Each set of `sets` with 10, 1,000, 10,000 and 100,000 triggers; what matched is compared with plain evaluation. Its
rules say the same as our filters, and it must match as often.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks import showing
from benchmarks.matcher import event_ruler, machine, sets
from benchmarks.matcher.cell import Cell
from benchmarks.matcher.event_ruler import EventRuler

SIZES = (10, 1_000, 10_000, 100_000)
THEIR_SIZES = (10, 1_000, 10_000)
THEIR_SETS = ("spread", "one", "worst", "eqonly")
BUILDING = 60.0
"""CPU seconds that event-ruler may take to build a machine,"""
WARMING = 8.0
"""those that it then runs before it is timed,"""
MATCHING = 60.0
"""and about what its passes may take; else it meets fewer events."""
FLAT = 1.2
"""How much more work than with 1,000 triggers 100,000 may cause an event."""
FLOORS = {"spread": 100_000, "one": 100_000, "eqonly": 100_000, "worst": 40_000}
"""Events a CPU second to be reached with 100,000 triggers."""


@dataclass(frozen=True, slots=True)
class Ours:
    set: str
    triggers: int
    processes: list[Cell]

    @property
    def rate(self) -> float:
        return statistics.median(rate for cell in self.processes for rate in cell.rates)

    @property
    def worst(self) -> float:
        return min(rate for cell in self.processes for rate in cell.rates)

    @property
    def first(self) -> Cell:
        return self.processes[0]

    @property
    def work(self) -> float:
        return self.first.entries + self.first.residuals


@dataclass(frozen=True, slots=True)
class Theirs:
    set: str
    triggers: int
    taken: int
    """Rules that it took in time; all, or there is no rate."""
    building: float
    rate: float | None


@dataclass(frozen=True, slots=True)
class Result:
    ours: list[Ours]
    theirs: list[Theirs]

    def json(self) -> dict[str, Any]:
        return {"ours": [asdict(each) for each in self.ours], "theirs": [asdict(each) for each in self.theirs]}


def run(names: Sequence[str], sizes: Sequence[int], processes: int, passes: int, events: int) -> Result:
    ours = [_ours(name, size, processes, passes, events) for name in names for size in sizes]
    reason = event_ruler.missing()
    if reason:
        machine.note(f"event-ruler is left out: {reason}")
        return Result(ours, [])
    matches = {(each.set, each.triggers): each.first.matches for each in ours}
    theirs = [
        _theirs(name, size, passes, events, matches[name, size])
        for name in names
        if name in THEIR_SETS
        for size in sizes
        if size in THEIR_SIZES
    ]
    return Result(ours, theirs)


def _ours(name: str, size: int, processes: int, passes: int, events: int) -> Ours:
    cells = []
    for number in range(processes):
        checked = 0 if number else 200
        words = [name, str(size), "--events", str(events), "--passes", str(passes), "--checked", str(checked)]
        command = [sys.executable, "-m", "benchmarks.matcher.cell", *words]
        told = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout
        cells.append(Cell(**json.loads(told)))
    found = Ours(name, size, cells)
    machine.note(f"{name:9} {size:7,} triggers {found.rate:9,.0f} events a second, {found.first.checked} checked")
    return found


def _theirs(name: str, size: int, passes: int, events: int, matches: int) -> Theirs:
    made = sets.made(name, size, events)
    with tempfile.TemporaryDirectory() as folder, EventRuler(Path(folder)) as ruler:
        ruler.events(_written(made, Path(folder) / "events.json"))
        taken, building = ruler.rules((asked.rule() for asked in made.asked), BUILDING)
        if taken < size:
            machine.note(f"{name:9} {size:7,} triggers: event-ruler took {taken:,} of them in {BUILDING:.0f} s")
            return Theirs(name, size, taken, building, None)
        rate = _their_rate(ruler, passes, events, matches)
    machine.note(f"{name:9} {size:7,} triggers {rate:9,.0f} events a second by event-ruler")
    return Theirs(name, size, taken, building, rate)


def _their_rate(ruler: EventRuler, passes: int, events: int, matches: int) -> float:
    few = min(200, events)
    slow = ruler.run(few).cpu / few * events > MATCHING / passes
    first = few if slow else events
    warmed = 0.0
    while warmed < WARMING:
        counted = ruler.run(first)
        warmed += counted.cpu
        assert slow or counted.matches == matches, f"event-ruler matched {counted.matches}, ours {matches}"
    return statistics.median(first / ruler.run(first).cpu for _ in range(passes))


def _written(made: sets.Set, path: Path) -> Path:
    """The events with their envelope, as event-ruler sees them."""
    with path.open("wb") as file:
        for recorded in made.events:
            envelope = json.dumps(sets.envelope(recorded.event.project_id))[:-1].encode()
            file.write(envelope + b', "entity": ' + recorded.event.entity + b"}\n")
    return path


def show(result: Result) -> None:
    theirs = {(each.set, each.triggers): each for each in result.theirs}
    head = ("SET", "triggers", "ours min", "median", "event-ruler", "matches/event", "entries", "residuals", "checked")
    rows = []
    for each in result.ours:
        first, other = each.first, theirs.get((each.set, each.triggers))
        rows.append(
            (
                each.set,
                f"{each.triggers:,}",
                showing.number(each.worst),
                showing.number(each.rate),
                _shown(other),
                f"{first.matches / first.events:.2f}",
                f"{first.entries:.2f}",
                f"{first.residuals:.2f}",
                str(first.checked),
            )
        )
    print("\nEvents a CPU second; work an event\n\n" + showing.table(head, rows))
    for line in verdicts(result):
        print(line)


def _shown(theirs: Theirs | None) -> str:
    if theirs is None:
        return ""
    return f"took {theirs.taken:,}" if theirs.rate is None else showing.number(theirs.rate)


def verdicts(result: Result) -> list[str]:
    """What was asked of 100,000 triggers, and whether it holds."""
    of = {(each.set, each.triggers): each for each in result.ours}
    lines = []
    for name in dict.fromkeys(each.set for each in result.ours):
        few, many = of.get((name, SIZES[1])), of.get((name, SIZES[-1]))
        if few is None or many is None:
            continue
        ratio = many.work / few.work
        lines.append(f"{name}: {ratio:.2f} times the work of 1,000, asked {FLAT}: {_holds(ratio <= FLAT)}")
        if name in FLOORS:
            floor = FLOORS[name]
            lines.append(f"{name}: {many.rate:,.0f} events a second, asked {floor:,}: {_holds(many.rate >= floor)}")
    return ["", *lines] if lines else []


def _holds(so: bool) -> str:
    return "holds" if so else "missed"
