"""The cluster profile on real servers: Kafka, PostgreSQL, RabbitMQ, agent. In the given order, --rounds times each:

  reading   a bare loop of aiokafka, decoding and commits, beside ours, which also matches against 1,000 triggers that
            none of the events meets
  tracked   the whole way: appended to Kafka by a process of its own while all is at work, until the last execution
            is settled
  filled    the same with the engine held until all events are in the topic
  latency   100 events a second over HTTP: from sending an event to the start of its function
  peers     tracked and filled beside Dramatiq and Celery on the same RabbitMQ, turn by turn; theirs are adding a job
            of the same size and running it in the worker, nothing recorded

Every event has three triggers with filters of four clauses and mode Once, of which one matches. It is asserted that
each has exactly one execution, that each came to success at its first attempt, and that the function ran as often; of
the peers that each job ran once. Servers are started here, or named by TRIGGER_ENGINE_TEST_KAFKA and
TRIGGER_ENGINE_TEST_RABBITMQ; TMPDIR says which disk is used. Peers that are not there are left out.

Examples:
  python -m benchmarks.cluster reading tracked filled latency --rounds 3
  python -m benchmarks.cluster peers --rounds 3 --peers-python peers/bin/python
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import statistics
import sys
from dataclasses import dataclass, field
from typing import Any

from benchmarks import showing
from benchmarks.cluster import peers, reading, tracked
from benchmarks.cluster.tracked import Cluster
from benchmarks.measuring import Run

MODES = ("reading", "tracked", "filled", "latency", "peers")
OURS = "trigger-engine"
THE_SAME = {"e2e": "tracked", "drained": "filled"}
"""What of ours stands beside what of the peers."""


@dataclass(slots=True)
class Found:
    """What was measured, round by round."""

    runs: dict[str, list[Run]] = field(default_factory=dict)
    """Of the engine, by mode."""

    turns: dict[str, list[dict[str, float]]] = field(default_factory=dict)
    """Of reading and of the peers, by what and who: `rate` and `cpu`."""

    def run(self, mode: str, run: Run) -> None:
        self.runs.setdefault(mode, []).append(run)
        print(f"{mode}: {run.events:,} events, every one executed once; {run.rate:,.0f}/s", file=sys.stderr)

    def turn(self, what: str, figures: dict[str, float]) -> None:
        self.turns.setdefault(what, []).append(figures)
        print(f"{what}: {figures['rate']:,.0f}/s, {figures['cpu']:,.1f} us", file=sys.stderr)

    def median(self, what: str, figure: str) -> float:
        return statistics.median(turn[figure] for turn in self.turns[what])

    def ratios(self) -> dict[str, tuple[float, float]]:
        """What is, and what the project asks for."""
        told: dict[str, tuple[float, float]] = {}
        if "reading, ours" in self.turns:
            for bare in ("bare", "bare, entities decoded"):
                for figure, times in (("rate", 1), ("cpu", -1)):
                    ratio = self.median("reading, ours", figure) / self.median(f"reading, {bare}", figure)
                    told[f"reading, {figure}: ours / {bare}"] = (ratio**times, 0.5)
        of = {mode: showing.figures(runs) for mode, runs in self.runs.items()}
        for mode in ("tracked", "filled"):
            if mode in of:
                told[f"{mode} / 5,000 a second"] = (of[mode]["events/s"] / 5000, 1)
        if "latency" in of:
            told["15 ms / latency p50"] = (15 / of["latency"]["p50 ms"], 1)
            told["60 ms / latency p99"] = (60 / of["latency"]["p99 ms"], 1)
        return told | self._beside_peers()

    def _beside_peers(self) -> dict[str, tuple[float, float]]:
        told = {}
        for what in self.turns:
            how, _, who = what.partition(", ")
            if how in THE_SAME and who != OURS:
                asked = {"e2e": {"dramatiq": 1.0}}.get(how, {}).get(who, 3.0 if who.startswith("celery") else 0.0)
                ours, theirs = self.median(f"{how}, {OURS}", "rate"), self.median(what, "rate")
                told[f"{how}, rate: ours / {who}"] = (ours / theirs, asked)
                ours, theirs = self.median(f"{how}, {OURS}", "cpu"), self.median(what, "cpu")
                told[f"{how}, CPU: {who} / ours"] = (theirs / ours, 0.0)
        return told


async def measured(given: argparse.Namespace) -> Found:
    found = Found()
    if "reading" in given.modes:
        await reading.rounds(
            given.jobs * 4,
            given.rounds,
            lambda who, turn: found.turn(f"reading, {who}", {"rate": turn.rate, "cpu": turn.cpu}),
        )
    modes = [mode for mode in given.modes if mode != "reading"]
    if not modes:
        return found
    there = [who for who in peers.IMPORTS if "peers" in modes and await peers.is_there(given.peers_python, who)]
    if "peers" in modes:
        for who in peers.IMPORTS.keys() - there:
            print(f"{who} is left out: it is not there, see benchmarks/README.md", file=sys.stderr)
    async with tracked.running(given.concurrency) as cluster:
        for number in range(given.rounds):
            for mode in modes:
                name = f"{mode}{number}"
                if mode == "peers":
                    await _contest(cluster, given, name, there, found)
                elif mode == "latency":
                    found.run(mode, await cluster.latency(name, given.seconds))
                else:
                    found.run(mode, await _ours(cluster, mode, name, given.jobs))
    return found


async def _ours(cluster: Cluster, mode: str, name: str, jobs: int) -> Run:
    return await (cluster.tracked if mode == "tracked" else cluster.filled)(name, jobs)


async def _contest(cluster: Cluster, given: argparse.Namespace, name: str, there: list[str], found: Found) -> None:
    for how, mode in THE_SAME.items():
        run = await _ours(cluster, mode, f"{name}{how}", given.jobs)
        found.turn(f"{how}, {OURS}", {"rate": run.rate, "cpu": sum(run.cpu.values())})
        for who in there:
            found.turn(f"{how}, {who}", await peers.run(cluster, given.peers_python, who, how, given.jobs))


def show(found: Found, load: str) -> None:
    if found.runs:
        figures = {mode: showing.figures(runs) for mode, runs in found.runs.items()}
        rows = [(mode, *map(showing.number, of.values())) for mode, of in figures.items()]
        print("\n" + showing.table(("MEDIANS", *next(iter(figures.values()))), rows))
        print("\nProcessor time, us an execution")
        print(showing.by_process({mode: showing.median_run(runs).cpu for mode, runs in found.runs.items()}))
    if found.turns:
        rows = [
            (what, str(len(turns)), *[showing.number(found.median(what, figure)) for figure in ("rate", "cpu")])
            for what, turns in found.turns.items()
        ]
        print("\n" + showing.table(("MEDIANS", "rounds", "a second", "CPU us"), rows))
    rows = []
    for name, (is_, asked) in found.ratios().items():
        rows.append((name, f"{is_:.2f}", f"{asked:g}" if asked else "", _verdict(is_, asked)))
    print("\n" + showing.table(("RATIOS", "is", "asked", ""), rows))
    print(f"\nLoad average at the start: {load}")


def _verdict(is_: float, asked: float) -> str:
    if not asked:
        return ""
    return "holds" if is_ >= asked else "missed"


def _document(found: Found, load: str) -> dict[str, Any]:
    return {
        "load": load,
        "modes": {
            mode: {**showing.figures(runs), "cpu": showing.median_run(runs).cpu} for mode, runs in found.runs.items()
        },
        "turns": found.turns,
        "ratios": {name: {"is": is_, "asked": asked} for name, (is_, asked) in found.ratios().items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.cluster", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("modes", nargs="+", choices=MODES, metavar="MODE")
    parser.add_argument("--rounds", type=int, default=3, help="how often each is measured (3)")
    parser.add_argument(
        "--jobs", type=int, default=20_000, help="events of ours; reading has four times as many, peers a part (20000)"
    )
    parser.add_argument("--seconds", type=float, default=20, help="of a latency run (20)")
    parser.add_argument("--concurrency", type=int, default=500, help="executions at a time in the agent (500)")
    parser.add_argument("--peers-python", default=sys.executable, help="the Python that has the peers (this one)")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON at the end, not as tables")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    load = " ".join(f"{average:.1f}" for average in os.getloadavg())
    found = asyncio.run(measured(given))
    if given.json:
        print(json.dumps(_document(found, load), indent=2))
    else:
        show(found, load)


if __name__ == "__main__":
    main()
