"""A match becomes an execution exactly once, however many engines record it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, aclosing
from pathlib import Path

import asyncpg
import pytest
from msgspec.structs import replace

from backbone.drivers.event_log.postgres import PostgresEventLog
from backbone.kit.loops import Health
from backbone.model.events import RecordedEvent
from backbone.model.executions import NewExecution
from backbone.model.resources import ExecutionMode
from backbone.store.database import Database
from tests.support.matching import chain, live_trigger, match, recorded
from tests.support.running import Running, running
from trigger_engine import guard
from trigger_engine import record as stage
from trigger_engine.live_triggers import LiveTriggers
from trigger_engine.pipeline import Pipeline


@pytest.fixture
async def here(database: str, tmp_path: Path) -> AsyncIterator[Running]:
    triggers = [{"mode": mode, "name": mode.value} for mode in ExecutionMode]
    async with running(database, tmp_path, "", triggers=triggers, roles=()) as here:
        yield here


@pytest.fixture
async def connection(here: Running) -> AsyncIterator[asyncpg.Connection]:
    async with here.parts.database.lane(durable=False) as connection:
        yield connection


async def record(
    connection: asyncpg.Connection, admitted: Sequence[NewExecution], *, queue_too: bool = True
) -> list[str]:
    recorded, _ = await stage.record(connection, admitted, [], queue_too=queue_too)
    return [new.service_id for new in recorded]


def admitted(records: Sequence[RecordedEvent], *, once: bool) -> list[NewExecution]:
    trigger = live_trigger(once=once)
    return guard.judge([match(trigger, one) for one in records], guard.Limits())[0]


async def counts(here: Running) -> tuple[int, int, int, int]:
    [row] = await here.rows(
        "SELECT (SELECT count(*) FROM execution) AS executions, (SELECT count(*) FROM claim) AS claims,"
        " (SELECT count(*) FROM queue) AS queued, (SELECT count(*) FROM pending) AS pending"
    )
    return row["executions"], row["claims"], row["queued"], row["pending"]


async def now_recorded(here: Running, count: int, *, entities: int) -> list[RecordedEvent]:
    """Received now: their executions belong to a day that is there."""
    now = (await here.rows("SELECT now() AS now"))[0]["now"]
    return [
        recorded(f"event {number}", entity_id=f"entity {number % entities}", received=now) for number in range(count)
    ]


async def test_two_engines_on_the_same_batch_record_every_match_once(here: Running) -> None:
    await here.publish(*(here.event(str(number), entity_id=f"entity {number % 100}") for number in range(500)))
    async with AsyncExitStack() as stack:
        engines = []
        for name in ("one", "other"):
            lane = await stage_lane(stack, here.parts.database)
            log = PostgresEventLog(here.parts.database, here.parts.wakeups, reader=name)
            batches = await stack.enter_async_context(aclosing(log.read(1000)))
            pipeline = Pipeline(here.parts.event_log, here.parts.work_queue, here.parts.wakeups, b"key")
            await LiveTriggers(pipeline.index).load(lane, Health())
            engines.append((pipeline, lane, await anext(batches)))
        await asyncio.gather(*(pipeline.carry(batch, lane) for pipeline, lane, batch in engines))
    assert await counts(here) == (100 + 500, 100, 600, 0)
    by_name = await here.rows(
        "SELECT name, count(*) FROM execution JOIN trigger ON trigger.id = trigger_id GROUP BY name"
    )
    assert {row["name"]: row["count"] for row in by_name} == {"Once": 100, "Always": 500}


async def stage_lane(stack: AsyncExitStack, database: Database) -> asyncpg.Connection:
    return await stack.enter_async_context(database.lane(durable=False))


@pytest.mark.parametrize("once", [True, False])
async def test_twenty_recorders_of_the_same_ten_thousand_events_record_each_match_once(
    here: Running, once: bool
) -> None:
    matches = admitted(await now_recorded(here, 10_000, entities=10_000), once=once)
    new: list[str] = []

    async def recorder(connection: asyncpg.Connection) -> None:
        for start in range(0, len(matches), 500):
            new.extend(await record(connection, matches[start : start + 500]))

    async with AsyncExitStack() as stack:
        lanes = [await stage_lane(stack, here.parts.database) for _ in range(20)]
        await asyncio.gather(*(recorder(lane) for lane in lanes))
    assert len(new) == 10_000
    assert await counts(here) == (10_000, 10_000 if once else 0, 10_000, 0)


async def test_once_is_once_for_an_entity_in_one_batch_and_ever_after(
    here: Running, connection: asyncpg.Connection
) -> None:
    records = await now_recorded(here, 30, entities=3)
    assert len(await record(connection, admitted(records[:15], once=True))) == 3
    assert await record(connection, admitted(records[15:], once=True)) == []
    # Claims outlive what they led to.
    await here.rows("DELETE FROM execution")
    assert await record(connection, admitted(records, once=True)) == []
    claims = await here.rows("SELECT entity_id, event_id FROM claim ORDER BY entity_id")
    assert [claim["event_id"] for claim in claims] == ["event 0", "event 1", "event 2"]


async def test_where_the_queue_is_elsewhere_an_execution_waits_to_be_put_there(
    here: Running, connection: asyncpg.Connection
) -> None:
    matches = admitted(await now_recorded(here, 5, entities=5), once=False)
    for _ in range(2):
        await record(connection, matches, queue_too=False)
    assert await counts(here) == (5, 0, 0, 5)
    assert {row["status"] for row in await here.rows("SELECT status FROM execution")} == {"created"}


async def test_claim_execution_and_place_in_the_queue_are_written_together_or_not_at_all(
    here: Running, connection: asyncpg.Connection
) -> None:
    matches = admitted(await now_recorded(here, 5, entities=5), once=True)
    await here.rows("ALTER TABLE queue ADD CHECK (service_id <> 'service')")
    with pytest.raises(asyncpg.CheckViolationError):
        await record(connection, matches)
    assert await counts(here) == (0, 0, 0, 0)
    await here.rows("ALTER TABLE queue DROP CONSTRAINT queue_service_id_check")
    assert len(await record(connection, matches)) == 5


async def test_what_one_loop_stopped_is_one_incident(here: Running, connection: asyncpg.Connection) -> None:
    records = await now_recorded(here, 3, entities=3)
    led = [replace(one, event=replace(one.event, causation=chain(["another"]))) for one in records]
    _, stopped = guard.judge([match(live_trigger(), one) for one in led], guard.Limits(max_depth=1))
    told = [(await stage.record(connection, [], stopped, queue_too=True))[1] for _ in range(2)]
    assert [(one.stopped, one.held, one.raised) for one in told] == [(3, 0, 1), (0, 0, 0)]
    [incident] = await here.rows("SELECT * FROM incident")
    assert (incident["stopped"], incident["kind"], incident["state"]) == (3, "depth", "open")
    late = replace(stopped[0], execution=replace(stopped[0].execution, event_id="late"))
    assert (await stage.record(connection, [], [late], queue_too=True))[1].raised == 0
    assert [row["stopped"] for row in await here.rows("SELECT stopped FROM incident")] == [4]
