"""The clock on a real database: each fire is made once, whoever tries, whenever somebody is killed."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import quantiles
from uuid import uuid4
from zoneinfo import ZoneInfo

import asyncpg
import pytest

from backbone.model import causation
from backbone.model.causation import Link
from backbone.model.schedules import Misfire, Overlap, Schedule
from backbone.store import cron as store
from backbone.store import definitions, executions_asked, live_triggers, partitions
from backbone.store.queries import sql
from backbone.store.wakeups import Wakeups
from dispatcher import cron, fires
from tests.support.clockwork import NOON, Clockwork, clockwork, scheduled

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
ROOT = Path(__file__).parents[2]


@pytest.fixture
async def clock(database: str, tmp_path: Path) -> AsyncIterator[Clockwork]:
    async with clockwork(database, tmp_path) as clock:
        yield clock


async def test_a_fire_is_an_execution_in_the_queue_with_the_constant_input(clock: Clockwork) -> None:
    trigger_id = await clock.trigger("0 * * * *")
    await clock.tick(NOON + HOUR - timedelta(seconds=1))
    assert await clock.executions() == []
    await clock.tick(NOON + HOUR)
    [execution] = await clock.executions()
    assert scheduled(execution) == NOON + HOUR
    assert (execution["trigger_id"], execution["creator"], execution["status"]) == (trigger_id, "piper", "queued")
    assert (execution["event_id"], execution["came_by"], execution["input"]) == (None, None, b'{"size":3}')
    queued = await clock.here.rows("SELECT execution_id FROM queue")
    assert [row["execution_id"] for row in queued] == [execution["id"]]
    assert await store.last_fire(clock.connection, trigger_id) == NOON + HOUR


async def test_the_function_runs_with_the_input_and_nothing_of_an_event(clock: Clockwork) -> None:
    trigger_id = await clock.trigger("0 * * * *")
    await clock.tick(NOON + HOUR)
    async with asyncio.timeout(10):
        [item] = await clock.here.parts.work_queue.take(clock.here.service.id, uuid4(), 10)
    assert (item.input, item.entity, item.event_id) == (b'{"size":3}', None, None)
    assert item.causation is not None
    assert causation.decode(item.causation).chain == (Link("", trigger_id, str(item.execution_id)),)


async def test_an_agent_runs_it_at_its_time(clock: Clockwork) -> None:
    clock.here.folder.joinpath("main.py").write_text("def run(size): return size * 2")
    await clock.trigger("* * * * * *", since=datetime.now(UTC))
    for role in ("dispatcher", "agent"):
        clock.here.start(role)
    execution, *_ = await clock.here.until_ended(1)
    assert (execution["status"], execution["output"]) == ("success", b"6")
    lateness = execution["created_at"] - scheduled(execution)
    assert timedelta(0) <= lateness < fires.ON_TIME


async def test_a_trigger_of_the_clock_is_no_business_of_the_matcher(clock: Clockwork) -> None:
    await clock.trigger("0 * * * *")
    assert await live_triggers.count(clock.connection) == 0
    assert await live_triggers.after(clock.connection, "", 10) == []


async def test_a_clock_that_jumps_back_makes_no_fire_a_second_time(clock: Clockwork) -> None:
    await clock.trigger("* * * * *")
    await clock.ticks(NOON, NOON + 10 * MINUTE, MINUTE)
    assert len(await clock.executions()) == 10
    # The clock is put back, and the leader that comes then brings the schedules back, too.
    assert await store.realign(clock.connection, NOON + 5 * MINUTE, 1_000) == 1
    await clock.ticks(NOON + 5 * MINUTE, NOON + 12 * MINUTE, MINUTE)
    assert [scheduled(one) for one in await clock.executions()] == [NOON + at * MINUTE for at in range(1, 13)]


async def test_a_clock_that_was_a_year_ahead_silences_no_trigger(clock: Clockwork) -> None:
    await clock.trigger("* * * * *", since=NOON + 365 * DAY)
    parts = clock.here.parts
    now = NOON
    task = asyncio.create_task(cron.run(parts.database, parts.work_queue, parts.wakeups, lambda: now))
    try:
        await clock.here.until("SELECT next_fire = $1 FROM cron_state", NOON + MINUTE)
        now = NOON + MINUTE
        await clock.here.until("SELECT count(*) = 1 FROM execution")
    finally:
        task.cancel()
        await asyncio.wait([task])


async def test_two_schedulers_make_each_fire_once(clock: Clockwork) -> None:
    for _ in range(50):
        await clock.trigger("* * * * *")
    async with clock.here.parts.database.lane(durable=False) as second:
        for minute in range(1, 11):
            now = NOON + minute * MINUTE
            await asyncio.gather(clock.tick(now), clock.tick(now, second))
    made = Counter((one["trigger_id"], scheduled(one)) for one in await clock.executions())
    assert len(made) == 500
    assert set(made.values()) == {1}
    assert len(await clock.here.rows("SELECT FROM queue")) == 500
    assert await clock.missed() == []


async def test_two_who_decided_on_the_same_fire_make_it_once(clock: Clockwork) -> None:
    await clock.trigger("* * * * *")
    now = NOON + MINUTE
    due = await store.due(clock.connection, now, 10)
    turns = fires.decide(due, now)
    assert await store.carry_out(clock.connection, turns, queue_too=True) == {clock.here.service.id: 1}
    assert await store.carry_out(clock.connection, turns, queue_too=True) == {}


async def test_a_leader_killed_twenty_times_loses_no_fire_and_makes_none_twice(clock: Clockwork) -> None:
    """Its connection is cut while the fires are being made, and right after."""
    for _ in range(5):
        await clock.trigger("* * * * *")
    database = clock.here.parts.database
    for round_ in range(1, 21):
        now = NOON + round_ * MINUTE
        async with database.lane(durable=False) as leader:
            pid = leader.get_server_pid()
            if round_ % 2:
                await _cut_in_the_middle(clock, leader, pid, now)
            else:
                await clock.tick(now, leader)
                await clock.connection.fetchval("SELECT pg_terminate_backend($1)", pid)
        await clock.tick(now + timedelta(seconds=5))
    made = Counter((one["trigger_id"], scheduled(one)) for one in await clock.executions())
    assert len(made) == 100
    assert set(made.values()) == {1}
    assert await clock.missed() == []


async def _cut_in_the_middle(clock: Clockwork, leader: asyncpg.Connection, pid: int, now: datetime) -> None:
    async with clock.here.parts.database.pool.acquire() as other, other.transaction():
        await other.execute("SELECT FROM cron_state ORDER BY trigger_id DESC LIMIT 1 FOR UPDATE")
        ticking = asyncio.create_task(clock.tick(now, leader))
        await clock.here.until("SELECT wait_event_type = 'Lock' FROM pg_stat_activity WHERE pid = $1", pid)
        await clock.connection.fetchval("SELECT pg_terminate_backend($1)", pid)
        with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
            await ticking


async def test_a_dispatcher_killed_for_good_is_followed_by_one_that_goes_on(clock: Clockwork) -> None:
    """kill -9, of a real process."""
    await clock.trigger("* * * * * *", since=datetime.now(UTC))
    first = _dispatcher(clock)
    try:
        await clock.here.until("SELECT count(*) >= 2 FROM execution", timeout=30)
    finally:
        os.kill(first.pid, signal.SIGKILL)
        first.wait()
    so_far = len(await clock.executions())
    second = _dispatcher(clock)
    try:
        await clock.here.until("SELECT count(*) >= $1 FROM execution", so_far + 3, timeout=30)
    finally:
        second.kill()
        second.wait()
    made = [scheduled(one) for one in await clock.executions()]
    assert made == [made[0] + timedelta(seconds=at) for at in range(len(made))]


def _dispatcher(clock: Clockwork) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "TRIGGER_ENGINE_DATABASE": clock.here.parts.database.dsn}
    return subprocess.Popen([sys.executable, "-m", "launcher.roles", "dispatcher"], cwd=ROOT, env=environment)


@pytest.mark.parametrize(("misfire", "made"), [(Misfire.SKIP, 0), (Misfire.ONE, 1), (Misfire.ALL, 3)])
async def test_three_hours_of_downtime_are_written_down(clock: Clockwork, misfire: Misfire, made: int) -> None:
    await clock.trigger("0 * * * *", misfire=misfire)
    await clock.tick(NOON + 3 * HOUR + 40 * MINUTE)
    assert len(await clock.executions()) == made
    lost = [(NOON + HOUR, NOON + (3 - made) * HOUR, 3 - made, "downtime")] if made < 3 else []
    assert await clock.missed() == lost


async def test_a_pause_keeps_the_schedule_and_is_one_line_among_the_missed(clock: Clockwork) -> None:
    trigger_id = await clock.trigger("0 * * * *")
    await clock.pause(trigger_id)
    await clock.ticks(NOON, NOON + 3 * HOUR, HOUR)
    await clock.pause(trigger_id, active=True)
    await clock.ticks(NOON + 4 * HOUR, NOON + 5 * HOUR, HOUR)
    assert [scheduled(one) for one in await clock.executions()] == [NOON + 4 * HOUR, NOON + 5 * HOUR]
    assert await clock.missed() == [(NOON + HOUR, NOON + 3 * HOUR, 3, "paused")]


async def test_a_paused_service_pauses_its_triggers(clock: Clockwork) -> None:
    await clock.trigger("0 * * * *")
    await definitions.set_service_active(clock.connection, clock.here.service.id, False)
    await clock.tick(NOON + HOUR)
    await definitions.set_service_active(clock.connection, clock.here.service.id, True)
    await clock.tick(NOON + 2 * HOUR)
    assert [scheduled(one) for one in await clock.executions()] == [NOON + 2 * HOUR]
    assert await clock.missed() == [(NOON + HOUR, NOON + HOUR, 1, "service-paused")]


async def test_skip_leaves_fires_out_while_an_execution_goes_on(clock: Clockwork) -> None:
    await clock.trigger("0 * * * *", overlap=Overlap.SKIP)
    await clock.ticks(NOON + HOUR, NOON + 3 * HOUR, HOUR)
    await clock.end()
    await clock.tick(NOON + 4 * HOUR)
    assert [scheduled(one) for one in await clock.executions()] == [NOON + HOUR, NOON + 4 * HOUR]
    assert await clock.missed() == [(NOON + 2 * HOUR, NOON + 3 * HOUR, 2, "overlap")]


async def test_queue_lets_one_after_the_other_come(clock: Clockwork) -> None:
    await clock.trigger("0 * * * *", overlap=Overlap.QUEUE)
    await clock.ticks(NOON + HOUR, NOON + 3 * HOUR, HOUR)
    assert [one["status"] for one in await clock.executions()] == ["queued", "created", "created"]
    assert await clock.here.rows("SELECT FROM pending") == []
    await clock.tick(NOON + 3 * HOUR + MINUTE)
    assert await clock.here.rows("SELECT FROM pending") == []
    await clock.end()
    await clock.tick(NOON + 3 * HOUR + MINUTE)
    second, third = (await clock.executions())[1:]
    assert [row["execution_id"] for row in await clock.here.rows("SELECT * FROM pending")] == [second["id"]]
    # A person may end one that waits: the others go on without it.
    await executions_asked.terminate(clock.here.parts.database.pool, third["id"], "not needed")
    await clock.end("created")
    await clock.ticks(NOON + 3 * HOUR + MINUTE, NOON + 4 * HOUR, MINUTE)
    assert [one["status"] for one in await clock.executions()] == ["success", "success", "terminated", "queued"]
    assert await clock.here.rows("SELECT FROM cron_waiting") == []


async def test_what_waits_runs_also_when_its_trigger_is_deleted(clock: Clockwork) -> None:
    trigger_id = await clock.trigger("0 * * * *", overlap=Overlap.QUEUE)
    await clock.ticks(NOON + HOUR, NOON + 2 * HOUR, HOUR)
    await definitions.delete_trigger(clock.connection, trigger_id)
    await clock.tick(NOON + 2 * HOUR)
    assert len(await clock.here.rows("SELECT FROM pending")) == 1


async def test_a_schedule_that_is_changed_meanwhile_is_not_moved_on_by_the_old_one(clock: Clockwork) -> None:
    trigger_id = await clock.trigger("0 * * * *")
    now = NOON + HOUR
    turns = fires.decide(await store.due(clock.connection, now, 10), now)
    await store.set_schedule(clock.connection, trigger_id, Schedule(cron="30 * * * *"), now)
    assert await store.carry_out(clock.connection, turns, queue_too=True) == {}
    [row] = await clock.here.rows("SELECT next_fire FROM cron_state")
    assert row["next_fire"] == now + 30 * MINUTE


async def test_a_schedule_in_the_past_fires_nothing(clock: Clockwork) -> None:
    await clock.trigger("* * * * *", end_at=NOON - DAY)
    await clock.ticks(NOON, NOON + 5 * MINUTE, MINUTE)
    assert (await clock.executions(), await clock.missed()) == ([], [])


@pytest.mark.parametrize(
    ("zone", "day", "hour"),
    [
        ("Europe/Berlin", "2025-03-30", 3),
        ("America/New_York", "2025-03-09", 3),
        ("Europe/Berlin", "2025-10-26", 2),
        ("America/New_York", "2025-11-02", 2),
    ],
)
async def test_a_night_on_which_the_clock_is_changed_has_one_fire(
    clock: Clockwork, zone: str, day: str, hour: int
) -> None:
    midnight = datetime.fromisoformat(day).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
    await partitions.ensure(clock.connection, midnight.date())
    await clock.trigger("30 2 * * *", since=midnight, timezone=zone)
    await clock.ticks(midnight, midnight + 8 * HOUR, 10 * MINUTE)
    [execution] = await clock.executions()
    local = scheduled(execution).astimezone(ZoneInfo(zone))
    assert (local.hour, local.minute) == (hour, 0 if hour == 3 else 30)
    assert await clock.missed() == []


async def test_a_run_now_takes_the_input_and_counts_as_going_on(clock: Clockwork) -> None:
    trigger_id = await clock.trigger("0 * * * *", overlap=Overlap.SKIP)
    execution_id = await store.run_now(clock.connection, trigger_id, NOON, "somebody", came_by=None, queue_too=True)
    await clock.tick(NOON + HOUR)
    [execution] = await clock.executions()
    assert (execution["id"], execution["creator"], execution["input"]) == (execution_id, "somebody", b'{"size":3}')
    assert [reason for *_, reason in await clock.missed()] == ["overlap"]


async def test_a_schedule_that_cannot_be_read_is_not_in_the_way_of_the_others(clock: Clockwork) -> None:
    wrong, right = await clock.trigger("* * * * *"), await clock.trigger("* * * * *")
    await clock.here.rows("UPDATE trigger SET schedule = replace(schedule, 'UTC', 'Mars/Olympus') WHERE id = $1", wrong)
    await clock.ticks(NOON + MINUTE, NOON + 2 * MINUTE, MINUTE)
    assert [one["trigger_id"] for one in await clock.executions()] == [right, right]
    await clock.here.rows("UPDATE trigger SET schedule = replace(schedule, 'Mars/Olympus', 'UTC') WHERE id = $1", wrong)
    await clock.tick(NOON + 2 * HOUR)
    assert {one["trigger_id"] for one in await clock.executions()} == {wrong, right}


# Ten thousand


async def test_ten_thousand_on_one_minute_are_made_at_once(clock: Clockwork) -> None:
    boundary = NOON + MINUTE
    await clock.many(10_000, "* * * * *", NOON)
    started = datetime.now(UTC)
    shift = boundary - timedelta(seconds=1) - started
    parts = clock.here.parts
    wakeups = Wakeups(parts.database)
    task = asyncio.create_task(cron.run(parts.database, parts.work_queue, wakeups, lambda: datetime.now(UTC) + shift))
    try:
        await clock.here.until("SELECT count(*) = 10000 FROM execution", timeout=60)
        seen = datetime.now(UTC) + shift
    finally:
        task.cancel()
        await asyncio.wait([task])
    made = [row["created_at"] + shift - boundary for row in await clock.executions()]
    late = quantiles([one.total_seconds() for one in made], n=100)[98]
    print(f"p99 {late:.3f} s, all committed after {(seen - boundary).total_seconds():.3f} s")
    assert min(made) >= timedelta(0)
    assert late < 10  # a second on a machine that has nothing else to do
    assert len({row["id"] for row in await clock.here.rows("SELECT execution_id AS id FROM queue")}) == 10_000


async def test_a_look_costs_as_much_for_ten_thousand_triggers_as_for_ten(clock: Clockwork) -> None:
    await clock.trigger("0 0 1 1 *")
    few = await _pages_of_a_look(clock)
    await clock.many(10_000, "0 0 1 1 *", NOON)
    assert await _pages_of_a_look(clock) <= few + 10


async def _pages_of_a_look(clock: Clockwork) -> int:
    """Those that PostgreSQL touches in a tick with nothing to do."""
    pages = 0
    for statement, arguments in (("cron/due", (NOON, 1_000)), ("cron/next due", (NOON,))):
        [[plan]] = await clock.connection.fetch(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {sql(statement)}", *arguments)
        [told] = json.loads(plan)
        pages += told["Plan"]["Shared Hit Blocks"] + told["Plan"]["Shared Read Blocks"]
    assert pages > 0
    return pages
