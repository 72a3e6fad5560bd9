"""The servers of the cluster profile are killed under load, and cut off: nothing is lost, nothing that was claimed once
is doubled, and the engine goes on by itself.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.support import load, profiles
from tests.support.boundary import HELD, RECORDING
from tests.support.engine import PATIENCE, Project
from tests.support.site import Site, site

pytestmark = pytest.mark.chaos

RATE = 400.0  # events a second
LOAD = 1200  # events
AN_ENTITY = 3  # events
GOES_ON_WITHIN = 30.0
"""Seconds after the server is back."""
IS_NOT_READY_WITHIN = 30.0
"""Seconds after a server was killed. A few are usual; a busy machine takes its time to say it, too."""
SOON_FOUND_SILENT = ("kafka", "postgres")
STALL = 3.0
"""Seconds, of RabbitMQ: it is found silent after 22."""
LEASE = "10s"  # longer than that, and what was just being asked for waits for it
LINES = 10  # of a process, while a server is away and comes back

CODE = """
import os, time

starts = os.open({starts!r}, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

def run(item, context):
    os.write(starts, (context.execution_id + "\\n").encode())
    time.sleep(0.02)
"""
TRIGGERS = [{"name": mode, "executionMode": mode, "actions": ["Updated"]} for mode in ("Once", "Always")]
SERVERS = ("kafka", "rabbitmq", "postgres")


@dataclass(frozen=True)
class UnderLoad:
    """One site for all tests, with a project whose agents are up."""

    site: Site
    project: Project
    starts: Path
    recovered: dict[str, float]

    def events(self, count: int) -> list[dict[str, Any]]:
        load_ = uuid.uuid4().hex
        return [
            self.project.event(f"{load_} {number}", entity_id=f"{load_} {number // AN_ENTITY}", action="Updated")
            for number in range(count)
        ]

    @asynccontextmanager
    async def load(self) -> AsyncIterator[list[dict[str, Any]]]:
        """Events that come in during the block, and beyond it until every one was answered 2xx."""
        events = self.events(LOAD)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(load.publish(self.site.engine, events, RATE))
            await self.until_started()
            yield events

    async def until_started(self) -> None:
        """The load arrives at the functions."""
        before = self.starts.stat().st_size if self.starts.exists() else 0
        await self.until_true(
            lambda: self.starts.exists() and self.starts.stat().st_size > before, "a function started"
        )

    async def until_ready(self, expected: bool, within: float) -> None:
        await self.until_true(lambda: self.site.engine.is_ready() is expected, f"ready is {expected}", within)

    async def until_true(self, condition: Callable[[], bool], what: str, within: float = PATIENCE) -> None:
        """While the load goes on."""
        await asyncio.to_thread(self.site.engine.until_true, condition, what, within)

    async def goes_on(self, what: str) -> None:
        """By itself, and soon: an event that is sent now comes through."""
        began = time.monotonic()
        (probe,) = self.events(1)
        await load.publish(self.site.engine, [probe], rate=1000)
        await self.site.engine.until(
            "SELECT count(*) = 2 FROM execution WHERE event_id = $1 AND status = 'success'",
            probe["id"],
            within=max(0.0, GOES_ON_WITHIN - (time.monotonic() - began)),
        )
        self.recovered[what] = time.monotonic() - began
        print(f"{what}: went on after {self.recovered[what]:.1f} s")

    async def asserted(self, events: list[dict[str, Any]]) -> None:
        """Every one was executed as often as it should be, and started so often."""
        project, engine = self.project, self.site.engine
        async with asyncio.timeout(120):
            while await profiles.lag(engine.environment):
                await asyncio.sleep(0.1)
        await project.until_ended(1, within=120)
        ids = [event["id"] for event in events]
        executions = await engine.sql(
            "SELECT execution.id, name, entity_id, event_id, attempt, status::text FROM execution"
            " JOIN trigger ON trigger.id = trigger_id WHERE event_id = ANY ($1)",
            ids,
        )
        recorded = {name: [one for one in executions if one["name"] == name] for name in ("Once", "Always")}
        assert len({one["entity_id"] for one in recorded["Once"]}) == len(recorded["Once"]) == len(ids) // AN_ENTITY
        assert {one["event_id"] for one in recorded["Always"]} == set(ids)
        assert len(recorded["Always"]) == len(ids)
        assert Counter((one["status"], one["attempt"]) for one in executions) == {("success", 1): len(executions)}
        starts = Counter(self.starts.read_text().split())
        assert {starts[str(one["id"])] for one in executions} == {1}
        for what in ("lease", "pending", "dead_letter"):
            assert await engine.value(f"SELECT count(*) FROM {what}") == 0, what


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def here(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[UnderLoad]:
    folder = tmp_path_factory.mktemp("site")
    starts = folder / "starts"
    async with site(folder, TRIGGER_ENGINE_LEASE=LEASE, **load.NO_LOOP) as made:
        project = await made.engine.project(
            "site", CODE.format(starts=str(starts)), TRIGGERS, runtime={"concurrency": 32}, onReset="rerun"
        )
        yield UnderLoad(made, project, starts, {})


@pytest.mark.parametrize("server", SERVERS)
async def test_a_server_that_is_killed_under_load_loses_and_doubles_nothing(here: UnderLoad, server: str) -> None:
    async with here.load() as events:
        lines = here.site.lines()
        await here.site.kill(server)
        await here.until_ready(False, IS_NOT_READY_WITHIN)
        await here.site.servers[server].start()
        await here.goes_on(f"{server} killed")
        written = here.site.lines() - lines
        assert max(written.values(), default=0) <= LINES, written
    await here.asserted(events)
    await here.until_ready(True, GOES_ON_WITHIN)


@pytest.mark.parametrize("server", SERVERS)
async def test_a_network_that_is_cut_under_load_loses_and_doubles_nothing(here: UnderLoad, server: str) -> None:
    network = here.site.networks[server]
    async with here.load() as events:
        lines = here.site.lines()
        network.reset()
        await here.goes_on(f"{server} reset")
        network.half_close()
        await here.goes_on(f"{server} half-closed")
        network.stall()
        if server in SOON_FOUND_SILENT:
            await here.until_ready(False, IS_NOT_READY_WITHIN)
        else:
            await asyncio.sleep(STALL)
        network.restore()
        await here.goes_on(f"{server} stalled")
        written = here.site.lines() - lines
        assert max(written.values(), default=0) <= LINES, written
    await here.asserted(events)
    await here.until_ready(True, GOES_ON_WITHIN)


async def test_an_engine_that_dies_between_its_commit_and_the_offsets_doubles_nothing(here: UnderLoad) -> None:
    engine, network = here.site.engine, here.site.networks["kafka"]
    events = here.events(AN_ENTITY)
    async with engine.connection() as connection:
        await connection.execute("BEGIN; LOCK TABLE claim IN EXCLUSIVE MODE")
        await load.publish(engine, events, RATE)
        await engine.until(f"SELECT EXISTS (SELECT FROM pg_stat_activity WHERE {HELD})", RECORDING)
        network.stall()
    await engine.until(
        "SELECT count(*) = $2 FROM execution WHERE event_id = ANY ($1)", [one["id"] for one in events], 1 + AN_ENTITY
    )
    assert await profiles.lag({**engine.environment, "TRIGGER_ENGINE_KAFKA": here.site.kafka}) == AN_ENTITY
    await here.until_true(lambda: engine.kill("engine") > 0, "the engine is dead")
    network.restore()
    await here.asserted(events)
