"""What the page about operations tells people to type works: on a migrated database, and on a server of its own."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest

from backbone.drivers.event_log.postgres import PostgresEventLog
from backbone.model.events import Event
from backbone.store import definitions, migrations
from backbone.store.database import Database
from backbone.store.wakeups import Wakeups
from launcher import data_folder
from launcher.postgres import PostgresServer
from tests.support.postgres import SMALL_AND_FAST

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
REPAIR, QUESTIONS, FORGET = re.findall(r"```sql\n(.*?)```", PAGE, re.DOTALL)
BACKUP, RESTORE, LOOK = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)


@asynccontextmanager
async def connected(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(dsn)
    try:
        yield connection
    finally:
        await connection.close()


@asynccontextmanager
async def event_log(dsn: str) -> AsyncIterator[tuple[PostgresEventLog, str]]:
    """The log, and a project that events may be of."""
    database = await Database(dsn, "operations page").open()
    log = PostgresEventLog(database, Wakeups(database))
    try:
        yield log, (await definitions.make_project(database.pool, "demo")).id
    finally:
        await log.close()
        await database.close()


def event(project_id: str, number: int) -> Event:
    return Event(
        id=f"event-{number}",
        project_id=project_id,
        resource="Item",
        action="Created",
        entity_id=f"item-{number}",
        entity=b'{"id":"item-%d"}' % number,
        time=datetime.now(UTC),
    )


@pytest.mark.parametrize("question", [one for one in QUESTIONS.split(";") if one.strip()])
async def test_a_question_can_be_asked(database: str, question: str) -> None:
    async with connected(database) as connection:
        await connection.fetch(question)


async def test_the_first_question_says_where_things_wait(database: str) -> None:
    async with event_log(database) as (log, project_id), connected(database) as connection:
        await log.append([event(project_id, number) for number in range(3)])
        await connection.execute("INSERT INTO reader VALUES ('engine', '-infinity', '0', 0)")
        await connection.execute(
            "INSERT INTO queue (service_id, execution_id, attempt) VALUES ('s', $1, 1)", UUID(int=1)
        )
        waiting = await connection.fetchrow(QUESTIONS.split(";")[0])
    assert dict(waiting) == {"to_match": 3, "to_queue": 0, "to_take": 1, "with_agents": 0, "to_settle": 0}


async def test_the_question_for_open_transactions_names_who_has_one(database: str) -> None:
    [question] = [one for one in QUESTIONS.split(";") if "backend_xid" in one]
    async with connected(database) as forgetful, connected(database) as connection:
        begun = forgetful.transaction()
        await begun.start()
        pid = await forgetful.fetchval("SELECT pg_backend_pid() FROM pg_current_xact_id()")
        found = await connection.fetch(question)
        await begun.rollback()
    assert pid in [row["pid"] for row in found]


async def test_a_claim_that_is_forgotten_is_that_of_the_entity_and_the_trigger_alone(database: str) -> None:
    async with connected(database) as connection:
        await connection.execute(
            "SET session_replication_role = replica;"  # a trigger without its service
            "INSERT INTO trigger (id, project_id, service_id, name, function_name, resource, actions, filter, mode,"
            " input, creator) SELECT id, gen_random_uuid(), 's', name, 'run', 'Item', '{Created}', '{}', 'Once', '{}',"
            " 'test' FROM (VALUES ('a', 'gray on upload'), ('b', 'another')) AS t (id, name);"
            "INSERT INTO claim (trigger_id, entity_id, execution_id, event_id)"
            " SELECT trigger, item, gen_random_uuid(), 'e' FROM (VALUES ('a', 'item-17'), ('a', 'item-18'),"
            " ('b', 'item-17')) AS c (trigger, item);"
        )
        await connection.execute(FORGET)
        left = await connection.fetch("SELECT trigger_id, entity_id FROM claim ORDER BY 1, 2")
    assert [tuple(row) for row in left] == [("a", "item-18"), ("b", "item-17")]


async def test_a_dump_is_repaired_so_that_what_was_not_read_is_read_and_what_comes_too(database: str) -> None:
    async with event_log(database) as (log, project_id), connected(database) as connection:
        for number in range(5):
            await log.append([event(project_id, number)])
        # As in a dump of a cluster that had counted far.
        await connection.execute("UPDATE event SET xid = (xid::text::bigint + 1000000000)::text::xid8")
        await connection.execute(
            "INSERT INTO reader (name, day, xid, seq) SELECT 'engine', day, xid, seq FROM event WHERE id = 'event-1'"
        )
        await connection.execute(REPAIR)
        await log.append([event(project_id, 5)])
        read: list[str] = []
        async with asyncio.timeout(20), aclosing(log.read(2)) as batches:
            async for batch in batches:
                read += [recorded.event.id for recorded in batch.records]
                await batch.commit()
                if len(read) == 4:
                    break
    assert read == ["event-2", "event-3", "event-4", "event-5"]


def typed(script: str, folder: Path, input: str = "") -> str:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder,
        env={**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        input=input,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


async def test_a_backup_of_a_running_server_can_be_put_back_and_looked_into(tmp_path: Path) -> None:
    data = data_folder.DataFolder(tmp_path / ".trigger-engine")
    server = PostgresServer(data.postgres, settings=SMALL_AND_FAST)
    await server.start()
    try:
        await migrations.migrate(server.dsn())
        data.write("postgres.json", {"dsn": server.dsn()})
        async with connected(server.dsn()) as connection:
            await connection.execute("INSERT INTO project (name) VALUES ('before')")
            typed(BACKUP, tmp_path)
            await connection.execute("INSERT INTO project (name) VALUES ('after')")
        await server.stop()
        typed(RESTORE, tmp_path)
        await server.start()
        data.write("postgres.json", {"dsn": server.dsn()})
        first_two = "".join(BACKUP.splitlines(keepends=True)[:2])
        names = typed(first_two + LOOK, tmp_path, input="\\t\nSELECT name FROM project;")
    finally:
        await server.stop()
    assert "before" in names
    assert "after" not in names


def test_the_data_folder_is_the_one_of_the_code() -> None:
    table = PAGE.split("| without it |")[1].split("\n\n")[0]
    told = {path.partition("/")[0] for path in re.findall(r"`([\w/.]+)`", table)}
    documented = set(re.findall(r"^<data>/([\w.]+)", data_folder.__doc__ or "", re.MULTILINE))
    assert documented
    assert documented <= told
