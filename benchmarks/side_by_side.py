"""Ours and theirs in one run, on one PostgreSQL server, turn by turn.

  bulk     as fast as it goes: we take 20 events a request over 16 connections, they add 500 jobs a statement
  single   one event a request over 16 connections; they add one job a call from 16 callers
  latency  100 a second, one at a time: from sending to the start of the function

Ours is everything: HTTP, filters, claims, a function in a process of its own. Theirs is adding a job by their library
and running it in the worker itself. Their time ends when the last job ran, ours when the last execution is settled.
Between its turns our engine stays up; what it uses then is told. Peers that are not there are left out: README.md says
how they come.

Examples:
  python -m benchmarks.side_by_side --rounds 5
  python -m benchmarks.side_by_side --rounds 1 --jobs 8000 --seconds 5 --peers-python peers/bin/python
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import statistics
import sys
from dataclasses import dataclass, field
from typing import Any

from benchmarks import engine, showing
from benchmarks.engine import Engine
from benchmarks.load import Plan
from benchmarks.measuring import measure
from benchmarks.peers import foreign, in_python

OURS = "trigger-engine"

# Who takes part, and with what part of --jobs: each run takes a few seconds.
BULK = {OURS: 1.0, "pgqueuer": 0.5, "procrastinate": 0.03, "river": 0.5, "graphile_worker": 0.5}
SINGLE = {
    OURS: 0.5,
    "pgqueuer": 0.1,
    "procrastinate": 0.03,
    "dbos": 0.03,
    "river": 0.2,
    "graphile_worker": 0.1,
}
LATENCY = dict.fromkeys((OURS, "procrastinate", "pgqueuer", "dbos", "river", "graphile_worker"), 1.0)
RATE = 100

# How often at least ours is to be as good as theirs.
ASKED = {
    ("bulk", "rate", "procrastinate"): 10.0,
    ("bulk", "rate", "pgqueuer"): 1.0,
    ("single", "rate", "pgqueuer"): 3.0,
    ("latency", "p50", "procrastinate"): 1.0,
    ("latency", "p99", "procrastinate"): 1.0,
}


@dataclass(slots=True)
class Contest:
    """What was measured: for each way and contender the figures of its runs."""

    runs: dict[str, dict[str, list[dict[str, float]]]] = field(default_factory=dict)
    idling: list[float] = field(default_factory=list)
    """Share of one processor that our engine used during each peer's run."""

    def add(self, how: str, who: str, figures: dict[str, float]) -> None:
        self.runs.setdefault(how, {}).setdefault(who, []).append(figures)
        print(f"{how:8} {who:15} {figures['rate']:9,.0f}/s  p50 {figures['p50']:.1f} ms", file=sys.stderr)

    def median(self, how: str, who: str, figure: str) -> float:
        return statistics.median(run[figure] for run in self.runs[how][who])

    def ratios(self) -> dict[tuple[str, str, str], float]:
        """How many times as good as theirs ours is: more a second, or less time."""
        found = {}
        for how, of in self.runs.items():
            for who in of:
                for figure in ("p50", "p99") if how == "latency" else ("rate",):
                    ours, theirs = self.median(how, OURS, figure), self.median(how, who, figure)
                    if who != OURS:
                        found[how, figure, who] = ours / theirs if figure == "rate" else theirs / ours
        return found


async def contest(rounds: int, jobs: int, seconds: float, concurrency: int, python: str) -> Contest:
    there = [peer for peer in (*in_python.PEERS, *foreign.COMMANDS) if await _is_there(python, peer)]
    for peer in {*in_python.PEERS, *foreign.COMMANDS}.difference(there):
        print(f"{peer} is left out: it is not there, see benchmarks/README.md", file=sys.stderr)
    found = Contest()
    async with engine.running(concurrency) as here:
        await measure(here, Plan(run="warm", events=2000, per_request=20))
        await measure(here, Plan(run="warm1", events=200))
        for number in range(rounds):
            for how, who, share in _turns(there):
                count = round(RATE * seconds) if how == "latency" else max(100, round(jobs * share) // 20 * 20)
                if who == OURS:
                    found.add(how, who, await _ours(here, how, count, f"{how}{number}"))
                else:
                    found.add(how, who, await _theirs(here, python, how, who, count, found.idling))
    return found


def _turns(there: list[str]) -> list[tuple[str, str, float]]:
    ways = {"bulk": BULK, "single": SINGLE, "latency": LATENCY}
    return [(how, who, share) for how, of in ways.items() for who, share in of.items() if who in (OURS, *there)]


async def _ours(here: Engine, how: str, count: int, name: str) -> dict[str, float]:
    rate = RATE if how == "latency" else None
    run = await measure(here, Plan(run=name, events=count, per_request=20 if how == "bulk" else 1, rate=rate))
    return {"rate": run.rate, "p50": run.p50, "p99": run.p99, "max": run.longest}


async def _theirs(here: Engine, python: str, how: str, who: str, count: int, idling: list[float]) -> dict[str, float]:
    used, began = await _used(here), asyncio.get_running_loop().time()
    process = await asyncio.create_subprocess_exec(
        *[python, "-m", "benchmarks.peers", who, how, "--dsn", here.dsn, "--jobs", str(count)],
        stdout=asyncio.subprocess.PIPE,
        cwd=engine.HERE.parent,
    )
    try:
        output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()
    if process.returncode != 0:
        raise RuntimeError(f"{who} ended with {process.returncode}")
    idling.append((await _used(here) - used) / (asyncio.get_running_loop().time() - began))
    figures: dict[str, Any] = json.loads(output)
    return {name: figures[name] for name in ("rate", "p50", "p99", "max")}


async def _used(here: Engine) -> float:
    """Processor time of our engine so far, with its connections to PostgreSQL."""
    roles = ("up", "engine", "dispatcher", "gateway", "agent", "agents", "function")
    mine = {*roles, *[f"postgres: {role}" for role in roles]}
    return sum(use.cpu for name, use in (await here.processes()).items() if name in mine)


async def _is_there(python: str, peer: str) -> bool:
    if peer in foreign.COMMANDS:
        return foreign.is_made(peer)
    process = await asyncio.create_subprocess_exec(
        *[python, "-c", f"import {peer}, asyncpg, uvloop"], stderr=asyncio.subprocess.DEVNULL
    )
    return await process.wait() == 0


def show(found: Contest) -> None:
    figures = ("rate", "p50", "p99", "max")
    rows = [
        (how, who, str(len(runs)), *[showing.number(found.median(how, who, figure)) for figure in figures])
        for how, of in found.runs.items()
        for who, runs in of.items()
    ]
    print("\n" + showing.table(("MEDIANS", "who", "runs", "a second", "p50 ms", "p99 ms", "max ms"), rows))
    compared = []
    for (how, figure, who), ratio in found.ratios().items():
        least = ASKED.get((how, figure, who))
        verdict = "" if least is None else "holds" if ratio >= least else "missed"
        compared.append((f"{how} {figure}, {who}", f"{ratio:.2f}", "" if least is None else f"{least:g}", verdict))
    print("\n" + showing.table(("TIMES AS GOOD AS", "is", "asked", ""), compared))
    if found.idling:
        print(f"\nDuring their turns our engine used {statistics.median(found.idling) * 100:.1f} % of one processor.")


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.side_by_side",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--rounds", type=int, default=3, help="turns of everybody (3)")
    parser.add_argument(
        "--jobs", type=int, default=40_000, help="of our bulk run; the others have a part of it (40000)"
    )
    parser.add_argument("--seconds", type=float, default=10, help="of a latency run (10)")
    parser.add_argument("--concurrency", type=int, default=500, help="executions at a time in our agent (500)")
    parser.add_argument("--peers-python", default=sys.executable, help="the Python that has the peers (this one)")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON at the end, not as tables")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    found = asyncio.run(contest(given.rounds, given.jobs, given.seconds, given.concurrency, given.peers_python))
    if given.json:
        ratios = {" ".join(what): {"is": ratio, "asked": ASKED.get(what)} for what, ratio in found.ratios().items()}
        print(json.dumps({"runs": found.runs, "ratios": ratios, "idling": found.idling}, indent=2))
    else:
        show(found)


if __name__ == "__main__":
    main()
