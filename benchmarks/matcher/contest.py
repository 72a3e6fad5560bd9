"""event-ruler's own benchmark, ours and theirs turn by turn on one processor: sixteen banks of rules, 213,068 events.

Every count is asserted on both sides before anything is timed.
"""

from __future__ import annotations

import json
import os
import statistics
import tempfile
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path

from backbone.model.events import RecordedEvent
from benchmarks import showing
from benchmarks.matcher import citylots, event_ruler, machine, records
from benchmarks.matcher.banks import Rule, banks
from benchmarks.matcher.event_ruler import EventRuler
from trigger_engine.match import Index

WARM = 3
WANTED = 1.2


@dataclass(slots=True)
class Turns:
    """Events a CPU second, a figure a round."""

    ours: list[float] = field(default_factory=list)
    theirs: list[float] = field(default_factory=list)

    @property
    def ratios(self) -> list[float]:
        return [ours / theirs for ours, theirs in zip(self.ours, self.theirs, strict=True)]


@dataclass(frozen=True, slots=True)
class Result:
    data: str
    banks: dict[str, Turns]

    def json(self) -> dict[str, object]:
        return {"data": self.data, "banks": {name: asdict(turns) for name, turns in self.banks.items()}}


def run(folder: Path, rounds: int, events: int, names: Sequence[str]) -> Result:
    """`events`: how many are timed; counts are asserted on all."""
    path, data = _data(folder)
    every = _read(path)
    machine.settle()
    batches = records.batches(every[:events])
    found: dict[str, Turns] = {}
    reason = event_ruler.missing()
    if reason:
        machine.note(f"event-ruler is left out: {reason}")
    for name, rules in banks().items():
        if not names or name in names:
            with ExitStack() as stack:
                # A new JVM for each bank: what it learned of another one makes it up to twice as slow.
                theirs = None if reason else _theirs(stack, path)
                found[name] = _bank(rules, every, batches, theirs, rounds)
            machine.note(_line(name, found[name]))
    return Result(data, found)


def _data(folder: Path) -> tuple[Path, str]:
    given = os.environ.get("CITYLOTS2")
    if given:
        return Path(given), f"the original, {given}"
    path = folder / "citylots2-stand-in.json"
    if not path.exists():
        machine.note(f"writing {path}, 193 MB")
    return citylots.written(path), "our stand-in for citylots2"


def _read(path: Path) -> list[RecordedEvent]:
    return [records.recorded(f"{n}", line) for n, line in enumerate(citylots.read(path))]


def _theirs(stack: ExitStack, path: Path) -> EventRuler:
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    theirs = stack.enter_context(EventRuler(folder))
    theirs.events(path)
    return theirs


def _bank(
    rules: list[Rule],
    every: list[RecordedEvent],
    batches: list[Sequence[RecordedEvent]],
    theirs: EventRuler | None,
    rounds: int,
) -> Turns:
    expected = [rule.matches for rule in rules]
    index = Index([records.trigger(str(n), rule.filter) for n, rule in enumerate(rules)])
    counted = _counts(index, every, len(rules))
    assert counted == expected, f"ours matched {counted}, expected were {expected}"
    if theirs:
        theirs.rules(json.dumps(rule.rule) for rule in rules)
        counted = theirs.count()
        assert counted == expected, f"event-ruler matched {counted}, expected were {expected}"
    turns = Turns()
    events = sum(map(len, batches))
    for number in range(-WARM, rounds):
        their_pass = theirs.run(events) if theirs else None
        matches, cpu = machine.timed(index, batches)
        assert their_pass is None or their_pass.matches == matches, f"{matches} and {their_pass}"
        if number >= 0:
            turns.ours.append(events / cpu)
            if their_pass:
                turns.theirs.append(events / their_pass.cpu)
    return turns


def _counts(index: Index, every: list[RecordedEvent], rules: int) -> list[int]:
    found: Counter[str] = Counter()
    for batch in records.batches(every):
        found.update(machine.found(index, batch))
    return [found[str(n)] for n in range(rules)]


def _line(name: str, turns: Turns) -> str:
    ratio = f", {statistics.median(turns.ratios):.2f} times as many as theirs" if turns.theirs else ""
    return f"{name:26} {statistics.median(turns.ours):9,.0f} events a second{ratio}"


def show(result: Result) -> None:
    head = ("BANK", "ours min", "median", "theirs min", "median", "ratio median", "worst round")
    rows = []
    for name, turns in result.banks.items():
        figures = [min(turns.ours), statistics.median(turns.ours)]
        figures += [min(turns.theirs), statistics.median(turns.theirs)] if turns.theirs else []
        ratios = [statistics.median(turns.ratios), min(turns.ratios)] if turns.theirs else []
        cells = [*[showing.number(figure) for figure in figures], *[f"{ratio:.2f}" for ratio in ratios]]
        rows.append((name, *cells, *[""] * (len(head) - 1 - len(cells))))
    print(f"\nEvents a CPU second on one processor, {result.data}\n\n" + showing.table(head, rows))
    medians = [statistics.median(turns.ratios) for turns in result.banks.values() if turns.theirs]
    if medians:
        ahead, well = sum(ratio >= 1 for ratio in medians), sum(ratio >= WANTED for ratio in medians)
        print(f"\nahead in {ahead} of {len(medians)} medians, at least {WANTED} in {well}")
