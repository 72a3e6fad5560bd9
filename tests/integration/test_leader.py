"""One dispatcher of many does the periodic work."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import partial

import asyncpg
import pytest

from backbone.kit.loops import Health, keep
from backbone.store.database import Database
from dispatcher.leader import lead


@dataclass
class Dispatcher:
    name: str
    at_work: bool = False
    begun: int = 0
    health: Health = field(default_factory=Health)

    async def work(self) -> None:
        self.at_work = True
        self.begun += 1
        try:
            await asyncio.Event().wait()
        finally:
            self.at_work = False


@pytest.fixture
async def two(database: str) -> AsyncIterator[list[Dispatcher]]:
    async with AsyncExitStack() as stack:
        both = [Dispatcher("first"), Dispatcher("second")]
        for dispatcher in both:
            body = partial(lead, Database(database, dispatcher.name), dispatcher.work)
            task = asyncio.create_task(keep("lead", body, dispatcher.health))
            stack.push_async_callback(_end, task)
        yield both


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.005)


async def test_one_leads_and_another_takes_over_when_its_connection_is_gone(
    two: list[Dispatcher], database: str
) -> None:
    await until(lambda: any(one.at_work for one in two))
    [leader] = [one for one in two if one.at_work]
    [standby] = [one for one in two if not one.at_work]
    # Waiting for leadership is no trouble.
    await until(lambda: standby.health.ready)
    began = asyncio.get_running_loop().time()
    connection = await asyncpg.connect(database)
    await connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1", leader.name
    )
    await connection.close()
    await until(lambda: standby.at_work)
    assert asyncio.get_running_loop().time() - began < 3
    await until(lambda: not leader.at_work)
    assert (leader.begun, standby.begun) == (1, 1)


async def test_work_that_breaks_gives_leadership_up_and_says_why(database: str) -> None:
    async def work() -> None:
        raise ZeroDivisionError("ours")

    with pytest.raises(ZeroDivisionError, match="ours"):
        await lead(Database(database, "breaks"), work)
    dispatcher = Dispatcher("next")
    task = asyncio.create_task(lead(Database(database, "next"), dispatcher.work))
    await until(lambda: dispatcher.at_work)
    await _end(task)
    assert not dispatcher.at_work
