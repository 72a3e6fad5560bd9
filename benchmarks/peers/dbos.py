"""DBOS Transact: a queue polled every 10 ms. It records input, output and status of a workflow."""

from __future__ import annotations

# mypy: disable-error-code="import-not-found"
import asyncio
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

from dbos import DBOS, DBOSClient, DBOSConfig, EnqueueOptions

from benchmarks.peers.contract import Add, Item, Ran

QUEUE = "benchmark"
POLL = 0.01  # seconds
FINISHED = "SELECT count(*) FROM dbos.workflow_status WHERE status = 'SUCCESS'"


async def install(dsn: str) -> None:
    DBOS(config=_config(dsn))
    await asyncio.to_thread(DBOS.launch)
    await asyncio.to_thread(DBOS.destroy)


@asynccontextmanager
async def producer(dsn: str, callers: int) -> AsyncIterator[Add]:
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(callers))
    client = DBOSClient(system_database_url=dsn)
    options: EnqueueOptions = {"queue_name": QUEUE, "workflow_name": "job"}

    async def add(items: Sequence[Item]) -> None:
        for item in items:  # it has no way to add several at once
            await asyncio.to_thread(client.enqueue, options, item)

    try:
        yield add
    finally:
        client.destroy()


async def work(dsn: str, ran: Ran, over: asyncio.Event) -> None:
    def job(item: Item) -> None:
        ran(item)

    DBOS(config=_config(dsn))
    DBOS.workflow(name="job")(job)
    await asyncio.to_thread(DBOS.launch)
    await asyncio.to_thread(DBOS.register_queue, QUEUE, polling_interval_sec=POLL)
    await over.wait()
    await asyncio.to_thread(DBOS.destroy, workflow_completion_timeout_sec=10)


def _config(dsn: str) -> DBOSConfig:
    return {"name": "benchmark", "system_database_url": dsn, "application_version": "1", "log_level": "ERROR"}
