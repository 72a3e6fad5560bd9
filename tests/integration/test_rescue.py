"""Executions of agents that were lost are found by their leases; those of living agents are left alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import pytest

from backbone.model.messages import WorkItem
from backbone.model.states import ExecutionStatus
from backbone.store.queries import sql
from dispatcher import enqueue, rescue, settle
from dispatcher.rescue import ExpiredLease
from tests.support.by_hand import Hand, finished, started
from tests.support.running import QUICK, Running, kept_at_work, running

LEASE = timedelta(milliseconds=600)


@pytest.fixture
async def here(database: str, tmp_path: Path) -> AsyncIterator[Running]:
    async with running(database, tmp_path, "", triggers=(), roles=()) as here:
        yield here


@pytest.fixture
def hand(here: Running) -> Hand:
    return Hand(here)


@asynccontextmanager
async def at_work(here: Running, *parts: str) -> AsyncIterator[None]:
    database, wakeups = here.parts.database, here.parts.wakeups
    bodies = {
        "rescue": lambda: rescue.run(database, wakeups, LEASE),
        "settle": lambda: settle.run(database, here.parts.reports, wakeups, QUICK),
        "enqueue": lambda: enqueue.run(database, here.parts.work_queue, wakeups),
    }
    async with kept_at_work(*(bodies[part]() for part in parts)):
        yield


async def on_reset(here: Running, what: str) -> None:
    await here.rows("UPDATE service SET on_reset = $1", what)


async def row(here: Running) -> dict[str, Any]:
    [found] = await here.rows("SELECT * FROM execution")
    return found


async def is_running(here: Running) -> None:
    await here.until("SELECT count(*) > 0 FROM execution WHERE status = 'in-progress'")


async def test_what_a_lost_agent_ran_has_failed_within_another_lease(here: Running, hand: Hand) -> None:
    async with at_work(here, "settle", "rescue"):
        [item] = await hand.begin()
        await hand.beat(LEASE)
        await hand.send(started(item))
        await here.until("SELECT count(*) = 1 FROM execution WHERE status = 'failed'")
    found = await row(here)
    assert found["attempt"] == 1
    assert found["message"] == "the agent that ran this attempt was lost; onReset is 'failed', attempt 1 of 3"
    [session] = await here.rows("SELECT lease_until FROM agent_session WHERE id = $1", hand.session)
    assert session["lease_until"] < found["finished_at"] < session["lease_until"] + LEASE
    assert await here.rows("SELECT FROM lease") == []
    lines = await here.rows("SELECT status, message FROM status_log ORDER BY number")
    assert [line["status"] for line in lines] == ["in-progress", "failed"]
    assert lines[1]["message"] == found["message"]


async def test_it_is_run_again_where_the_service_says_so_and_the_attempt_counts(here: Running, hand: Hand) -> None:
    await on_reset(here, "rerun")
    async with at_work(here, "settle", "rescue", "enqueue"):
        [item] = await hand.begin(max_attempts=2)
        await hand.beat(LEASE)
        await hand.send(started(item))
        other = Hand(here)
        await other.beat(timedelta(minutes=1))
        [again] = await other.take()
        assert (again.execution_id, again.attempt) == (item.execution_id, 2)
        await hand.send(finished(item))  # the lost one was only slow: it is too late
        await hand.settled()
        assert (await row(here))["status"] == "queued"
        await other.send(started(again), finished(again))
        await other.settled()
    assert ((await row(here))["status"], (await row(here))["attempt"]) == ("success", 2)


async def test_the_last_attempt_is_not_run_again(here: Running, hand: Hand) -> None:
    await on_reset(here, "rerun")
    async with at_work(here, "settle", "rescue"):
        [item] = await hand.begin(max_attempts=1)
        await hand.beat(LEASE)
        await hand.send(started(item))
        await here.until("SELECT count(*) = 1 FROM execution WHERE status = 'failed'")
    assert (await row(here))["attempt"] == 1


async def test_nobody_is_taken_for_lost_while_nobody_is_heard_nor_for_a_lease_after(here: Running, hand: Hand) -> None:
    deaf, looks = True, 0

    def hears() -> bool:
        nonlocal looks
        looks += 1
        return not deaf

    lost = Hand(here)
    rescuing = asyncio.create_task(rescue.run(here.parts.database, here.parts.wakeups, LEASE, hears))
    async with at_work(here, "settle"):
        for one in (hand, lost):
            [item] = await one.begin()
            await one.beat(LEASE)
            await one.send(started(item))
        await here.until("SELECT count(*) = 2 FROM execution WHERE status = 'in-progress'")
        await here.until("SELECT count(*) = 2 FROM agent_session WHERE lease_until < now()")
        enough = looks + 5
        async with asyncio.timeout(20):
            while looks < enough:
                await asyncio.sleep(0.01)
        assert await here.rows("SELECT FROM execution WHERE status <> 'in-progress'") == []
        await hand.beat(timedelta(minutes=1))
        deaf, heard = False, datetime.now(UTC)
        await here.until("SELECT count(*) = 1 FROM execution WHERE status = 'failed'")
    rescuing.cancel()
    await asyncio.wait([rescuing])
    [found] = await here.rows("SELECT finished_at FROM execution WHERE status = 'failed'")
    # The last deaf look was at most a sixth of a lease before it heard.
    assert found["finished_at"] - heard > LEASE / 2
    [lease] = await here.rows("SELECT session_id FROM lease")
    assert lease["session_id"] == hand.session


@pytest.mark.parametrize("how", ["after a beat", "without a word", "in order"])
async def test_what_was_never_started_is_given_back_and_not_counted(here: Running, hand: Hand, how: str) -> None:
    async with at_work(here, "rescue", "enqueue"):
        [item] = await hand.begin()
        if how != "without a word":
            await hand.beat(LEASE if how == "after a beat" else timedelta(hours=1))
        if how == "in order":
            await here.parts.reports.leave(hand.session)
        other = Hand(here)
        await other.beat(timedelta(minutes=1))
        [again] = await other.take()
        assert again == item
    assert (await row(here))["status"] == "queued"
    [lease] = await here.rows("SELECT session_id FROM lease")
    assert lease["session_id"] == other.session


async def test_what_a_living_agent_never_begins_is_given_to_another(here: Running, hand: Hand) -> None:
    async with at_work(here, "rescue", "enqueue"):
        [item] = await hand.begin()  # the answer is lost: the agent lives on and does not know of it
        await hand.beat(timedelta(minutes=1))
        other = Hand(here)
        await other.beat(timedelta(minutes=1))
        [again] = await other.take()
    assert again == item


async def test_what_a_living_agent_holds_is_left_alone(here: Running, hand: Hand) -> None:
    async with at_work(here, "rescue", "settle"):
        items = await hand.begin(2)
        await hand.beat(timedelta(minutes=1))
        lost = Hand(here)
        await lost.beat(LEASE)
        [theirs] = await lost.begin()
        await hand.send(*(started(item) for item in items))
        await lost.send(started(theirs))
        await here.until("SELECT count(*) = 1 FROM execution WHERE status = 'failed'")
    by_id = {one["id"]: one["status"] for one in await here.rows("SELECT id, status FROM execution")}
    assert [by_id[item.execution_id] for item in items] == ["in-progress", "in-progress"]
    assert by_id[theirs.execution_id] == "failed"


async def test_an_end_that_was_told_in_time_beats_the_rescue_however_late_it_is_settled(
    here: Running, hand: Hand
) -> None:
    async with at_work(here, "settle"):
        [item] = await hand.begin()
        await hand.beat(LEASE)
        await hand.send(started(item))
        await is_running(here)
    await hand.send(finished(item))
    await here.until("SELECT lease_until < now() FROM agent_session WHERE id = $1", hand.session)
    async with at_work(here, "rescue"):
        for _ in range(3):
            await looked(here)
        assert (await row(here))["status"] == "in-progress"
    async with at_work(here, "rescue", "settle"):
        await hand.settled()
    assert (await row(here))["status"] == "success"
    assert await here.rows("SELECT FROM lease") == []


async def test_after_an_outage_an_agent_that_lives_has_time_to_say_so(here: Running, hand: Hand) -> None:
    async with at_work(here, "settle"):
        [item] = await hand.begin()
        await hand.beat(timedelta())  # as if time had passed for everybody while the database was away
        await hand.send(started(item))
        await is_running(here)
    async with at_work(here, "rescue"):
        await looked(here)
        assert (await row(here))["status"] == "in-progress"
        await hand.beat(timedelta(minutes=1))
        for _ in range(3):
            await looked(here)
    assert (await row(here))["status"] == "in-progress"
    assert len(await here.rows("SELECT FROM lease")) == 1


async def looked(here: Running) -> None:
    """The rescue has looked at the leases once more: it is met at the door and let through."""
    connection = await asyncpg.connect(here.parts.database.dsn)
    try:
        async with connection.transaction():
            await connection.execute("LOCK TABLE lease IN ACCESS EXCLUSIVE MODE")
            await here.until("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND relation = 'lease'::regclass)")
        await here.until("SELECT NOT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND relation = 'lease'::regclass)")
        # The lock is had; this waits until it is let go, that is until the look is over.
        async with connection.transaction():
            await connection.execute("LOCK TABLE lease IN ACCESS EXCLUSIVE MODE")
    finally:
        await connection.close()


def lost(item: WorkItem, status: str) -> ExpiredLease:
    return ExpiredLease(
        execution_id=item.execution_id,
        attempt=item.attempt,
        status=ExecutionStatus(status),
        max_attempts=item.max_attempts,
        on_reset="rerun",
    )


async def act(here: Running, *leases: ExpiredLease) -> None:
    async with here.parts.database.lane() as connection:
        await rescue.act(connection, rescue.decide(leases, datetime.now(UTC)))


async def test_what_was_started_between_the_look_and_the_rescue_keeps_its_lease(here: Running, hand: Hand) -> None:
    [item] = await hand.begin()
    async with at_work(here, "settle"):
        await hand.send(started(item))
        await is_running(here)
    await act(here, lost(item, "queued"))
    assert (await row(here))["status"] == "in-progress"
    assert len(await here.rows("SELECT FROM lease")) == 1


async def test_what_was_taken_again_between_the_look_and_the_rescue_keeps_its_lease(here: Running, hand: Hand) -> None:
    [item] = await hand.begin()
    second = msgspec.structs.replace(item, attempt=2)
    await here.rows("UPDATE execution SET attempt = 2")
    await here.rows("UPDATE lease SET attempt = 2")
    await act(here, lost(item, "created"), lost(item, "in-progress"))
    assert ((await row(here))["status"], (await row(here))["attempt"]) == ("queued", 2)
    [lease] = await here.rows("SELECT attempt FROM lease")
    assert lease["attempt"] == second.attempt


async def test_a_lease_of_an_attempt_that_is_over_is_dropped(here: Running, hand: Hand) -> None:
    await hand.begin()
    await hand.beat(timedelta())
    await here.rows("UPDATE execution SET attempt = 2")
    async with at_work(here, "rescue"):
        await here.until("SELECT NOT EXISTS (SELECT FROM lease)")
    assert ((await row(here))["status"], (await row(here))["attempt"]) == ("queued", 2)


async def test_an_agent_that_ends_what_was_ended_by_others_holds_nothing_any_more(here: Running, hand: Hand) -> None:
    [item] = await hand.begin()
    await hand.beat(timedelta(minutes=1))
    await here.rows("UPDATE execution SET status = 'terminated'")
    async with at_work(here, "settle"):
        await hand.send(finished(item))
        await hand.settled()
    assert (await row(here))["status"] == "terminated"
    assert await here.rows("SELECT FROM lease") == []


async def test_what_is_run_again_while_an_agent_is_still_at_it_can_be_taken(here: Running, hand: Hand) -> None:
    [item] = await hand.begin()
    await hand.beat(timedelta(minutes=1))
    await here.rows("UPDATE execution SET status = 'terminated'")
    await here.rows(sql("execution/rerun"), item.execution_id, 3)
    async with at_work(here, "enqueue", "settle"):
        [again] = await Hand(here).take()
        await hand.send(finished(item))
        await hand.settled()
    assert (again.execution_id, again.attempt) == (item.execution_id, 2)
    [lease] = await here.rows("SELECT attempt FROM lease")
    assert lease["attempt"] == 2


async def test_sessions_that_are_over_are_forgotten(here: Running, hand: Hand) -> None:
    await hand.beat(timedelta())
    await here.rows("UPDATE agent_session SET lease_until = now() - $1::interval", LEASE * 11)
    await Hand(here).beat(LEASE)
    async with here.parts.database.lane() as connection:
        await connection.execute(sql("work/forget sessions"), LEASE * 10)
    assert len(await here.rows("SELECT FROM agent_session")) == 1
