"""PgQueuer: a pool of four, batches of 500, uvloop, everything durable. It records three log rows a job."""

from __future__ import annotations

# mypy: disable-error-code="import-not-found"
import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import asyncpg
from pgqueuer import AsyncpgPoolDriver, PgQueuer, Queries

from benchmarks.peers.contract import Add, Item, Ran

BATCH = 500
FINISHED = "SELECT count(*) FROM pgqueuer_log WHERE status = 'successful'"


async def install(dsn: str) -> None:
    async with asyncpg.create_pool(dsn, min_size=1, max_size=4) as pool:
        await Queries(AsyncpgPoolDriver(pool)).install()


@asynccontextmanager
async def producer(dsn: str, callers: int) -> AsyncIterator[Add]:
    async with asyncpg.create_pool(dsn, min_size=callers, max_size=callers) as pool:
        queries = Queries(AsyncpgPoolDriver(pool))

        async def add(items: Sequence[Item]) -> None:
            payloads: list[bytes | None] = [json.dumps(item).encode() for item in items]
            if len(items) == 1:
                await queries.enqueue("job", payloads[0])
            else:
                await queries.enqueue(["job"] * len(items), payloads, [0] * len(items))

        yield add


async def work(dsn: str, ran: Ran, over: asyncio.Event) -> None:
    async with asyncpg.create_pool(dsn, min_size=4, max_size=4) as pool:
        queue = PgQueuer.from_asyncpg_pool(pool)

        async def job(job: Any) -> None:
            ran(json.loads(job.payload))

        queue.entrypoint("job")(job)
        ending = asyncio.create_task(_end(queue, over))
        await queue.run(batch_size=BATCH, dequeue_timeout=timedelta(seconds=30))
        await ending


async def _end(queue: PgQueuer, over: asyncio.Event) -> None:
    await over.wait()
    queue.shutdown.set()
