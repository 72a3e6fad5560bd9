"""One run of one peer on a given server, in a new database that is dropped afterwards. Prints one JSON object.

  bulk     jobs added in batches of 500 by 4 callers
  single   one job a call, by 16 callers
  latency  one job a call, 100 a second, whatever became of those before

The worker is a process of its own, as the producer is. The time ends when the last job ran. It is asserted that each
job ran once and is recorded as finished.

Example:
  python -m benchmarks.peers procrastinate latency --dsn postgresql://postgres@127.0.0.1/postgres --jobs 1000
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import uvloop

from benchmarks import load
from benchmarks.peers.contract import Add, Item, peer

PEERS = ("pgqueuer", "procrastinate", "dbos")
BATCH = {"bulk": 500, "single": 1, "latency": 1}
CALLERS = {"bulk": 4, "single": 16, "latency": 16}
RATE = 100
PATIENCE = 120.0


async def run(name: str, how: str, dsn: str, jobs: int) -> dict[str, Any]:
    warm_up = min(jobs, 1000)
    async with _own_database(dsn, name) as own:
        await peer(name).install(own)
        worker = await asyncio.create_subprocess_exec(
            *[sys.executable, "-m", "benchmarks.peers.worker", name, "--dsn", own],
            *["--warm-up", str(warm_up), "--jobs", str(jobs)],
            stdout=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(PATIENCE), peer(name).producer(own, CALLERS[how]) as add:
                await _add_as_fast_as_taken(add, how, range(-warm_up, 0))
                await _said(worker)
                await _quiet(own)
                began = time.time()
                if how == "latency":
                    await _add_in_time(add, range(jobs))
                else:
                    await _add_as_fast_as_taken(add, how, range(jobs))
                ran = await _said(worker)
                await worker.wait()
        finally:
            if worker.returncode is None:
                worker.kill()
                await worker.wait()
        finished = await _fetchval(own, peer(name).FINISHED)
        assert finished == jobs + warm_up, f"{finished} jobs are recorded as finished, of {jobs + warm_up}"
    seconds = ran.pop("ended") - began
    return {"peer": name, "how": how, "jobs": jobs, "seconds": seconds, "rate": jobs / seconds, **ran}


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


async def _said(worker: asyncio.subprocess.Process) -> dict[str, Any]:
    assert worker.stdout is not None
    line = await worker.stdout.readline()
    if not line:
        raise RuntimeError(f"the worker ended with {await worker.wait()}")
    said: dict[str, Any] = json.loads(line)
    return said


@asynccontextmanager
async def _own_database(dsn: str, name: str) -> AsyncIterator[str]:
    database = f"peer_{name}"
    await _execute(dsn, f"DROP DATABASE IF EXISTS {database} WITH (FORCE)", f"CREATE DATABASE {database}")
    try:
        yield urlsplit(dsn)._replace(path=f"/{database}").geturl()
    finally:
        await _execute(dsn, f"DROP DATABASE {database} WITH (FORCE)")


async def _quiet(dsn: str) -> None:
    await _execute(dsn, "ANALYZE", "CHECKPOINT")


async def _execute(dsn: str, *statements: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


async def _fetchval(dsn: str, statement: str) -> Any:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.peers", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("peer", choices=PEERS)
    parser.add_argument("how", choices=BATCH)
    parser.add_argument("--dsn", required=True, help="of a PostgreSQL server, as a user who may create databases")
    parser.add_argument("--jobs", type=int, default=5000)
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    print(json.dumps(uvloop.run(run(given.peer, given.how, given.dsn, given.jobs))))


if __name__ == "__main__":
    main()
