"""How fast the matcher finds the triggers of an event, beside others and alone, on one processor.

  citylots  the sixteen banks of event-ruler's own benchmark, ours and theirs turn by turn
  scaling   10 to 100,000 triggers in five sets, ours and event-ruler; the work an event makes, counted
  updates   adding, replacing and removing a trigger beside 100,000 others
  hard      filters that an index finds hard, as ratios to a selective equality
  memory    bytes a trigger
  peers     mongoquery, rule-engine and CEL with 1,000 triggers, each verdict compared
  plot      docs/matcher-scaling.svg from the figures of `scaling` in --json FILE
  all       all of these

Counts and verdicts are asserted before anything is timed. Who is not there (java, mvn, a peer) is left out, and a line
says so. CITYLOTS2=/path/to/citylots2.json.gz takes the original events in the place of our stand-in. A run that starts
on a busy machine is marked as void.

Examples:
  python -m benchmarks.matcher all --json figures.json
  python -m benchmarks.matcher all --quick
  python -m benchmarks.matcher citylots --bank EXACT --bank COMBO --events 20000 --rounds 3
  python -m benchmarks.matcher scaling --set worst --triggers 1000 --triggers 100000
  python -m benchmarks.matcher peers --peers-python peers/bin/python
  python -m benchmarks.matcher plot --json figures.json
  python -m benchmarks.matcher.loading    # from PostgreSQL to the index, and what changes then; by itself
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.matcher import contest, hard, machine, memory, peers, plot, scaling, sets, updates

Given = argparse.Namespace


def citylots(given: Given) -> object:
    rounds, events = (2, 10_000) if given.quick else (given.rounds, given.events)
    result = contest.run(given.data, rounds, events, given.bank)
    contest.show(result)
    return result.json()


def scaled(given: Given) -> object:
    names, sizes = given.set or sets.NAMES, given.triggers or scaling.SIZES
    processes, passes, events = (1, 2, 1_000) if given.quick else (given.processes, given.passes, sets.EVENTS)
    result = scaling.run(names, sizes, processes, passes, events)
    scaling.show(result)
    return result.json()


def updated(given: Given) -> object:
    result = updates.run(10_000 if given.quick else 100_000, 1_000 if given.quick else 5_000)
    updates.show(result)
    return result.json()


def hard_cases(given: Given) -> object:
    result = hard.run(hard.SIZES, 0.2 if given.quick else 2.0)
    hard.show(result)
    return result.json()


def remembered(given: Given) -> object:
    result = memory.run(given.set or sets.NAMES, 10_000 if given.quick else 100_000)
    memory.show(result)
    return result.json()


def compared(given: Given) -> object:
    result = peers.run(1_000, 300, 2 if given.quick else 15, given.peers_python)
    peers.show(result)
    return result.json()


PARTS: dict[str, Callable[[Given], object]] = {
    "citylots": citylots,
    "scaling": scaled,
    "updates": updated,
    "hard": hard_cases,
    "memory": remembered,
    "peers": compared,
}


def main() -> None:
    parser = _parser()
    given = parser.parse_args()
    figures: dict[str, Any] = json.loads(given.json.read_text()) if given.json and given.json.exists() else {}
    if given.part == "plot" and "scaling" not in figures:
        parser.error("plot needs --json FILE with the figures of scaling")
    void = machine.void()
    machine.pin()
    for name in PARTS if given.part == "all" else [given.part]:
        if name in PARTS:
            figures[name] = PARTS[name](given)
            figures.setdefault("void", {})[name] = void
            _write(given.json, figures)
    if given.part in ("plot", "all"):
        plot.FILE.write_text(plot.drawn(plot.panels(figures["scaling"])))
    if void and given.part != "plot":
        print(f"\nVOID: {void}")


def _write(path: Path | None, figures: dict[str, Any]) -> None:
    """After each part, so that the next one's failure costs nothing that was measured."""
    if path:
        path.write_text(json.dumps(figures, indent=2) + "\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.matcher",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("part", choices=[*PARTS, "plot", "all"])
    parser.add_argument("--quick", action="store_true", help="everything once and short: whether it runs, not how fast")
    parser.add_argument("--json", type=Path, metavar="FILE", help="keeps the figures there, beside what it holds")
    cache = Path(tempfile.gettempdir()) / "trigger-engine-benchmarks"
    parser.add_argument("--data", type=Path, default=cache, metavar="FOLDER", help=f"keeps the stand-in ({cache})")
    contested = parser.add_argument_group("citylots")
    contested.add_argument("--rounds", type=int, default=5, help="turns of both sides (5)")
    contested.add_argument("--events", type=int, default=50_000, help="how many are timed; counts are of all (50000)")
    contested.add_argument("--bank", action="append", default=[], metavar="NAME", help="only this one; repeatable")
    scales = parser.add_argument_group("scaling, memory")
    scales.add_argument("--set", action="append", default=[], choices=sets.NAMES, help="only this one; repeatable")
    scales.add_argument("--triggers", action="append", type=int, default=[], help="only so many; repeatable")
    scales.add_argument("--processes", type=int, default=3, help="for each set and number of triggers (3)")
    scales.add_argument("--passes", type=int, default=3, help="in each process (3)")
    others = parser.add_argument_group("peers")
    others.add_argument("--peers-python", default=sys.executable, help="the Python that has the peers (this one)")
    return parser


if __name__ == "__main__":
    main()
