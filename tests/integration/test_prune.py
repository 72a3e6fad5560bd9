"""Days are made ahead and dropped when their time is over, and nobody waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, time, timedelta

import asyncpg
import pytest

from backbone.drivers.event_log.postgres import PostgresEventLog
from backbone.model import ids
from backbone.store import partitions
from backbone.store.database import Database
from backbone.store.wakeups import Wakeups
from dispatcher import prune
from tests.support.drivers import PROJECT, an_event

TODAY = datetime.now(UTC).date()
OLD = TODAY - timedelta(days=20)
OLDEST_KEPT = TODAY - timedelta(days=7)


@pytest.fixture
async def connection(database: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(database)
    yield connection
    await connection.close()


async def days(connection: asyncpg.Connection, table: str) -> list[date]:
    rows = await connection.fetch(
        "SELECT relname FROM pg_class JOIN pg_inherits ON inhrelid = oid"
        " WHERE inhparent = $1::text::regclass ORDER BY relname",
        table,
    )
    return [datetime.strptime(row["relname"][-8:], "%Y%m%d").date() for row in rows]


async def make_old_days(connection: asyncpg.Connection) -> None:
    """From the day before `OLD` on, as an engine that ran then made them."""
    await partitions.ensure(connection, OLD)


async def put_execution(connection: asyncpg.Connection, day: date, status: str) -> None:
    noon = datetime.combine(day, time(12), UTC)
    await connection.execute(
        "INSERT INTO execution (id, project_id, service_id, function_name, status, max_attempts, creator)"
        " VALUES ($1, $2, 'service', 'run', $3, 1, 'test')",
        ids.manual_execution_id(noon),
        PROJECT,
        status,
    )


async def put_event(connection: asyncpg.Connection, database: str, day: date) -> None:
    opened = Database(database)
    log = PostgresEventLog(opened, Wakeups(opened))
    await log.append([an_event(f"of {day}")])
    await log.close()
    await connection.execute("UPDATE event SET day = $1 WHERE id = $2", day, f"of {day}")


async def test_a_week_is_made_ahead_and_asking_again_makes_nothing(connection: asyncpg.Connection) -> None:
    wanted = [TODAY + timedelta(days=ahead) for ahead in range(-1, 8)]
    for table in ("event", "execution", "status_line", "log_chunk"):
        assert await days(connection, table) == wanted
    await partitions.ensure(connection)
    tomorrow = TODAY + timedelta(days=1)
    await partitions.ensure(connection, tomorrow)
    assert await days(connection, "event") == [*wanted, tomorrow + timedelta(days=7)]


async def test_days_that_many_make_at_once_are_made_once(database: str, connection: asyncpg.Connection) -> None:
    others = [await asyncpg.connect(database) for _ in range(5)]
    await asyncio.gather(*(partitions.ensure(other, OLD) for other in others))
    for other in others:
        await other.close()
    made = await days(connection, "execution")
    assert len(made) == len(set(made)) == 18


async def test_a_day_that_is_made_later_is_like_the_first(connection: asyncpg.Connection) -> None:
    await make_old_days(connection)
    await put_execution(connection, OLD, "success")
    with pytest.raises(asyncpg.UniqueViolationError):
        await connection.execute("INSERT INTO execution SELECT * FROM execution")
    options = "SELECT DISTINCT reloptions FROM pg_class WHERE relname LIKE 'execution\\_2%' AND relkind = 'r'"
    assert [set(row[0]) for row in await connection.fetch(options)] == [
        {
            "fillfactor=50",
            "autovacuum_analyze_threshold=100000",
            "autovacuum_analyze_scale_factor=1",
            "autovacuum_vacuum_scale_factor=1",
            "autovacuum_vacuum_insert_threshold=-1",
        }
    ]
    storage = "SELECT DISTINCT attstorage FROM pg_attribute WHERE attname = 'entity' AND attrelid::regclass::text ~ $1"
    assert [row[0] for row in await connection.fetch(storage, "^event_2")] == [b"e"]


async def test_days_to_come_are_made_while_somebody_reads_for_hours(
    database: str, connection: asyncpg.Connection
) -> None:
    reader = await asyncpg.connect(database)
    try:
        async with reader.transaction():
            await reader.fetch("SELECT count(*) FROM event, execution, status_log, log_chunk")
            async with asyncio.timeout(5):
                await partitions.ensure(connection, TODAY + timedelta(days=3))
            await put_event(connection, database, TODAY + timedelta(days=10))
    finally:
        await reader.close()


async def test_days_that_are_over_go_and_the_others_stay(connection: asyncpg.Connection) -> None:
    await make_old_days(connection)
    await put_execution(connection, OLD, "success")
    await put_execution(connection, TODAY, "success")
    dropped = await partitions.drop_before(connection, OLDEST_KEPT)
    assert dropped == [OLD + timedelta(days=ahead) for ahead in range(-1, 8)]
    for table in ("event", "execution", "status_line", "log_chunk"):
        assert (await days(connection, table))[0] == TODAY - timedelta(days=1)
    assert await connection.fetchval("SELECT count(*) FROM execution") == 1
    assert await partitions.drop_before(connection, OLDEST_KEPT) == []


@pytest.mark.parametrize("status", ["created", "queued", "in-progress"])
async def test_a_day_with_an_execution_that_has_not_ended_stays(connection: asyncpg.Connection, status: str) -> None:
    await make_old_days(connection)
    await put_execution(connection, OLD, status)
    await put_execution(connection, OLD, "success")
    assert OLD not in await partitions.drop_before(connection, OLDEST_KEPT)
    assert await connection.fetchval("SELECT count(*) FROM execution") == 2
    await connection.execute("UPDATE execution SET status = 'failed'")
    assert await partitions.drop_before(connection, OLDEST_KEPT) == [OLD]


async def test_a_day_whose_events_nobody_has_read_stays(connection: asyncpg.Connection, database: str) -> None:
    await make_old_days(connection)
    await connection.execute("INSERT INTO reader (name, day, xid, seq) VALUES ('engine', '-infinity', '0', 0)")
    await put_event(connection, database, OLD)
    assert OLD not in await partitions.drop_before(connection, OLDEST_KEPT)
    await connection.execute("UPDATE reader SET day = event.day, xid = event.xid, seq = event.seq FROM event")
    assert await partitions.drop_before(connection, OLDEST_KEPT) == [OLD]


async def test_where_the_log_is_elsewhere_a_reader_of_before_keeps_no_day(
    connection: asyncpg.Connection, database: str
) -> None:
    await make_old_days(connection)
    await connection.execute("INSERT INTO reader (name, day, xid, seq) VALUES ('engine', '-infinity', '0', 0)")
    await put_event(connection, database, OLD)
    assert OLD in await partitions.drop_before(connection, OLDEST_KEPT, log_in_store=False)


async def test_a_day_that_is_in_use_is_dropped_another_time_and_nobody_waits_for_it(
    database: str, connection: asyncpg.Connection
) -> None:
    await make_old_days(connection)
    reader = await asyncpg.connect(database)
    try:
        async with reader.transaction():
            await reader.fetch("SELECT * FROM execution")
            dropping = asyncio.create_task(partitions.drop_before(connection, OLD))
            await put_event(reader, database, TODAY)
            async with asyncio.timeout(5):
                assert await dropping == []
    finally:
        await reader.close()
    assert await partitions.drop_before(connection, OLD) == [OLD - timedelta(days=1)]


async def test_what_waited_to_be_queued_for_an_execution_that_is_gone_is_forgotten(
    connection: asyncpg.Connection,
) -> None:
    await make_old_days(connection)
    await put_execution(connection, OLD, "success")
    await connection.execute(
        "INSERT INTO pending (execution_id, attempt, service_id, due) SELECT id, 2, service_id, now() FROM execution"
    )
    await partitions.drop_before(connection, OLDEST_KEPT)
    assert await connection.fetchval("SELECT count(*) FROM pending") == 0


async def test_the_loop_prunes_and_claims_stay(database: str, connection: asyncpg.Connection) -> None:
    await make_old_days(connection)
    await connection.execute("INSERT INTO claim VALUES ('t', 'e', gen_random_uuid(), 'v', now() - interval '1 year')")
    for age in (timedelta(days=8), timedelta(days=6)):
        await connection.execute(
            "INSERT INTO dead_letter (source, position, path, reason, body, at)"
            " VALUES ('log', '1', 'entity', 'reason', 'body', now() - $1::interval)",
            age,
        )
        await connection.execute(
            "INSERT INTO stopped_match (trigger_id, event_id, project_id, entity_id, reason, causation, at)"
            " VALUES ('t', $1, $2, 'e', 'reason', '{}', now() - $3::interval)",
            str(age),
            PROJECT,
            age,
        )
    running = asyncio.create_task(prune.run(Database(database), timedelta(days=7), True))
    try:
        async with asyncio.timeout(10):
            while await connection.fetchval("SELECT count(*) FROM stopped_match") > 1:
                await asyncio.sleep(0.01)
    finally:
        running.cancel()
        await asyncio.wait([running])
    assert (await days(connection, "event"))[0] == TODAY - timedelta(days=1)
    assert await connection.fetchval("SELECT count(*) FROM dead_letter") == 1
    assert await connection.fetchval("SELECT count(*) FROM claim") == 1
