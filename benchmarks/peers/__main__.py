"""One run of one peer on a given server, in a new database that is dropped afterwards. Prints one JSON object.

  bulk     jobs added in batches of 500 by 4 callers
  single   one job a call, by 16 callers
  latency  one job a call, 100 a second, whatever became of those before

The worker is a process of its own, as the producer is. The time is from the first job's adding until the last one ran.
It is asserted that each job ran once and is recorded as finished.

Example:
  python -m benchmarks.peers procrastinate latency --dsn postgresql://postgres@127.0.0.1/postgres --jobs 1000
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import uvloop

from benchmarks.peers import foreign, in_python

PATIENCE = 120.0


async def run(name: str, how: str, dsn: str, jobs: int) -> dict[str, Any]:
    warm_up, peer = min(jobs, 1000), foreign if name in foreign.COMMANDS else in_python
    async with _own_database(dsn, name) as own:
        await peer.install(name, own)
        worker = await asyncio.create_subprocess_exec(
            *peer.worker(name, own, warm_up, jobs), stdout=asyncio.subprocess.PIPE
        )
        try:
            async with asyncio.timeout(PATIENCE):
                await peer.produce(name, own, "bulk", range(-warm_up, 0))
                await _said(worker)
                await _quiet(own)
                await peer.produce(name, own, how, range(jobs))
                figures = await _said(worker)
                await worker.wait()
        finally:
            if worker.returncode is None:
                worker.kill()
                await worker.wait()
        finished = await _fetchval(own, peer.finished(name, jobs + warm_up))
        assert finished == jobs + warm_up, f"{finished} jobs are recorded as finished, of {jobs + warm_up}"
    return {"peer": name, "how": how, "jobs": jobs, "rate": jobs / figures["seconds"], **figures}


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
    parser.add_argument("peer", choices=(*in_python.PEERS, *foreign.COMMANDS))
    parser.add_argument("how", choices=in_python.BATCH)
    parser.add_argument("--dsn", required=True, help="of a PostgreSQL server, as a user who may create databases")
    parser.add_argument("--jobs", type=int, default=5000)
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    print(json.dumps(uvloop.run(run(given.peer, given.how, given.dsn, given.jobs))))


if __name__ == "__main__":
    main()
