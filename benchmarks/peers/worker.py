"""A peer's worker process: runs warm-up and jobs, says when the first were done and how long each of the others waited.

Started by `python -m benchmarks.peers`. Jobs with a negative number are the warm-up.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import threading
import time

import uvloop

from benchmarks.peers.contract import Item, peer


class Ran:
    """Counts the jobs, each of which must run once. Peers call it from threads too."""

    def __init__(self, warm_up: int, jobs: int, over: asyncio.Event) -> None:
        self._warm_up = warm_up
        self._jobs = jobs
        self._over = over
        self._loop = asyncio.get_running_loop()
        self._lock = threading.Lock()
        self._numbers: set[int] = set()
        self.delays: list[float] = []
        self.ended = 0.0

    def __call__(self, item: Item) -> None:
        now, number = time.time(), item["number"]
        with self._lock:
            if number in self._numbers:
                sys.exit(f"job {number} ran twice")
            self._numbers.add(number)
            if number >= 0:
                self.delays.append((now - item["sent"]) * 1000)
            if len(self._numbers) == self._warm_up:
                print("{}", flush=True)
            if len(self.delays) == self._jobs:
                self.ended = now
                self._loop.call_soon_threadsafe(self._over.set)


async def work(name: str, dsn: str, warm_up: int, jobs: int) -> None:
    over = asyncio.Event()
    ran = Ran(warm_up, jobs, over)
    await peer(name).work(dsn, ran, over)
    delays = sorted(ran.delays)
    figures = {"p50": delays[jobs // 2], "p99": delays[jobs * 99 // 100], "max": delays[-1]}
    print(json.dumps({"ended": ran.ended, "cpu": time.process_time(), **figures}), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers.worker", description=__doc__)
    parser.add_argument("peer")
    parser.add_argument("--dsn", required=True)
    parser.add_argument("--warm-up", type=int, required=True)
    parser.add_argument("--jobs", type=int, required=True)
    given = parser.parse_args()
    uvloop.run(work(given.peer, given.dsn, given.warm_up, given.jobs))


if __name__ == "__main__":
    main()
