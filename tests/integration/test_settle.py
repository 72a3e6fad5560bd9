"""Reports become outcomes, once, whatever comes twice, late, out of order or broken."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest

from backbone.model.messages import Report, WorkItem
from dispatcher import settle
from tests.support import by_hand
from tests.support.by_hand import Hand, finished, printed, progressed, started
from tests.support.running import QUICK, Running, running


@pytest.fixture
async def here(database: str, tmp_path: Path) -> AsyncIterator[Running]:
    """Nobody runs but the settling itself."""
    async with running(database, tmp_path, "", triggers=(), roles=()) as here:
        settling = asyncio.create_task(settle.run(here.parts.database, here.parts.reports, here.parts.wakeups, QUICK))
        yield here
        broke = settling.done()
        settling.cancel()
        await asyncio.wait([settling])
        assert not broke, settling


@pytest.fixture
def hand(here: Running) -> Hand:
    return Hand(here)


async def row(here: Running) -> dict[str, Any]:
    [found] = await here.rows("SELECT * FROM execution")
    return found


async def log_of(here: Running) -> list[tuple[int, str]]:
    lines = await here.rows("SELECT attempt, status FROM status_log ORDER BY attempt, number")
    return [(line["attempt"], line["status"]) for line in lines]


async def test_an_execution_is_settled_and_its_lease_is_gone(here: Running, hand: Hand) -> None:
    [item] = await hand.begin()
    await hand.send(started(item))
    await hand.settled()
    assert (await row(here))["status"] == "in-progress"
    await hand.send(finished(item, output=b'{"a":1}'))
    await hand.settled()
    found = await row(here)
    assert (found["status"], found["output"], found["percent"], found["duration"]) == ("success", b'{"a":1}', 100, 1.0)
    assert found["started_at"] < found["finished_at"]
    assert await here.rows("SELECT FROM lease UNION ALL SELECT FROM pending UNION ALL SELECT FROM queue") == []
    assert await log_of(here) == [(1, "in-progress"), (1, "success")]


async def test_what_is_told_twice_changes_nothing(here: Running, hand: Hand) -> None:
    [item] = await hand.begin()
    said: list[Report] = [started(item), progressed(item, percent=5, message="m"), printed(item), finished(item)]
    await hand.send(*said)
    await hand.settled()
    before = await by_hand.everything(here)
    for report in said:
        await hand.send(report)
    await hand.send(*said)
    await hand.settled()
    assert await by_hand.everything(here) == before
    assert len(await here.rows("SELECT FROM log_chunk")) == 1


async def test_what_comes_out_of_order_does_not_undo_the_end(here: Running, hand: Hand) -> None:
    [item] = await hand.begin()
    await hand.send(finished(item))
    await hand.settled()
    before = await by_hand.everything(here)
    for late in (progressed(item, percent=50, message="late", output=b"1"), started(item), finished(item, "failed")):
        await hand.send(late)
    await hand.settled()
    assert await by_hand.everything(here) == before


@pytest.mark.parametrize("status", ["success", "failed", "rerun"])
async def test_what_is_told_of_an_attempt_that_was_given_up_changes_nothing(
    here: Running, hand: Hand, status: str
) -> None:
    [item] = await hand.begin()
    await hand.send(started(item), finished(item, "failed"))
    await hand.settled()
    assert ((await row(here))["status"], (await row(here))["attempt"]) == ("created", 2)
    before = await by_hand.everything(here)
    await hand.send(started(item), progressed(item, percent=1), finished(item, status))
    await hand.settled()
    assert await by_hand.everything(here) == before


async def test_lines_of_an_old_attempt_that_come_with_reports_of_the_new_one_are_not_written(
    here: Running, hand: Hand
) -> None:
    [item] = await hand.begin()
    await here.rows("UPDATE execution SET attempt = 2")
    second = msgspec.structs.replace(item, attempt=2)
    await hand.send(progressed(item, 7, message="old"), started(second), progressed(second, 1, message="new"))
    await hand.settled()
    assert [line["message"] for line in await here.rows("SELECT * FROM status_log WHERE number > 0")] == ["new"]


async def test_a_failure_goes_to_the_pending_with_its_time_and_its_words_stay(here: Running, hand: Hand) -> None:
    [item] = await hand.begin(max_attempts=2)
    await hand.send(finished(item, "failed", message="no luck", traceback="at line 1"))
    await hand.settled()
    found = await row(here)
    assert (found["status"], found["attempt"], found["message"], found["traceback"]) == (
        "created",
        2,
        "no luck",
        "at line 1",
    )
    assert found["finished_at"] is None
    [waits] = await here.rows("SELECT *, due > now() - interval '1 second' AS soon FROM pending")
    assert (waits["attempt"], waits["soon"]) == (2, True)
    assert await here.rows("SELECT FROM lease") == []


@pytest.mark.parametrize("seed", range(5))
async def test_it_makes_no_difference_how_reports_are_cut_into_batches(here: Running, hand: Hand, seed: int) -> None:
    chance = random.Random(seed)
    together, apart = await hand.begin(2)
    now = datetime.now(UTC)

    ending = chance.choice(["success", "failed", "aborted", "rerun"])
    length = chance.randint(1, 6)

    def said(item: WorkItem) -> list[Report]:
        return [
            started(item, at=now),
            progressed(item, 1, at=now, percent=10, message="begun"),
            progressed(item, 2, at=now, output=b"[1]"),
            progressed(item, 3, at=now, status="thinking"),
            progressed(item, 4, at=now, percent=70),
            finished(item, ending, at=now, started_at=now, message="" if ending == "success" else "why"),
        ]

    await hand.send(*said(together)[:length])
    for report in said(apart)[:length]:
        await hand.send(report)
        await hand.settled()
    await hand.settled()
    one, other = await here.rows("SELECT * FROM execution ORDER BY id = $1", apart.execution_id)
    for found in (one, other):
        del found["id"]
    assert one == other
    lines = "SELECT attempt, number, at, status, percent, message, output FROM status_log WHERE execution_id = $1"
    assert await here.rows(lines + " ORDER BY number", together.execution_id) == await here.rows(
        lines + " ORDER BY number", apart.execution_id
    )


async def test_start_and_end_told_at_once_are_one_row_and_two_lines(here: Running, hand: Hand) -> None:
    together, apart = await hand.begin(2)
    began, ended = datetime(2026, 1, 1, 12, tzinfo=UTC), datetime(2026, 1, 1, 13, tzinfo=UTC)
    await hand.send(finished(together, at=ended, started_at=began), started(apart, at=began))
    await hand.settled()
    await hand.send(finished(apart, at=ended, started_at=began))
    await hand.settled()
    for item, rows in ((together, 1), (apart, 2)):
        kept = await here.rows("SELECT FROM status_line WHERE execution_id = $1", item.execution_id)
        lines = await here.rows("SELECT * FROM status_log WHERE execution_id = $1 ORDER BY at", item.execution_id)
        assert len(kept) == rows
        assert [(line["at"], line["status"]) for line in lines] == [(began, "in-progress"), (ended, "success")]


async def test_printed_lines_alone_are_kept(here: Running, hand: Hand) -> None:
    [item] = await hand.begin()
    await hand.send(printed(item, 1, lines=b"[1]"), printed(item, 2, lines=b"[2]"))
    await hand.settled()
    chunks = await here.rows("SELECT lines FROM log_chunk ORDER BY number")
    assert [chunk["lines"] for chunk in chunks] == [b"[1]", b"[2]"]


async def test_what_postgresql_does_not_keep_is_replaced_and_blocks_nobody(here: Running, hand: Hand) -> None:
    first, second = await hand.begin(2, max_attempts=1)
    await hand.send(
        progressed(first, 1, status="a\0b", message="c\0d", percent=2**31),
        finished(first, "failed", message="e\0f", traceback="g\0h"),
        finished(second),
    )
    await hand.settled()
    by_id = {one["id"]: one for one in await here.rows("SELECT * FROM execution")}
    broken = by_id[first.execution_id]
    assert (broken["status"], broken["message"], broken["traceback"]) == ("failed", "e\ufffdf", "g\ufffdh")
    assert broken["percent"] == 100
    assert by_id[second.execution_id]["status"] == "success"
    [line] = await here.rows("SELECT * FROM status_log WHERE number = 1")
    assert (line["status"], line["message"]) == ("a\ufffdb", "c\ufffdd")


async def test_an_end_that_is_none_is_a_failure_of_ours(here: Running, hand: Hand) -> None:
    [item] = await hand.begin()
    await hand.send(finished(item, "no such end"))
    await hand.settled()
    assert (await row(here))["status"] == "system-failure"
    assert await here.rows("SELECT FROM lease") == []


async def test_reports_of_executions_that_are_gone_block_nobody(here: Running, hand: Hand) -> None:
    [item] = await hand.begin()
    gone = msgspec.structs.replace(item, execution_id=uuid4())
    long_ago = msgspec.structs.replace(item, execution_id=UUID(int=1 << 80))
    for other in (gone, long_ago):
        await hand.send(started(other), progressed(other), printed(other), finished(other))
    await hand.send(finished(item))
    await hand.settled()
    assert (await row(here))["status"] == "success"
    assert await here.rows("SELECT FROM log_chunk") == []


async def test_a_message_that_does_not_read_is_passed_over_and_said(
    here: Running, hand: Hand, caplog: pytest.LogCaptureFixture
) -> None:
    [item] = await hand.begin()
    with caplog.at_level(logging.ERROR):
        await here.rows("INSERT INTO report (body) VALUES ('nonsense')")
        await hand.send(finished(item))
        await hand.settled()
    assert (await row(here))["status"] == "success"
    assert [record.getMessage() for record in caplog.records] == ["report cannot be read, passed over"]


async def test_what_was_settled_and_not_acknowledged_is_settled_again_to_the_same(here: Running, hand: Hand) -> None:
    items = await hand.begin(20)
    said: list[Report] = [report for item in items for report in (started(item), finished(item, "failed"))]
    async with here.parts.database.lane(hashes=True) as connection:
        await settle.write(connection, settle.decide(said, QUICK, datetime.now(UTC), random.random))
    before = await by_hand.everything(here)
    await hand.send(*said)
    await hand.settled()
    assert await by_hand.everything(here) == before
