"""Procrastinate: concurrency 20, jobs deferred in batches. It records a row and its events a job."""

from __future__ import annotations

# mypy: disable-error-code="import-not-found"
import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from procrastinate import App, PsycopgConnector

from benchmarks.peers.contract import Add, Item, Ran

CONCURRENCY = 20
POLL = 0.5  # seconds; by default a job whose notification it overlooks waits for five
FINISHED = "SELECT count(*) FROM procrastinate_jobs WHERE status = 'succeeded'"


async def install(dsn: str) -> None:
    async with App(connector=PsycopgConnector(conninfo=dsn)).open_async() as app:
        await app.schema_manager.apply_schema_async()


@asynccontextmanager
async def producer(dsn: str, callers: int) -> AsyncIterator[Add]:
    connector = PsycopgConnector(conninfo=dsn, min_size=callers, max_size=callers)
    async with App(connector=connector).open_async() as app:
        deferred = app.configure_task("job")

        async def add(items: Sequence[Item]) -> None:
            if len(items) == 1:
                await deferred.defer_async(item=items[0])
            else:
                await deferred.batch_defer_async(*[{"item": item} for item in items])

        yield add


async def work(dsn: str, ran: Ran, over: asyncio.Event) -> None:
    async with App(connector=PsycopgConnector(conninfo=dsn, min_size=4, max_size=20)).open_async() as app:

        async def job(item: dict[str, Any]) -> None:
            ran(item)

        app.task(name="job")(job)
        working = asyncio.create_task(
            app.run_worker_async(
                concurrency=CONCURRENCY, fetch_job_polling_interval=POLL, install_signal_handlers=False
            )
        )
        await over.wait()
        working.cancel()  # its way to be stopped: what runs is finished first
        await asyncio.wait([working])
