"""The engine follows the table of triggers without being started again."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import httpx
import pytest

from backbone.kit.loops import Health
from backbone.model.events import RecordedEvent
from backbone.store import definitions
from backbone.store import live_triggers as store
from backbone.store.wakeups import LOOK_ANYWAY
from gateway.app import App
from gateway.parts import Parts
from gateway.settings import GatewaySettings
from launcher import embedded
from launcher.settings import Settings
from tests.support.running import Running, running
from trigger_engine import guard, live_triggers, service
from trigger_engine.live_triggers import PAGE, SLICE, LiveTriggers
from trigger_engine.match import Index


@pytest.fixture
async def here(database: str, tmp_path: Path) -> AsyncIterator[Running]:
    async with running(database, tmp_path, "", triggers=(), roles=()) as here:
        yield here


@pytest.fixture
async def connection(here: Running) -> AsyncIterator[asyncpg.Connection]:
    async with here.parts.database.lane(durable=False) as connection:
        yield connection


@pytest.fixture
async def index(here: Running, connection: asyncpg.Connection) -> AsyncIterator[Index]:
    """Followed since there was no trigger."""
    index = Index()
    triggers = await loaded(index, connection)
    following = asyncio.create_task(triggers.follow(here.parts.database, here.parts.wakeups))
    yield index
    following.cancel()
    await asyncio.wait([following])


async def loaded(index: Index, connection: asyncpg.Connection) -> LiveTriggers:
    triggers = LiveTriggers(index)
    await triggers.load(connection, Health())
    return triggers


async def until(condition: Callable[[], bool], within: float) -> None:
    async with asyncio.timeout(within):
        while not condition():
            await asyncio.sleep(0.002)


def tell(here: Running) -> None:
    here.parts.wakeups.wake([definitions.TRIGGERS_CHANNEL])


async def make_many(here: Running, count: int) -> None:
    await here.rows(
        "INSERT INTO trigger (id, project_id, service_id, name, function_name, resource, actions, filter, mode, input,"
        " creator) SELECT to_char(n, 'FM000000'), $1, $2, n::text, 'run', 'Item', '{Created}', '{}', 'Once', '{}',"
        " 'test' FROM generate_series(1, $3::int) AS n",
        here.project_id,
        here.service.id,
        count,
    )


async def ids_of(connection: asyncpg.Connection) -> set[str]:
    return {row["id"] for row in await connection.fetch("SELECT id FROM trigger")}


async def test_a_change_that_is_told_is_followed_within_a_second(here: Running, index: Index) -> None:
    pool = here.parts.database.pool
    trigger_id = await here.trigger()
    tell(here)
    await until(lambda: trigger_id in index.versions, within=1)

    before = index.versions[trigger_id]
    trigger = await definitions.trigger(pool, trigger_id)
    await definitions.change_trigger(pool, replace(trigger, filter={"name": "x"}))
    tell(here)
    await until(lambda: index.versions[trigger_id] > before, within=1)

    await definitions.delete_trigger(pool, trigger_id)
    tell(here)
    await until(lambda: len(index) == 0, within=1)


async def test_a_change_that_nobody_told_of_is_found(here: Running, index: Index) -> None:
    await here.trigger()
    await until(lambda: len(index) == 1, within=LOOK_ANYWAY + 1)
    await here.trigger()
    await until(lambda: len(index) == 2, within=LOOK_ANYWAY + 1)


async def test_a_trigger_that_is_paused_is_out_and_comes_back(here: Running, index: Index) -> None:
    pool = here.parts.database.pool
    trigger = await definitions.trigger(pool, await here.trigger())
    for active, expected in [(True, 1), (False, 0), (True, 1)]:
        await definitions.change_trigger(pool, replace(trigger, active=active))
        tell(here)
        await until(lambda expected=expected: len(index) == expected, within=1)


async def test_a_service_that_is_paused_or_deleted_takes_its_triggers_out(here: Running, index: Index) -> None:
    pool = here.parts.database.pool
    await here.trigger()
    await here.trigger()
    for active, expected in [(True, 2), (False, 0), (True, 2)]:
        await definitions.set_service_active(pool, here.service.id, active)
        tell(here)
        await until(lambda expected=expected: len(index) == expected, within=1)
    await definitions.delete_service(pool, here.service.id)
    tell(here)
    await until(lambda: len(index) == 0, within=1)


async def test_a_change_of_the_service_reaches_its_triggers(here: Running, connection: asyncpg.Connection) -> None:
    trigger_id = await here.trigger()
    index = Index()
    triggers = await loaded(index, connection)
    before = index.versions[trigger_id]
    await definitions.change_service(here.parts.database.pool, replace(here.service, max_attempts=9))
    await triggers.catch_up(connection)
    assert index.versions[trigger_id] > before
    [match] = index.match([RecordedEvent(event=here.event("1"), received=datetime.now(UTC))])[0]
    assert match.triggers[0].max_attempts == 9


async def test_nothing_changed_is_the_same_version_of_the_index(here: Running, connection: asyncpg.Connection) -> None:
    await here.trigger()
    index = Index()
    triggers = await loaded(index, connection)
    version = index.version
    await triggers.catch_up(connection)
    await triggers.compare_page(connection)
    assert index.version == version > 0


async def test_a_change_that_commits_after_later_ones_were_seen_is_not_passed_over(
    here: Running, connection: asyncpg.Connection
) -> None:
    pool = here.parts.database.pool
    goes, stays = [await here.trigger(name=name) for name in ("goes", "stays")]
    index = Index()
    async with pool.acquire() as slow:
        begun = slow.transaction()
        await begun.start()
        await definitions.delete_trigger(slow, goes)
        triggers = await loaded(index, connection)
        later = await here.trigger()
        await triggers.catch_up(connection)
        assert index.versions.keys() == {goes, stays, later}
        await begun.commit()
    await triggers.catch_up(connection)
    assert index.versions.keys() == {stays, later}


async def test_changes_that_were_seen_are_not_given_again(here: Running, connection: asyncpg.Connection) -> None:
    before = await store.snapshot(connection)
    made = await here.trigger()
    assert await store.changed_since(connection, before) == [made]
    assert await store.changed_since(connection, await store.snapshot(connection)) == []


async def test_changes_of_a_restored_database_are_not_given_until_its_cluster_has_counted_so_far(
    here: Running, connection: asyncpg.Connection
) -> None:
    await connection.execute("INSERT INTO definition_change (xid, kind, id) VALUES ('999999999999', 'trigger', 'x')")
    assert await store.changed_since(connection, await store.snapshot(connection)) == []


async def test_changes_are_forgotten_after_an_hour(here: Running, connection: asyncpg.Connection) -> None:
    triggers = await loaded(Index(), connection)
    made = await here.trigger()
    await here.trigger()
    await connection.execute(
        "UPDATE definition_change SET at = at - $1::interval WHERE id = $2", timedelta(hours=2), made
    )
    await triggers.compare_page(connection)
    assert await connection.fetchval("SELECT count(*) FROM definition_change") == 1


async def test_what_no_change_tells_of_is_found_by_comparing(here: Running, connection: asyncpg.Connection) -> None:
    await make_many(here, 3 * PAGE)
    index = Index()
    triggers = await loaded(index, connection)
    assert len(index) == 3 * PAGE
    await triggers.compare_page(connection)

    await connection.execute("DELETE FROM trigger WHERE id <= '000010' OR id > '002990'")
    await connection.execute("UPDATE trigger SET version = version + 1 WHERE id IN ('000020', '001500')")
    made = await here.trigger(name="new")
    await connection.execute("DELETE FROM definition_change")
    await triggers.catch_up(connection)
    assert len(index) == 3 * PAGE
    # What is left of this round, and another one.
    for _ in range(3 + 3):
        await triggers.compare_page(connection)
    assert index.versions.keys() == await ids_of(connection) > {made}
    assert {id for id, version in index.versions.items() if version > 2_000_000} == {"000020", "001500"}


async def test_loading_tells_how_far_it_is_and_is_not_ready_before_its_end(
    here: Running, connection: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    await make_many(here, PAGE + 1)
    hours = iter(range(0, 360_000, 3_600))
    monkeypatch.setattr(live_triggers, "monotonic", lambda: next(hours))
    health = Health()
    seen: list[str] = []
    with caplog.at_level(logging.INFO, logger=live_triggers.__name__):
        loading = asyncio.create_task(LiveTriggers(Index()).load(connection, health))
        while not loading.done():
            await asyncio.sleep(0)
            seen.append(health.detail)
    assert list(dict.fromkeys(seen)) == [
        "triggers: loading",
        "triggers: loading: 1,000 of 1,001",
        "triggers: loading: 1,001 of 1,001",
        "",
    ]
    assert [record.message for record in caplog.records] == ["triggers loading", "triggers loading", "triggers loaded"]


async def test_others_have_their_turn_while_many_triggers_change(here: Running, connection: asyncpg.Connection) -> None:
    index = Index()
    triggers = await loaded(index, connection)
    await make_many(here, 10 * SLICE)
    sizes: list[int] = []
    catching_up = asyncio.create_task(triggers.catch_up(connection))
    while not catching_up.done():
        await asyncio.sleep(0)
        sizes.append(len(index))
    assert list(dict.fromkeys(sizes)) == [*range(0, 10 * SLICE + 1, SLICE)]


async def test_a_filter_that_is_wrong_stops_no_other_trigger_and_is_said_once(
    here: Running, connection: asyncpg.Connection, caplog: pytest.LogCaptureFixture
) -> None:
    await here.trigger(name="right")
    wrong = await here.trigger(name="wrong")
    await connection.execute("UPDATE trigger SET filter = '{\"$nonsense\": 1}' WHERE id = $1", wrong)
    with caplog.at_level(logging.ERROR):
        index = Index()
        triggers = await loaded(index, connection)
        await triggers.catch_up(connection)
        await triggers.compare_page(connection)
    matches, _ = index.match([RecordedEvent(event=here.event("1"), received=datetime.now(UTC))])
    assert [trigger.name for match in matches for trigger in match.triggers] == ["right"]
    assert [record.__dict__["trigger"] for record in caplog.records] == [wrong]


@asynccontextmanager
async def engine(dsn: str) -> AsyncIterator[Health]:
    """One of several; ready when it is given."""
    health = Health()
    async with embedded.parts(Settings(database=dsn), "engine", health) as parts:
        working = asyncio.create_task(
            service.run(parts.database, parts.wakeups, parts.event_log, parts.work_queue, health, guard.Limits())
        )
        try:
            await asyncio.sleep(0)
            await until(lambda: health.ready, within=5)
            yield health
        finally:
            working.cancel()
            await asyncio.wait([working])


async def test_a_second_after_its_making_over_http_a_trigger_is_known_to_whichever_engine_reads(
    here: Running, database: str
) -> None:
    parts = here.parts
    gateway = Parts.of(parts.database, parts.wakeups, parts.event_log, parts.work_queue, GatewaySettings())
    transport = httpx.ASGITransport(App(gateway), raise_app_exceptions=True)
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as http, engine(database):
        async with engine(database):
            await make_over_http(http, here.service.id, "first")
            await publish_a_second_later(here, "1")
            await here.until("SELECT count(*) = 1 FROM execution")
            await make_over_http(http, here.service.id, "second")
        # The other one may have been the reader until now.
        await publish_a_second_later(here, "2")
        await here.until("SELECT count(*) = 1 + 2 FROM execution")


async def make_over_http(http: httpx.AsyncClient, service_id: str, name: str) -> None:
    operation = {"type": "function", "serviceId": service_id, "functionName": "run"}
    spec = {"resource": "Item", "actions": ["Created"], "operation": operation}
    answer = await http.post("/api/v1/triggers", json={"name": name, "spec": spec})
    assert answer.status_code == 200, answer.text


async def publish_a_second_later(here: Running, event_id: str) -> None:
    await asyncio.sleep(1)  # the promise is about this second
    await here.publish(here.event(event_id))
