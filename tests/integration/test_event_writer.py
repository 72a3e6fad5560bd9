"""The gateway's writer: who comes with whom in one transaction."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest_asyncio

from gateway.parts import Parts
from gateway.settings import GatewaySettings
from tests.support import gateway
from tests.support.drivers import an_event


@pytest_asyncio.fixture
async def parts(database: str) -> AsyncIterator[Parts]:
    async with gateway.parts(database, GatewaySettings()) as found:
        writing = asyncio.create_task(found.writer.run())
        yield found
        writing.cancel()
        await asyncio.wait([writing])


async def send(parts: Parts, sender: str, times: int, turns: int = 0) -> None:
    """As one connection does: the next when the last was answered, some turns of the loop later."""
    for number in range(times):
        for _ in range(turns):
            await asyncio.sleep(0)
        await parts.writer.write([an_event(f"{sender}-{number}")], 100)


async def transactions(parts: Parts) -> list[int]:
    """How many events each holds, in order."""
    rows = await parts.database.pool.fetch("SELECT count(*) AS events FROM event GROUP BY xid ORDER BY xid")
    return [row["events"] for row in rows]


async def test_who_is_answered_and_comes_back_is_written_with_the_others(parts: Parts) -> None:
    """Each in a turn of its own, so that without waiting they would be 80 transactions."""
    await asyncio.gather(*(send(parts, f"sender {number}", 20, turns=4 * number) for number in range(4)))
    assert len(await transactions(parts)) < 40


async def test_who_does_not_come_back_is_not_waited_for_long(parts: Parts) -> None:
    leaving = [send(parts, f"leaving {number}", 1) for number in range(3)]
    async with asyncio.timeout(10):
        await asyncio.gather(send(parts, "staying", 3), *leaving)
    assert await transactions(parts) == [4, 1, 1]


async def test_a_lonely_sender_is_written_at_once(parts: Parts) -> None:
    await send(parts, "alone", 3)
    assert await transactions(parts) == [1, 1, 1]
