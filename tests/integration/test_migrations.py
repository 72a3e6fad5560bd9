"""The database is brought to the newest form, once, whoever asks and however often."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from importlib import resources

import asyncpg
import pytest

from backbone.model.errors import Unavailable
from backbone.store import migrations, partitions
from backbone.store.migrations import migrate
from tests.support.postgres import Template


@pytest.fixture
async def empty_database(postgres_server: str) -> AsyncIterator[str]:
    name = f"test_{secrets.token_hex(6)}"
    admin = await asyncpg.connect(postgres_server)
    try:
        await admin.execute(f'CREATE DATABASE "{name}"')
        yield Template(postgres_server, "").dsn(name)
        await admin.execute(f'DROP DATABASE "{name}"')
    finally:
        await admin.close()


async def ask(dsn: str, statement: str) -> list[str]:
    connection = await asyncpg.connect(dsn)
    try:
        return [str(row[0]) for row in await connection.fetch(statement)]
    finally:
        await connection.close()


async def test_an_empty_database_is_migrated_and_the_second_time_there_is_nothing_to_do(empty_database: str) -> None:
    applied = await migrate(empty_database)
    assert applied
    assert await ask(empty_database, "SELECT name FROM migration ORDER BY name") == applied
    assert await migrate(empty_database) == []


async def test_days_with_their_lines_are_kept_when_lines_get_their_start(empty_database: str) -> None:
    first = resources.files(migrations).joinpath("0001_start.sql").read_text()
    before = """
        CREATE TABLE migration (name text PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now());
        INSERT INTO migration VALUES ('0001_start');
        CREATE TABLE status_log_20000101 PARTITION OF status_log DEFAULT;
        INSERT INTO status_log VALUES (gen_random_uuid(), 1, 0, now(), 'in-progress');
    """
    connection = await asyncpg.connect(empty_database)
    await connection.execute(first + before)
    await connection.close()
    await migrate(empty_database)
    assert await ask(empty_database, "SELECT status FROM status_log") == ["in-progress"]
    assert await ask(empty_database, "SELECT status FROM status_line_20000101") == ["in-progress"]


async def test_many_processes_at_once_migrate_once(empty_database: str) -> None:
    applied = await asyncio.gather(*(migrate(empty_database) for _ in range(8)))
    assert sorted(name for each in applied for name in each) == await ask(
        empty_database, "SELECT name FROM migration ORDER BY name"
    )


async def test_a_database_of_a_newer_version_is_refused_and_left_alone(empty_database: str) -> None:
    await migrate(empty_database)
    before = await ask(empty_database, "INSERT INTO migration (name) VALUES ('9999_future') RETURNING name")
    with pytest.raises(Unavailable, match="newer version: 9999_future"):
        await migrate(empty_database)
    assert before == ["9999_future"]
    held = "SELECT count(*) FROM pg_locks, pg_database WHERE locktype = 'advisory' AND oid = database AND datname = "
    assert await ask(empty_database, held + "current_database()") == ["0"]


async def test_a_migrated_database_has_room_for_today_and_the_days_to_come(empty_database: str) -> None:
    await migrate(empty_database)
    names = set(await ask(empty_database, "SELECT relname FROM pg_class WHERE relkind = 'r'"))
    today = datetime.now(UTC).date()
    for ahead in range(-1, partitions.AHEAD.days + 1):
        day = today + timedelta(days=ahead)
        assert {f"{table}_{day:%Y%m%d}" for table in ("event", "execution", "status_line", "log_chunk")} <= names
