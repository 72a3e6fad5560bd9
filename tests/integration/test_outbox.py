"""Reports that nobody takes: how many may wait, and of what an agent says that it is still its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from agent import report
from agent.report import MANY, MANY_BYTES, Outbox
from backbone.model.messages import Logged, Report, Started
from tests.support.running import Running, running

NOW = datetime(2026, 1, 2, tzinfo=UTC)


@pytest.fixture
async def here(database: str, tmp_path: Path) -> AsyncIterator[Running]:
    async with running(database, tmp_path, "", triggers=(), roles=()) as here:
        yield here


@pytest.fixture
async def outbox(here: Running) -> AsyncIterator[Outbox]:
    outbox = Outbox(here.parts.reports)
    sending = asyncio.create_task(outbox.run())
    try:
        yield outbox
        assert not sending.done()
    finally:
        sending.cancel()
        await asyncio.wait([sending])


@asynccontextmanager
async def nobody_takes_reports(here: Running) -> AsyncIterator[None]:
    async with here.parts.database.pool.acquire() as connection, connection.transaction():
        await connection.execute("LOCK TABLE report")
        yield


def started(execution_id: UUID) -> Started:
    return Started(execution_id=execution_id, attempt=1, at=NOW)


@pytest.mark.parametrize(
    "much",
    [
        [started(UUID(int=number)) for number in range(MANY)],
        [Logged(execution_id=UUID(int=1), attempt=1, number=1, at=NOW, lines=b"x" * MANY_BYTES)],
    ],
    ids=["reports", "bytes"],
)
async def test_there_is_no_room_while_much_is_untold(here: Running, outbox: Outbox, much: Sequence[Report]) -> None:
    async with asyncio.timeout(30):
        await outbox.room()
        async with nobody_takes_reports(here):
            for one in much:
                outbox.put(one)
            waiting = asyncio.create_task(outbox.room())
            await asyncio.sleep(0)
            assert not waiting.done()
        await waiting
        await outbox.drained()


async def test_what_was_begun_is_told_to_be_ours_when_its_report_is_not_taken(
    here: Running, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    execution_id = uuid4()
    async with asyncio.timeout(30):
        async with nobody_takes_reports(here):
            outbox.put(started(execution_id))
            assert outbox.untold() == []
            await until_it_is_sent(here)
            assert outbox.untold() == []  # reports go out in less than `LONG`
            monkeypatch.setattr(report, "LONG", 0.0)
            assert outbox.untold() == [execution_id]
        await outbox.drained()
        assert outbox.untold() == []


async def until_it_is_sent(here: Running) -> None:
    await here.until("SELECT count(*) = 1 FROM pg_locks WHERE relation = 'report'::regclass AND NOT granted")
