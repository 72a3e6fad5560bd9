"""Events of a log elsewhere are kept where executions find them, once an id, whenever they come again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from backbone.model.events import RecordedEvent
from backbone.store import events
from backbone.store.database import Database
from tests.support.drivers import OTHER_PROJECT, PROJECT, an_event

NOW = datetime.now(UTC).replace(microsecond=123_000)


@pytest.fixture
async def connection(database: str) -> AsyncIterator[asyncpg.Connection]:
    async with Database(database).lane() as connection:
        yield connection


def received(id: str, at: datetime, *, project_id: str = PROJECT) -> RecordedEvent:
    return RecordedEvent(event=an_event(id, project_id=project_id), received=at)


async def test_an_event_is_found_as_it_came(connection: asyncpg.Connection) -> None:
    one = received("a", NOW)
    assert await events.keep(connection, [one]) == [NOW]
    assert await events.get(connection, "a", PROJECT) == one


@pytest.mark.parametrize("later", [timedelta(), timedelta(seconds=1), timedelta(days=1)])
async def test_an_id_that_comes_again_is_the_event_that_came_first(
    connection: asyncpg.Connection, later: timedelta
) -> None:
    await events.keep(connection, [received("a", NOW)])
    assert await events.keep(connection, [received("b", NOW + later), received("a", NOW + later)]) == [NOW + later, NOW]
    assert await connection.fetchval("SELECT count(*) FROM event") == 2


async def test_an_id_that_comes_twice_in_a_batch_is_one_event(connection: asyncpg.Connection) -> None:
    times = await events.keep(connection, [received("a", NOW), received("a", NOW + timedelta(seconds=1))])
    assert times[0] == times[1]
    assert await connection.fetchval("SELECT count(*) FROM event") == 1


async def test_an_id_of_two_projects_is_two_events(connection: asyncpg.Connection) -> None:
    later = NOW + timedelta(seconds=1)
    batch = [received("a", NOW), received("a", later, project_id=OTHER_PROJECT)]
    assert await events.keep(connection, batch) == [NOW, later]


async def test_a_log_may_reach_further_back_than_the_days_we_have(connection: asyncpg.Connection) -> None:
    long_ago = NOW - timedelta(days=40)
    batch = [received("a", long_ago), received("b", NOW)]
    assert await events.keep(connection, batch) == [long_ago, NOW]
