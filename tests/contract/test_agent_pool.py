"""What every pool of agents promises: as many as were asked for, kept running, gone when told."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

import pytest

from backbone.drivers.agent_pool.processes import Patience, ProcessAgentPool
from backbone.model.definitions import Runtime, Service
from backbone.ports import AgentPool, AgentState
from tests.support import agent_program

DRAIN_TIME = timedelta(milliseconds=200)
MARGIN = timedelta(milliseconds=300)


class Pool(Protocol):
    """A pool under test, and what the test may do behind its back. Agents run tests/support/agent_program.py."""

    port: AgentPool
    how: str
    """How agents that are started from now on behave."""

    def living(self) -> dict[str, str]:
        """The version of each agent that has begun and not ended in order, by a name that only this one has."""

    def kill(self, agent: str) -> None: ...

    def is_there(self, agent: str) -> bool: ...

    def starts(self) -> int: ...

    def let_finish(self) -> None: ...


class _Processes:
    def __init__(self, folder: Path) -> None:
        self.how = "works"
        self._folder = folder
        patience = Patience(
            first_pause=timedelta(milliseconds=20), longest_pause=timedelta(milliseconds=500), margin=MARGIN
        )
        self.port: AgentPool = ProcessAgentPool(self._command, lambda service: {}, patience)

    def _command(self, service: Service) -> list[str]:
        if self.how == "is missing":
            return [str(self._folder / "nothing")]
        program = [sys.executable, "-I", "-S", agent_program.__file__]
        return [*program, str(self._folder), self.how, str(service.version)]

    def living(self) -> dict[str, str]:
        return {file.name: file.read_text() for file in self._folder.iterdir() if file.name.isdecimal()}

    def kill(self, agent: str) -> None:
        os.kill(int(agent), signal.SIGKILL)

    def is_there(self, agent: str) -> bool:
        return Path("/proc", agent).exists()

    def starts(self) -> int:
        file = self._folder / "starts"
        return len(file.read_text().splitlines()) if file.exists() else 0

    def let_finish(self) -> None:
        (self._folder / "finish").touch()


@asynccontextmanager
async def processes(folder: Path) -> AsyncIterator[Pool]:
    pool = _Processes(folder)
    try:
        yield pool
    finally:
        await pool.port.close(timedelta())


DRIVERS = {"processes": processes}


@pytest.fixture(params=DRIVERS)
async def pool(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Pool]:
    async with DRIVERS[request.param](tmp_path) as pool:
        yield pool


def service(version: int = 1, name: str = "gray") -> Service:
    now = datetime.now(UTC)
    return Service(
        id=f"service {name}",
        project_id="project",
        name=name,
        package_id="package",
        package_revision=1,
        module_name="main",
        runtime=Runtime(),
        init_params={},
        execution_timeout=timedelta(seconds=60),
        drain_time=DRAIN_TIME,
        max_attempts=1,
        on_reset="failed",
        active=True,
        version=version,
        created_at=now,
        updated_at=now,
        creator="test",
    )


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.005)


async def until_ready(pool: Pool, count: int) -> None:
    async with asyncio.timeout(10):
        while sum(state.ready for state in await pool.port.observe()) != count or len(pool.living()) < count:
            await asyncio.sleep(0.005)


async def until_said(pool: Pool, reason: str) -> AgentState:
    async with asyncio.timeout(10):
        while True:
            for state in await pool.port.observe():
                if reason in state.reason:
                    return state
            await asyncio.sleep(0.005)


async def test_there_are_as_many_agents_as_asked_for(pool: Pool) -> None:
    await pool.port.resize(service(), 3)
    await until_ready(pool, 3)
    states = await pool.port.observe()
    assert [(state.service_id, state.ready, state.reason) for state in states] == [("service gray", True, "ready")] * 3
    assert len({state.name for state in states}) == 3
    await pool.port.resize(service(), 1)
    await until(lambda: len(pool.living()) == 1)
    await pool.port.resize(service(), 2)
    await until_ready(pool, 2)
    await pool.port.resize(service(), 0)
    await until(lambda: pool.living() == {})


async def test_asking_for_what_is_there_changes_nothing(pool: Pool) -> None:
    await pool.port.resize(service(), 2)
    await until_ready(pool, 2)
    before = pool.living()
    for _ in range(10):
        await pool.port.resize(service(), 2)
    assert pool.living() == before
    assert pool.starts() == 2


async def test_services_do_not_touch_each_other(pool: Pool) -> None:
    await pool.port.resize(service(name="gray"), 1)
    await pool.port.resize(service(name="blue", version=9), 2)
    await until_ready(pool, 3)
    await pool.port.resize(service(name="gray"), 0)
    await until(lambda: list(pool.living().values()) == ["9", "9"])


async def test_a_new_version_starts_while_the_old_one_finishes_what_it_holds(pool: Pool) -> None:
    pool.how = "drains"
    lasting = replace(service(1), drain_time=timedelta(seconds=30))
    await pool.port.resize(lasting, 2)
    await until_ready(pool, 2)
    pool.how = "works"
    await pool.port.resize(service(2), 2)
    await until_ready(pool, 4)
    assert sorted(pool.living().values()) == ["1", "1", "2", "2"]
    pool.let_finish()
    await until(lambda: sorted(pool.living().values()) == ["2", "2"])


async def test_an_agent_that_dies_is_started_again(pool: Pool) -> None:
    await pool.port.resize(service(), 1)
    await until_ready(pool, 1)
    [first] = pool.living()
    pool.kill(first)
    await until(lambda: bool(pool.living().keys() - {first}))


async def test_an_agent_that_dies_at_once_is_started_less_and_less_often(pool: Pool) -> None:
    pool.how = "dies"
    clock = asyncio.get_running_loop().time
    began = clock()
    await pool.port.resize(service(), 1)
    await until(lambda: pool.starts() >= 5)
    assert clock() - began > 0.02 + 0.04 + 0.08 + 0.16
    state = await until_said(pool, "ended with exit code 7")
    assert not state.ready


async def test_why_an_agent_cannot_load_is_seen(pool: Pool) -> None:
    pool.how = "refuses"
    await pool.port.resize(service(), 1)
    state = await until_said(pool, "no module named 'nothing'")
    assert not state.ready
    await until(lambda: pool.starts() >= 2)
    pool.how = "works"
    await until_ready(pool, 1)


async def test_a_program_that_cannot_be_started_is_seen_and_tried_again(pool: Pool) -> None:
    pool.how = "is missing"
    await pool.port.resize(service(), 1)
    await until_said(pool, "cannot be started")
    pool.how = "works"
    await until_ready(pool, 1)


async def test_a_state_lasts_since_it_began(pool: Pool) -> None:
    pool.how = "refuses"
    await pool.port.resize(service(), 1)
    first = await until_said(pool, "no module")
    starts = pool.starts()
    await until(lambda: pool.starts() >= starts + 2)
    assert (await until_said(pool, "no module")).since == first.since


async def test_an_agent_that_does_not_go_is_killed_after_its_drain_time(pool: Pool) -> None:
    pool.how = "stubborn"
    await pool.port.resize(service(), 1)
    await until_ready(pool, 1)
    [agent] = pool.living()
    began = asyncio.get_running_loop().time()
    await pool.port.resize(service(), 0)
    await until(lambda: not pool.is_there(agent))
    assert asyncio.get_running_loop().time() - began >= (DRAIN_TIME + MARGIN).total_seconds()
    assert pool.starts() == 1


async def test_close_leaves_nobody(pool: Pool) -> None:
    await pool.port.resize(service(name="gray"), 2)
    await until_ready(pool, 2)
    pool.how = "stubborn"
    await pool.port.resize(service(name="blue"), 1)
    await until_ready(pool, 3)
    agents = list(pool.living())
    await pool.port.close(timedelta(milliseconds=100))
    assert [agent for agent in agents if pool.is_there(agent)] == []
    assert await pool.port.observe() == []


async def test_close_hurries_those_that_drain_already(pool: Pool) -> None:
    pool.how = "drains"
    lasting = replace(service(), drain_time=timedelta(seconds=30))
    await pool.port.resize(lasting, 1)
    await until_ready(pool, 1)
    await pool.port.resize(lasting, 0)
    began = asyncio.get_running_loop().time()
    await pool.port.close(timedelta(seconds=20))
    assert asyncio.get_running_loop().time() - began < 10
    assert pool.living() == {}  # in order, and not killed


async def test_close_while_agents_are_being_started(pool: Pool) -> None:
    await pool.port.resize(service(), 3)
    await pool.port.close(timedelta(seconds=5))
    assert await pool.port.observe() == []
