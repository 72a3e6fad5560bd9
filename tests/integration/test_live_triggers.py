"""The engine follows the table of triggers without being started again."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from backbone.model.events import RecordedEvent
from backbone.store import definitions
from backbone.store.wakeups import LOOK_ANYWAY
from tests.support.running import Running, running
from trigger_engine import live_triggers
from trigger_engine.match import Index
from trigger_engine.pipeline import Pipeline


@pytest.fixture
async def here(database: str, tmp_path: Path) -> AsyncIterator[Running]:
    async with running(database, tmp_path, "", triggers=(), roles=()) as here:
        yield here


@pytest.fixture
async def pipeline(here: Running) -> AsyncIterator[Pipeline]:
    pipeline = Pipeline(here.parts.work_queue)
    following = asyncio.create_task(live_triggers.follow(pipeline, here.parts.database, here.parts.wakeups))
    yield pipeline
    following.cancel()
    await asyncio.wait([following])


async def until(condition: Callable[[], bool], within: float) -> None:
    async with asyncio.timeout(within):
        while not condition():
            await asyncio.sleep(0.002)


def tell(here: Running) -> None:
    here.parts.wakeups.wake([definitions.TRIGGERS_CHANNEL])


async def test_a_change_that_is_told_is_followed_within_a_second(here: Running, pipeline: Pipeline) -> None:
    pool = here.parts.database.pool
    trigger_id = await here.trigger()
    tell(here)
    await until(lambda: trigger_id in pipeline.index.versions, within=1)

    before = pipeline.index.versions[trigger_id]
    trigger = await definitions.trigger(pool, trigger_id)
    await definitions.change_trigger(pool, replace(trigger, filter={"name": "x"}))
    tell(here)
    await until(lambda: pipeline.index.versions[trigger_id] > before, within=1)

    await definitions.delete_trigger(pool, trigger_id)
    tell(here)
    await until(lambda: len(pipeline.index) == 0, within=1)


async def test_a_change_that_nobody_told_of_is_found(here: Running, pipeline: Pipeline) -> None:
    await here.trigger()
    await until(lambda: len(pipeline.index) == 1, within=LOOK_ANYWAY + 1)
    await here.trigger()
    await until(lambda: len(pipeline.index) == 2, within=LOOK_ANYWAY + 1)


async def test_a_service_that_is_paused_takes_its_triggers_out(here: Running, pipeline: Pipeline) -> None:
    pool = here.parts.database.pool
    await here.trigger()
    tell(here)
    await until(lambda: len(pipeline.index) == 1, within=1)
    await definitions.set_service_active(pool, here.service.id, False)
    tell(here)
    await until(lambda: len(pipeline.index) == 0, within=1)
    await definitions.set_service_active(pool, here.service.id, True)
    tell(here)
    await until(lambda: len(pipeline.index) == 1, within=1)


async def test_a_change_of_the_service_reaches_its_triggers(here: Running) -> None:
    pool = here.parts.database.pool
    trigger_id = await here.trigger()
    async with pool.acquire() as connection:
        index = Index()
        await live_triggers.refresh(index, connection)
        before = index.versions[trigger_id]
        await definitions.change_service(pool, replace(here.service, max_attempts=9))
        await live_triggers.refresh(index, connection)
    assert index.versions[trigger_id] > before
    [match] = index.match([RecordedEvent(event=here.event("1"), received=datetime.now(UTC))])[0]
    assert match.triggers[0].max_attempts == 9


async def test_nothing_changed_is_the_same_version_of_the_index(here: Running) -> None:
    await here.trigger()
    index = Index()
    async with here.parts.database.pool.acquire() as connection:
        await live_triggers.refresh(index, connection)
        version = index.version
        await live_triggers.refresh(index, connection)
    assert index.version == version > 0


async def test_a_filter_that_is_wrong_stops_no_other_trigger_and_is_said_once(
    here: Running, caplog: pytest.LogCaptureFixture
) -> None:
    await here.trigger(name="right")
    wrong = await here.trigger(name="wrong")
    async with here.parts.database.pool.acquire() as connection:
        await connection.execute("UPDATE trigger SET filter = '{\"$nonsense\": 1}' WHERE id = $1", wrong)
        with caplog.at_level(logging.ERROR):
            index = Index()
            await live_triggers.refresh(index, connection)
            await live_triggers.refresh(index, connection)
    matches, _ = index.match([RecordedEvent(event=here.event("1"), received=datetime.now(UTC))])
    assert [trigger.name for match in matches for trigger in match.triggers] == ["right"]
    assert [record.__dict__["trigger"] for record in caplog.records] == [wrong]
