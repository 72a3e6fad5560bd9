"""A peer that is a Python library: added to from this process, at work in another one."""

from __future__ import annotations

import asyncio
import sys
import time

from benchmarks import load
from benchmarks.peers.contract import Add, Item, peer

BATCH = {"bulk": 500, "single": 1, "latency": 1}
CALLERS = {"bulk": 4, "single": 16, "latency": 16}
RATE = 100
PEERS = ("pgqueuer", "procrastinate", "dbos")


async def install(name: str, dsn: str) -> None:
    await peer(name).install(dsn)


def worker(name: str, dsn: str, warm_up: int, jobs: int) -> list[str]:
    sizes = ["--warm-up", str(warm_up), "--jobs", str(jobs)]
    return [sys.executable, "-m", "benchmarks.peers.worker", name, "--dsn", dsn, *sizes]


def finished(name: str, jobs: int) -> str:
    return peer(name).FINISHED


async def produce(name: str, dsn: str, how: str, numbers: range) -> None:
    async with peer(name).producer(dsn, CALLERS[how]) as add:
        if how == "latency":
            await _add_in_time(add, numbers)
        else:
            await _add_as_fast_as_taken(add, how, numbers)


async def _add_as_fast_as_taken(add: Add, how: str, numbers: range) -> None:
    batches = iter([numbers[at : at + BATCH[how]] for at in range(0, len(numbers), BATCH[how])])

    async def call() -> None:
        for batch in batches:
            await add([_item(number) for number in batch])

    await asyncio.gather(*[call() for _ in range(CALLERS[how])])


async def _add_in_time(add: Add, numbers: range) -> None:
    """Each when it is due, whatever became of those before."""
    clock = asyncio.get_running_loop().time
    began = clock()
    async with asyncio.TaskGroup() as calls:
        for number in numbers:
            await asyncio.sleep(max(0.0, began + number / RATE - clock()))
            calls.create_task(add([_item(number)]))


def _item(number: int) -> Item:
    return {"number": number, "sent": time.time(), "note": "x" * (load.EVENT_BYTES - 60)}
