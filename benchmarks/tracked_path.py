"""The tracked path, end to end, as `trigger-engine up` runs it: events over HTTP in, settled executions out.

Each mode is a run, in the given order; a mode given three times is three runs, and the median is told:
  bulk       20 events a request over 16 connections, as fast as they are taken
  single     one event a request over 16 connections, as fast as they are taken
  latency    100 events a second, one a request: from sending an event to the start of its function
  steady     2,000 events a second, one a request: what the processors have left
  slow-disk  latency with a disk that needs 5 ms more for every sync
  flat       bulk, then --finished executions more, then bulk again: is it as fast, has memory grown?

Every event has three triggers with filters of four clauses and mode Once, of which one matches. It is asserted that
every event has exactly one execution, that each came to success at its first attempt, and that the function ran as
often. TMPDIR says which disk is used.

Examples:
  python -m benchmarks.tracked_path bulk bulk bulk single single single latency
  python -m benchmarks.tracked_path steady --seconds 60
  python -m benchmarks.tracked_path flat --finished 1000000
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks import engine, showing, slow_disk
from benchmarks.engine import Engine
from benchmarks.load import Plan
from benchmarks.measuring import Run, measure

MODES = ("bulk", "single", "latency", "steady", "slow-disk", "flat")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    events: int
    warm_up: int
    seconds: float
    finished: int

    def plan(self, mode: str, name: str) -> Plan:
        if mode in ("latency", "slow-disk"):
            return Plan(run=name, events=round(100 * self.seconds), rate=100)
        if mode == "steady":
            return Plan(run=name, events=round(2000 * self.seconds), rate=2000)
        if mode == "single":
            return Plan(run=name, events=self.events // 2)
        return Plan(run=name, events=self.events // 20 * 20, per_request=20)


async def run(modes: list[str], sizes: Sizes, concurrency: int) -> dict[str, list[Run]]:
    runs: dict[str, list[Run]] = {}
    usual = [mode for mode in modes if mode != "slow-disk"]
    slow = [mode for mode in modes if mode == "slow-disk"]
    if usual:
        await _run_all(usual, sizes, concurrency, {}, runs)
    if slow:
        with slow_disk.preloaded() as environment:
            await _run_all(slow, sizes, concurrency, environment, runs)
    return runs


async def _run_all(
    modes: list[str], sizes: Sizes, concurrency: int, environment: Mapping[str, str], runs: dict[str, list[Run]]
) -> None:
    async with engine.running(concurrency, environment) as here:
        requests = max(1, sizes.warm_up // 20)
        await measure(here, Plan(run="warm", events=requests * 20, per_request=20))
        await measure(here, Plan(run="warm1", events=requests))
        for number, mode in enumerate(modes):
            if mode == "flat":
                await _flat(here, sizes, number, runs)
            else:
                _add(runs, mode, await measure(here, sizes.plan(mode, f"run{number}")))


async def _flat(here: Engine, sizes: Sizes, number: int, runs: dict[str, list[Run]]) -> None:
    many = Plan(run=f"many{number}", events=max(20, sizes.finished // 20 * 20), per_request=20)
    _add(runs, "flat: before", await measure(here, sizes.plan("bulk", f"before{number}")))
    _add(runs, "flat: many", await measure(here, many))
    _add(runs, "flat: after", await measure(here, sizes.plan("bulk", f"after{number}")))


def _add(runs: dict[str, list[Run]], mode: str, run: Run) -> None:
    runs.setdefault(mode, []).append(run)
    print(f"{mode}: {run.events:,} events, every one executed once; {run.rate:,.0f}/s", file=sys.stderr)


# What is shown


def show(runs: Mapping[str, list[Run]]) -> None:
    rows = [
        (mode, *[showing.number(figure) for figure in showing.figures(of_mode).values()])
        for mode, of_mode in runs.items()
    ]
    print("\n" + showing.table(("MEDIANS", *showing.figures(next(iter(runs.values())))), rows))
    print("\nProcessor time, us an execution")
    print(showing.by_process({mode: showing.median_run(of_mode).cpu for mode, of_mode in runs.items()}))
    print("\nMemory at the end, MB (and more than at the beginning)")
    print(showing.memory({mode: of_mode[-1] for mode, of_mode in runs.items()}))
    print("\n" + showing.table(("RATIOS", "is"), [(name, f"{ratio:.2f}") for name, ratio in ratios(runs).items()]))


def ratios(runs: Mapping[str, list[Run]]) -> dict[str, float]:
    """What the project asks for; each is to be at least 1."""
    of = {mode: showing.figures(of_mode) for mode, of_mode in runs.items()}
    found: dict[str, float] = {}
    if "bulk" in of:
        found["bulk / 10,000 a second"] = of["bulk"]["events/s"] / 10_000
    if "single" in of:
        found["single / 5,000 a second"] = of["single"]["events/s"] / 5_000
    if "latency" in of:
        found["4 ms / latency p50"] = 4 / of["latency"]["p50 ms"]
        found["15 ms / latency p99"] = 15 / of["latency"]["p99 ms"]
    if "slow-disk" in of:
        found["40 ms / slow-disk p50"] = 40 / of["slow-disk"]["p50 ms"]
    if "steady" in of:
        found["steady idle / 50 %"] = of["steady"]["idle %"] / 50
    if "flat: after" in of:
        found["flat after / 70 % of before"] = of["flat: after"]["events/s"] / (0.7 * of["flat: before"]["events/s"])
    return found


def _document(runs: Mapping[str, list[Run]]) -> dict[str, Any]:
    return {
        "modes": {
            mode: {
                **showing.figures(of_mode),
                "cpu": showing.median_run(of_mode).cpu,
                "memory": of_mode[-1].memory,
                "grown": of_mode[-1].grown,
            }
            for mode, of_mode in runs.items()
        },
        "ratios": ratios(runs),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.tracked_path",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("modes", nargs="+", choices=MODES, metavar="MODE")
    parser.add_argument("--events", type=int, default=60_000, help="of a bulk run; a single run has half (60000)")
    parser.add_argument("--warm-up", type=int, default=4_000, help="events before the first timing (4000)")
    parser.add_argument("--seconds", type=float, default=20, help="of a latency, steady or slow-disk run (20)")
    parser.add_argument("--finished", type=int, default=1_000_000, help="executions in the middle of flat (1000000)")
    parser.add_argument("--concurrency", type=int, default=500, help="executions at a time in the agent (500)")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON at the end, not as tables")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sizes = Sizes(events=given.events, warm_up=given.warm_up, seconds=given.seconds, finished=given.finished)
    runs = asyncio.run(run(given.modes, sizes, given.concurrency))
    if given.json:
        print(json.dumps(_document(runs), indent=2))
    else:
        show(runs)


if __name__ == "__main__":
    main()
