"""kill -9 exactly between two stages of the embedded profile: each test stops an event at one boundary and kills there
(tests/support/boundary.py says how)."""

from __future__ import annotations

import asyncio

import pytest

from dispatcher.rescue import LOST
from tests.support.boundary import STATUS, Boundary, Ended
from tests.support.engine import Engine

# Between statements of the drivers in PostgreSQL; test_cluster_boundaries.py has the other profile's.
pytestmark = pytest.mark.profiles("embedded")

APPENDING, MOVING, TAKING = "%INSERT INTO event (%", "%UPDATE reader%", "%DELETE FROM queue%"
REPORTING, ACKNOWLEDGING = "%INSERT INTO report%", "%DELETE FROM report%"

IS_QUEUED = "SELECT EXISTS (SELECT FROM queue JOIN execution ON execution.id = execution_id WHERE event_id = $1)"
HAS_LEASE = "SELECT EXISTS (SELECT FROM lease JOIN execution ON execution.id = execution_id WHERE event_id = $1)"
END_IS_REPORTED = "SELECT EXISTS (SELECT FROM report WHERE position('success'::bytea IN body) > 0)"
IS_AHEAD = """SELECT EXISTS (
    SELECT FROM event, reader WHERE event.id = $1 AND (event.xid, event.seq) > (reader.xid, reader.seq))"""


@pytest.fixture(scope="module")
def boundary(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Boundary:
    return asyncio.run(Boundary.of(engine, tmp_path_factory.mktemp("starts")))


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


async def test_started_and_not_finished_when_the_agent_dies_counts_an_attempt(boundary: Boundary) -> None:
    event = await boundary.running()
    boundary.engine.kill("agent")
    boundary.open(event["entity"]["gate"])
    assert await boundary.ended(event) == Ended("success", 2, 2, [(1, "failed"), (2, "success")], [LOST])


async def test_started_and_not_finished_when_the_functions_process_dies_counts_an_attempt(boundary: Boundary) -> None:
    event = await boundary.running()
    boundary.engine.kill("child")
    boundary.open(event["entity"]["gate"])
    ended = await boundary.ended(event)
    assert (ended.status, ended.attempt, ended.starts) == ("success", 2, 2)
    assert ended.messages == ["The process was killed by signal 9 (SIGKILL)"]


@pytest.mark.parametrize("victim", ["postgres", "dispatcher", "engine", "gateway"])
async def test_started_and_not_finished_when_another_part_dies(boundary: Boundary, victim: str) -> None:
    event = await boundary.running()
    boundary.engine.kill(victim)
    boundary.open(event["entity"]["gate"])
    await boundary.ran_once(event)


@pytest.mark.parametrize("victim", ["postgres", "connection"])
async def test_finished_and_reported_and_not_answered(boundary: Boundary, victim: str) -> None:
    event = await boundary.running()
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
    event = await boundary.running()
    boundary.engine.process.kill()
    boundary.engine.process.wait()
    boundary.open(event["entity"]["gate"])
    boundary.engine.until_true(lambda: not boundary.engine.left(), "nothing is left")
    boundary.engine.start()
    assert await boundary.ended(event) == Ended("success", 2, 2, [(1, "failed"), (2, "success")], [LOST])
