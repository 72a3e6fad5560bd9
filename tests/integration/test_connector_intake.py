"""Batches of records wait for a log that is away, and nothing else holds them up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import asyncpg

from backbone.kit.loops import Health
from backbone.model.errors import InvalidEvent
from backbone.model.events import Event
from backbone.model.resources import Catalog
from backbone.store import dead_letters
from backbone.store.project_ids import ProjectIds
from launcher import embedded
from launcher.settings import Settings
from tests.support.drivers import mortal_postgres
from trigger_engine.connectors.configuration import Connector
from trigger_engine.connectors.intake import Destination, Intake
from trigger_engine.connectors.mapping import Mapping
from trigger_engine.connectors.record import Record


def record(offset: int, value: bytes) -> Record:
    return Record(topic="t", partition=0, offset=offset, time=datetime.now(UTC), value=value)


GOOD = [record(offset, b'{"id": %d}' % offset) for offset in range(3)]


async def found(dsn: str, statement: str) -> list[tuple[object, ...]]:
    connection = await asyncpg.connect(dsn)
    try:
        return [tuple(row) for row in await connection.fetch(statement)]
    finally:
        await connection.close()


@asynccontextmanager
async def parts_of(dsn: str) -> AsyncIterator[tuple[embedded.Parts, Destination]]:
    async with embedded.parts(Settings(database=dsn), "test", Health()) as parts:
        yield (
            parts,
            Destination(
                append=parts.event_log.append,
                set_aside=partial(dead_letters.record, parts.database.pool),
                project_id=ProjectIds(parts.database, make=True, default="default").found_or_made,
            ),
        )


def intake(destination: Destination, health: Health, project: str | None = None) -> Intake:
    return Intake(Connector("t", Mapping(resource="Item", action="Created"), project), Catalog(), destination, health)


async def test_a_batch_waits_for_a_database_that_is_away_and_nothing_of_it_is_set_aside(tmp_path: Path) -> None:
    health = Health()
    async with mortal_postgres(tmp_path / "postgres") as (server, dsn), parts_of(dsn) as (_, destination):
        connector = intake(destination, health)
        await connector.take(GOOD[:1])
        await server.kill_server()
        taking = asyncio.create_task(connector.take([*GOOD[1:], record(3, b"nonsense")]))
        async with asyncio.timeout(30):
            while health.ready:
                await asyncio.sleep(0.01)
        assert "connector t: " in health.detail
        assert not taking.done()
        await server.start_server()
        await asyncio.wait_for(taking, 30)
        assert health.ready
        assert await found(dsn, "SELECT id FROM event ORDER BY id") == [("t/0/0",), ("t/0/1",), ("t/0/2",)]
        assert await found(dsn, "SELECT position FROM dead_letter") == [("t/0/3",)]


async def test_a_batch_that_comes_again_is_the_same_events(database: str) -> None:
    async with parts_of(database) as (_, destination):
        for _ in range(2):
            await intake(destination, Health()).take(GOOD)
    assert await found(database, "SELECT count(*) FROM event") == [(3,)]


async def test_an_event_that_the_log_refuses_is_set_aside_alone(database: str) -> None:
    async with parts_of(database) as (parts, destination):

        async def append(events: Sequence[Event]) -> None:
            if any(event.entity_id == "1" for event in events):
                raise InvalidEvent("", "larger than the topic takes")
            await parts.event_log.append(events)

        picky = Destination(append=append, set_aside=destination.set_aside, project_id=destination.project_id)
        await intake(picky, Health()).take(GOOD)
    assert await found(database, "SELECT id FROM event ORDER BY id") == [("t/0/0",), ("t/0/2",)]
    assert await found(database, "SELECT position, reason FROM dead_letter") == [
        ("t/0/1", "larger than the topic takes")
    ]


async def test_a_project_that_will_never_be_one_is_the_records_fault(database: str) -> None:
    unknown = "00000000-0000-4000-8000-00000000dead"
    async with parts_of(database) as (_, destination):
        await intake(destination, Health(), project=unknown).take(GOOD[:1])
    assert await found(database, "SELECT position, path, reason FROM dead_letter") == [
        ("t/0/0", "project", f"there is no project '{unknown}'")
    ]
