"""Who waits for rows is woken, in this process and in others, also when a connection breaks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import asyncpg
import pytest

from backbone.kit.loops import Health, keep
from backbone.store.database import Database
from backbone.store.wakeups import Wakeups

LONG = 30.0  # seconds: longer than any test may take

Start = Callable[[str], Awaitable[Wakeups]]


@pytest.fixture
async def start(database: str) -> AsyncIterator[Start]:
    async with AsyncExitStack() as stack:

        async def start(name: str) -> Wakeups:
            opened = await Database(database, name).open()
            stack.push_async_callback(opened.close)
            wakeups = Wakeups(opened)
            running = asyncio.create_task(keep(name, wakeups.run, Health()))

            async def end() -> None:
                running.cancel()
                await asyncio.wait([running])

            stack.push_async_callback(end)
            return wakeups

        yield start


async def cut(dsn: str, name: str, statement: str = "%") -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1 AND query LIKE $2",
            name,
            statement,
        )
    finally:
        await connection.close()


async def woken(wakeups: Wakeups, channel: str) -> None:
    """The signal is set by somebody."""
    signal = wakeups.watch(channel)
    async with asyncio.timeout(10):
        await signal.wait()
    signal.clear()


async def test_a_channel_that_is_new_is_looked_at_once(start: Start) -> None:
    await woken(await start("one"), "channel")


async def test_a_wake_reaches_this_process_and_others_and_no_other_channel(start: Start) -> None:
    one, other = await start("one"), await start("other")
    for wakeups in (one, other):
        await woken(wakeups, "news")
        await woken(wakeups, "quiet")
    one.wake(["news"])
    await woken(one, "news")
    await woken(other, "news")
    assert not one.watch("quiet").is_set()
    assert not other.watch("quiet").is_set()


async def test_a_wake_before_the_connection_is_there_is_sent_when_it_is(start: Start, database: str) -> None:
    listening = await start("listens")
    await woken(listening, "news")
    opened = await Database(database, "late").open()
    late = Wakeups(opened)
    late.wake(["news"])
    running = asyncio.create_task(late.run())
    try:
        await woken(listening, "news")
    finally:
        running.cancel()
        await asyncio.wait([running])
        await opened.close()


async def test_who_waits_while_the_listener_breaks_is_woken_within_a_second(start: Start, database: str) -> None:
    wakeups = await start("one")
    signal = wakeups.watch("news")
    await woken(wakeups, "news")
    waiting = asyncio.create_task(wakeups.wait(signal, LONG))
    clock = asyncio.get_running_loop().time
    began = clock()
    await cut(database, "one", "LISTEN%")
    await waiting
    assert clock() - began < 1


async def test_a_wake_that_the_broken_connection_did_not_send_is_sent_by_the_next(start: Start, database: str) -> None:
    sending, listening = await start("sends"), await start("listens")
    await woken(listening, "news")
    sending.wake(["news"])
    await woken(listening, "news")
    await cut(database, "sends")
    sending.wake(["news"])
    await woken(listening, "news")


async def test_a_wait_ends_by_itself_when_nobody_wakes(start: Start) -> None:
    wakeups = await start("one")
    await woken(wakeups, "news")
    await wakeups.wait(wakeups.watch("news"), at_most=0.01)
    assert not wakeups.watch("news").is_set()
