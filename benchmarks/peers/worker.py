"""The worker process of a peer in Python, started by `python -m benchmarks.peers`.

Jobs with a negative number are the warm-up. Says "{}" after it and, when all have run, how long that took from the
first job's adding and how long they waited.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
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
        self.began = math.inf
        self.ended = 0.0

    def __call__(self, item: Item) -> None:
        now, number = time.time(), item["number"]
        with self._lock:
            if number in self._numbers:
                sys.exit(f"job {number} ran twice")
            self._numbers.add(number)
            if number >= 0:
                self.delays.append((now - item["sent"]) * 1000)
                self.began = min(self.began, item["sent"])
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
    print(json.dumps({"seconds": ran.ended - ran.began, **figures}), flush=True)


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
