"""kill -9 exactly between two stages: each test stops an event at one boundary and kills there.

Nothing in the engine knows of this. Who is to be held there waits in PostgreSQL: for a table that the test has locked,
or after its commit for a standby that does not exist; or it stands still (SIGSTOP). The victim `connection` is the one
that waits, cut at that moment; a part that is killed takes its waiting connection along.
"""

from __future__ import annotations

import asyncio
import signal
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from dispatcher.rescue import LOST
from tests.support import load
from tests.support.engine import OUTAGE, Engine, Project
from tests.support.profiles import Embedded, Profile

CODE = """
import os, time

def run(item, context):
    starts = os.open({folder!r} + "/" + context.event.id, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(starts, b"started ")
    os.close(starts)
    while not os.path.exists({folder!r} + "/" + item["gate"]):
        time.sleep(0.01)
"""

HELD = (
    "application_name LIKE 'trigger-engine %' AND query LIKE $1"
    " AND (wait_event_type = 'Lock' OR wait_event = 'SyncRep')"
)
APPENDING, MOVING, TAKING = "%INSERT INTO event (%", "%UPDATE reader%", "%DELETE FROM queue%"
REPORTING, ACKNOWLEDGING = "%INSERT INTO report%", "%DELETE FROM report%"

STATUS = "SELECT status::text FROM execution WHERE event_id = $1"
IS_QUEUED = "SELECT EXISTS (SELECT FROM queue JOIN execution ON execution.id = execution_id WHERE event_id = $1)"
HAS_LEASE = "SELECT EXISTS (SELECT FROM lease JOIN execution ON execution.id = execution_id WHERE event_id = $1)"
END_IS_REPORTED = "SELECT EXISTS (SELECT FROM report WHERE position('success'::bytea IN body) > 0)"
IS_AHEAD = """SELECT EXISTS (
    SELECT FROM event, reader WHERE event.id = $1 AND (event.xid, event.seq) > (reader.xid, reader.seq))"""


@dataclass(frozen=True)
class Ended:
    status: str
    attempt: int
    starts: int
    ends: list[tuple[int, str]]
    messages: list[str]


@dataclass(frozen=True)
class Boundary:
    """One engine and one project for all tests; an event of its own for each."""

    engine: Engine
    project: Project
    folder: Path

    def event(self, gate: str = "open") -> dict[str, Any]:
        return self.project.event(uuid.uuid4().hex, action="Updated", entity={"gate": gate})

    async def publish(self, event: dict[str, Any]) -> int:
        """Until it is answered 2xx; returns how often it had to be repeated."""
        return await load.publish(self.engine, [event], rate=1000)

    def open(self, gate: str) -> None:
        (self.folder / gate).touch()

    def until_started(self, event: dict[str, Any]) -> None:
        self.engine.until_true((self.folder / event["id"]).exists, "the function began")

    # Held where it is

    @asynccontextmanager
    async def stopped(self, role: str) -> AsyncIterator[None]:
        pid = self.engine.send(role, signal.SIGSTOP)
        yield
        if pid in self.engine.pids[role]:
            self.engine.send(role, signal.SIGCONT)

    @asynccontextmanager
    async def locked(self, table: str) -> AsyncIterator[None]:
        """Who writes to the table waits; who reads does not."""
        async with self.engine.connection() as connection:
            await connection.execute(f"BEGIN; LOCK TABLE {table} IN EXCLUSIVE MODE")
            yield

    @asynccontextmanager
    async def unanswered(self) -> AsyncIterator[None]:
        """Durable commits reach the disk, and nobody is told."""
        await self.set_standby("nobody")
        yield
        await self.set_standby("")

    async def set_standby(self, name: str) -> None:
        """Durable commits reach the disk and wait for this standby before anybody is told; '' lets them go."""
        async with asyncio.timeout(20):
            while True:
                try:
                    async with self.engine.connection() as connection:
                        await connection.execute(f"ALTER SYSTEM SET synchronous_standby_names = '{name}'")
                        await connection.execute("SELECT pg_reload_conf()")
                    return
                except OUTAGE:
                    await asyncio.sleep(0.02)

    async def until_held(self, statement: str) -> None:
        await self.engine.until(f"SELECT EXISTS (SELECT FROM pg_stat_activity WHERE {HELD})", statement)

    async def kill(self, victim: str, *, held: str) -> None:
        """What waits in PostgreSQL for somebody who is dead would go on when it may: it goes with its client."""
        await self.until_held(held)
        if victim != "connection":
            self.engine.kill(victim)
        if victim != "postgres":
            await self.engine.sql(f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE {HELD}", held)

    # What became of it

    async def ended(self, event: dict[str, Any]) -> Ended:
        """Its one execution, of which nothing is left to do."""
        engine, event_id = self.engine, event["id"]
        await engine.until("SELECT status >= 'success' FROM execution WHERE event_id = $1", event_id)
        await self.project.until_carried()
        await engine.until("SELECT NOT EXISTS (SELECT FROM report)")
        assert await engine.value("SELECT count(*) FROM event WHERE id = $1", event_id) == 1
        (execution,) = await engine.sql("SELECT id, attempt, status::text FROM execution WHERE event_id = $1", event_id)
        for what in ("lease", "queue", "pending"):
            assert not await engine.sql(f"SELECT * FROM {what} WHERE execution_id = $1", execution["id"]), what
        lines = await engine.sql(
            "SELECT attempt, status, message FROM status_log WHERE execution_id = $1 ORDER BY attempt, number",
            execution["id"],
        )
        return Ended(
            status=execution["status"],
            attempt=execution["attempt"],
            starts=(self.folder / event_id).read_text().count("started"),
            ends=[(line["attempt"], line["status"]) for line in lines if line["status"] != "in-progress"],
            messages=[line["message"] for line in lines if line["message"]],
        )

    async def ran_once(self, event: dict[str, Any]) -> None:
        assert await self.ended(event) == Ended("success", 1, 1, [(1, "success")], [])


@pytest.fixture(scope="module")
def profile() -> Profile:
    """The boundaries of the cluster profile are others: test_cluster_boundaries.py."""
    return Embedded()


@pytest.fixture(scope="module")
def boundary(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Boundary:
    folder = tmp_path_factory.mktemp("starts")
    trigger = {"actions": ["Updated"], "executionMode": "Always"}
    code = CODE.format(folder=str(folder))
    project = asyncio.run(engine.project("boundaries", code, [trigger], onReset="rerun", maxAttempts=3))
    (folder / "open").touch()
    return Boundary(engine, project, folder)


@pytest.mark.parametrize("victim", ["gateway", "postgres", "connection"])
async def test_appended_and_not_answered(boundary: Boundary, victim: str) -> None:
    event = boundary.event()
    async with boundary.unanswered():
        publishing = asyncio.create_task(boundary.publish(event))
        await boundary.kill(victim, held=APPENDING)
    assert await publishing > 0, "the client had no reason to ask again"
    await boundary.ran_once(event)


@pytest.mark.parametrize("victim", ["engine", "postgres", "gateway"])
async def test_answered_and_not_matched(boundary: Boundary, victim: str) -> None:
    event = boundary.event()
    async with boundary.stopped("engine"):
        await boundary.publish(event)
        boundary.engine.kill(victim)
    await boundary.ran_once(event)


@pytest.mark.parametrize("victim", ["engine", "postgres", "connection"])
async def test_recorded_and_the_position_not_moved(boundary: Boundary, victim: str) -> None:
    event = boundary.event()
    async with boundary.locked("reader"):
        await boundary.publish(event)
        await boundary.engine.until(STATUS + " IS NOT NULL", event["id"])
        assert await boundary.engine.value(IS_AHEAD, event["id"])
        await boundary.kill(victim, held=MOVING)
    await boundary.ran_once(event)


@pytest.mark.parametrize("victim", ["agent", "postgres", "connection"])
async def test_taken_and_not_answered(boundary: Boundary, victim: str) -> None:
    event = boundary.event()
    async with boundary.stopped("agent"):
        await boundary.publish(event)
        await boundary.engine.until(IS_QUEUED, event["id"])
        await boundary.set_standby("nobody")
    await boundary.kill(victim, held=TAKING)
    await boundary.set_standby("")
    await boundary.ran_once(event)


async def test_taken_and_begun_and_not_reported_when_the_agent_dies_counts_no_attempt(boundary: Boundary) -> None:
    event = boundary.event()
    async with boundary.locked("report"):
        await boundary.publish(event)
        await boundary.engine.until(HAS_LEASE, event["id"])
        boundary.until_started(event)
        await boundary.kill("agent", held=REPORTING)
    assert await boundary.ended(event) == Ended("success", 1, 2, [(1, "success")], [])


@pytest.mark.parametrize("victim", ["postgres", "connection"])
async def test_taken_and_begun_and_not_reported(boundary: Boundary, victim: str) -> None:
    event = boundary.event()
    async with boundary.locked("report"):
        await boundary.publish(event)
        boundary.until_started(event)
        await boundary.kill(victim, held=REPORTING)
    await boundary.ran_once(event)


async def test_taken_while_the_functions_process_is_gone(boundary: Boundary) -> None:
    for _ in range(3):
        event = boundary.event()
        boundary.engine.kill("child")
        await boundary.publish(event)
        # Before the next kill, which would otherwise hit the process that has begun this one.
        await boundary.ran_once(event)


async def running(boundary: Boundary) -> dict[str, Any]:
    """An event whose function runs, and waits for a gate of the event's own name."""
    event = boundary.event()
    event["entity"]["gate"] = f"gate-{event['id']}"
    await boundary.publish(event)
    await boundary.engine.until(f"SELECT ({STATUS}) = 'in-progress'", event["id"])
    return event


async def test_started_and_not_finished_when_the_agent_dies_counts_an_attempt(boundary: Boundary) -> None:
    event = await running(boundary)
    boundary.engine.kill("agent")
    boundary.open(event["entity"]["gate"])
    assert await boundary.ended(event) == Ended("success", 2, 2, [(1, "failed"), (2, "success")], [LOST])


async def test_started_and_not_finished_when_the_functions_process_dies_counts_an_attempt(boundary: Boundary) -> None:
    event = await running(boundary)
    boundary.engine.kill("child")
    boundary.open(event["entity"]["gate"])
    ended = await boundary.ended(event)
    assert (ended.status, ended.attempt, ended.starts) == ("success", 2, 2)
    assert ended.messages == ["The process was killed by signal 9 (SIGKILL)"]


@pytest.mark.parametrize("victim", ["postgres", "dispatcher", "engine", "gateway"])
async def test_started_and_not_finished_when_another_part_dies(boundary: Boundary, victim: str) -> None:
    event = await running(boundary)
    boundary.engine.kill(victim)
    boundary.open(event["entity"]["gate"])
    await boundary.ran_once(event)


@pytest.mark.parametrize("victim", ["postgres", "connection"])
async def test_finished_and_reported_and_not_answered(boundary: Boundary, victim: str) -> None:
    event = await running(boundary)
    async with boundary.unanswered():
        boundary.open(event["entity"]["gate"])
        await boundary.kill(victim, held=REPORTING)
    await boundary.ran_once(event)


@pytest.mark.parametrize("victim", ["dispatcher", "postgres"])
async def test_reported_and_not_settled(boundary: Boundary, victim: str) -> None:
    event = boundary.event()
    async with boundary.stopped("dispatcher"):
        await boundary.publish(event)
        await boundary.engine.until(END_IS_REPORTED)
        boundary.engine.kill(victim)
    await boundary.ran_once(event)


async def test_reported_and_not_settled_when_the_agent_dies_and_its_lease_runs_out(boundary: Boundary) -> None:
    event = boundary.event()
    async with boundary.stopped("dispatcher"):
        await boundary.publish(event)
        await boundary.engine.until(END_IS_REPORTED)
        boundary.engine.kill("agent")
        await boundary.engine.until(
            "SELECT lease_until < now() FROM agent_session JOIN lease ON session_id = agent_session.id"
            " JOIN execution ON execution.id = execution_id WHERE event_id = $1",
            event["id"],
        )
    await boundary.ran_once(event)


@pytest.mark.parametrize("victim", ["dispatcher", "postgres", "connection"])
async def test_settled_and_not_acknowledged(boundary: Boundary, victim: str) -> None:
    event = boundary.event()
    async with boundary.stopped("dispatcher"):
        await boundary.publish(event)
        await boundary.engine.until(END_IS_REPORTED)
        lock = boundary.locked("report")
        await lock.__aenter__()
    await boundary.engine.until(f"SELECT ({STATUS}) = 'success'", event["id"])
    await boundary.kill(victim, held=ACKNOWLEDGING)
    await lock.__aexit__(None, None, None)
    await boundary.ran_once(event)


async def test_everything_dies_at_once_in_the_middle_of_a_function(boundary: Boundary) -> None:
    event = await running(boundary)
    boundary.engine.process.kill()
    boundary.engine.process.wait()
    boundary.open(event["entity"]["gate"])
    boundary.engine.until_true(lambda: not boundary.engine.left(), "nothing is left")
    boundary.engine.start()
    assert await boundary.ended(event) == Ended("success", 2, 2, [(1, "failed"), (2, "success")], [LOST])
