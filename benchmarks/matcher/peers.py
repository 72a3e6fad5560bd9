"""What one would take in Python without this project: each filter of 1,000 asked in turn, each verdict compared.

All triggers are of one project, so that no look at the envelope spares the peers anything.
"""

from __future__ import annotations

import json
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path

import orjson

from benchmarks import showing
from benchmarks.matcher import machine, records, sets
from benchmarks.matcher.peer import PEERS
from trigger_engine.match import Index

SETS = ("one", "worst")
ROOT = Path(__file__).parents[2]
OURS = "trigger-engine"


@dataclass(frozen=True, slots=True)
class Rate:
    set: str
    who: str
    rate: float
    """Events a CPU second."""
    compared: int
    """Verdicts compared with plain evaluation; all were equal."""


@dataclass(frozen=True, slots=True)
class Result:
    triggers: int
    rates: list[Rate]

    def json(self) -> dict[str, object]:
        return asdict(self)


def run(triggers: int, events: int, seconds: float, python: str) -> Result:
    """`seconds`: of CPU time for a peer in a set."""
    there = [peer for peer in PEERS if _is_there(python, peer)]
    rates = []
    for name in SETS:
        made = sets.made(name, triggers, events)
        expected = _plain(made)
        rates.append(_ours(name, made, expected))
        rates += [_theirs(name, peer, made, expected, seconds, python) for peer in there]
    return Result(triggers, rates)


def _is_there(python: str, peer: str) -> bool:
    found = subprocess.run([python, "-c", f"import {peer}"], stderr=subprocess.DEVNULL, check=False).returncode == 0
    if not found:
        machine.note(f"{peer} is left out: {python} cannot import it, see benchmarks/requirements.txt")
    return found


def _plain(made: sets.Set) -> list[list[int]]:
    """Which triggers each event passes, asked one by one."""
    entities = [orjson.loads(recorded.event.entity) for recorded in made.events]
    return [[n for n, trigger in enumerate(made.triggers) if trigger.filter.matches(entity)] for entity in entities]


def _ours(name: str, made: sets.Set, expected: list[list[int]]) -> Rate:
    index = Index(made.triggers)
    machine.settle()
    for recorded, passed in zip(made.events, expected, strict=True):
        assert sorted(machine.found(index, [recorded])) == sorted(made.asked[n].id for n in passed)
    _, cpu = machine.timed(index, records.batches(made.events))
    return _told(Rate(name, OURS, len(made.events) / cpu, len(made.events) * len(made.asked)))


def _theirs(name: str, peer: str, made: sets.Set, expected: list[list[int]], seconds: float, python: str) -> Rate:
    asked = {
        "asked": [[(each.path, each.kind, each.value) for each in asked.conditions or ()] for asked in made.asked],
        "entities": [recorded.event.entity.decode() for recorded in made.events],
        "seconds": seconds,
    }
    command = [python, "-m", "benchmarks.matcher.peer", peer]
    told = subprocess.run(command, input=json.dumps(asked), stdout=subprocess.PIPE, cwd=ROOT, check=True, text=True)
    answer = json.loads(told.stdout)
    passed = answer["passed"]
    for n, (theirs, plain) in enumerate(zip(passed, expected, strict=False)):
        differing = set(theirs) ^ set(plain)
        assert not differing, f"{peer}, event {n} of {name}: differs at {made.asked[min(differing)].filter}"
    return _told(Rate(name, peer, answer["rate"], len(passed) * len(made.asked)))


def _told(rate: Rate) -> Rate:
    machine.note(f"{rate.set:9} {rate.who:15} {rate.rate:11,.1f} events a second, {rate.compared:,} verdicts compared")
    return rate


def show(result: Result) -> None:
    ours = {rate.set: rate.rate for rate in result.rates if rate.who == OURS}
    rows = [
        (
            rate.set,
            rate.who,
            showing.number(rate.rate),
            showing.number(ours[rate.set] / rate.rate),
            f"{rate.compared:,}",
        )
        for rate in result.rates
    ]
    head = ("SET", "who", "events a CPU second", "ours is times", "verdicts compared")
    print(f"\n{result.triggers:,} triggers of one project\n\n" + showing.table(head, rows))
