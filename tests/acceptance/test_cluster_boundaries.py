"""kill -9 exactly between two stages of the cluster profile (tests/support/boundary.py says how).

    Kafka ─► match ─► keep ─► claim and record ─► commit ─► offset
             pending ─► publish ─► confirm ─► lease ─► run ─► report ─► settle ─► acknowledge

Between commit and offset it takes a network that is cut: test_cluster_chaos.py.
"""

from __future__ import annotations

import asyncio

import pytest

from dispatcher.rescue import LOST
from tests.support.boundary import RECORDING, Boundary, Ended
from tests.support.engine import Engine

pytestmark = [pytest.mark.profiles("cluster"), pytest.mark.chaos]

KEEPING, CONFIRMING = "%INSERT INTO event%", "%UPDATE pending%"
LEASING, SETTLING = "%lease_attempts(%", "%WITH told AS%"

IS_COMMITTING = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE query LIKE $1 AND wait_event = 'SyncRep')"
IS_KEPT = "SELECT EXISTS (SELECT FROM event WHERE id = $1)"
IS_PENDING = "SELECT EXISTS (SELECT FROM pending JOIN execution ON execution.id = execution_id WHERE event_id = $1)"


@pytest.fixture(scope="module")
def boundary(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Boundary:
    return asyncio.run(Boundary.of(engine, tmp_path_factory.mktemp("starts")))


@pytest.mark.parametrize("victim", ["engine", "gateway"])
async def test_answered_and_not_matched(boundary: Boundary, victim: str) -> None:
    event = boundary.event()
    async with boundary.stopped("engine"):
        await boundary.publish(event)
        boundary.engine.kill(victim)
    await boundary.ran_once(event)


async def test_matched_and_not_kept(boundary: Boundary) -> None:
    event = boundary.event()
    async with boundary.locked("event"):
        await boundary.publish(event)
        await boundary.kill("engine", held=KEEPING)
    await boundary.ran_once(event)


@pytest.mark.parametrize("victim", ["engine", "postgres", "connection"])
async def test_kept_and_not_claimed(boundary: Boundary, victim: str) -> None:
    event = boundary.event()
    async with boundary.locked("claim"):
        await boundary.publish(event)
        await boundary.until_held(RECORDING)
        assert await boundary.engine.value(IS_KEPT, event["id"])
        await boundary.kill(victim, held=RECORDING)
    await boundary.ran_once(event)


async def test_claimed_and_not_recorded(boundary: Boundary) -> None:
    event = boundary.event()
    async with boundary.locked("execution"):
        await boundary.publish(event)
        await boundary.kill("engine", held=RECORDING)
    await boundary.ran_once(event)


@pytest.mark.parametrize("victim", ["engine", "connection"])
async def test_committed_and_not_answered(boundary: Boundary, victim: str) -> None:
    event = boundary.event()
    async with boundary.locked("claim"):
        await boundary.publish(event)
        await boundary.until_held(RECORDING)
        await boundary.set_standby("nobody")
    await boundary.kill(victim, held=RECORDING)
    await boundary.set_standby("")
    await boundary.ran_once(event)


@pytest.mark.parametrize("victim", ["dispatcher", "connection"])
async def test_published_and_not_confirmed(boundary: Boundary, victim: str) -> None:
    event = boundary.event()
    async with boundary.stopped("dispatcher"):
        await boundary.publish(event)
        await boundary.engine.until(IS_PENDING, event["id"])
        lock = boundary.locked("pending")
        await lock.__aenter__()
    await boundary.kill(victim, held=CONFIRMING)  # RabbitMQ has it, and whoever would write that down is held
    await lock.__aexit__(None, None, None)
    await boundary.ran_once(event)


@pytest.mark.parametrize("victim", ["agent", "dispatcher"])
async def test_delivered_and_not_leased(boundary: Boundary, victim: str) -> None:
    event = boundary.event()
    async with boundary.locked("lease"):
        await boundary.publish(event)
        await boundary.until_held(LEASING)
        boundary.engine.kill(victim)
    await boundary.ran_once(event)


async def test_leased_and_not_answered_when_the_agent_dies_counts_no_attempt(boundary: Boundary) -> None:
    event = boundary.event()
    async with boundary.locked("lease"):
        await boundary.publish(event)
        await boundary.until_held(LEASING)
        await boundary.set_standby("nobody")
    await boundary.engine.until(IS_COMMITTING, LEASING)
    boundary.engine.kill("agent")
    await boundary.set_standby("")
    await boundary.ran_once(event)


async def test_started_and_not_finished_when_the_agent_dies_counts_an_attempt(boundary: Boundary) -> None:
    event = await boundary.running()
    boundary.engine.kill("agent")
    boundary.open(event["entity"]["gate"])
    assert await boundary.ended(event) == Ended("success", 2, 2, [(1, "failed"), (2, "success")], [LOST])


@pytest.mark.parametrize("victim", ["dispatcher", "engine"])
async def test_started_and_not_finished_when_another_part_dies(boundary: Boundary, victim: str) -> None:
    event = await boundary.running()
    boundary.engine.kill(victim)
    boundary.open(event["entity"]["gate"])
    await boundary.ran_once(event)


@pytest.mark.parametrize("victim", ["dispatcher", "connection"])
async def test_reported_and_not_settled(boundary: Boundary, victim: str) -> None:
    event = await boundary.running()
    async with boundary.locked("execution"):
        boundary.open(event["entity"]["gate"])
        await boundary.kill(victim, held=SETTLING)
    await boundary.ran_once(event)


@pytest.mark.parametrize("victim", ["dispatcher", "postgres"])
async def test_settled_and_not_acknowledged(boundary: Boundary, victim: str) -> None:
    event = await boundary.running()
    async with boundary.unanswered():
        boundary.open(event["entity"]["gate"])
        await boundary.kill(victim, held=SETTLING)
    await boundary.ran_once(event)


async def test_everything_dies_at_once_in_the_middle_of_a_function(boundary: Boundary) -> None:
    event = await boundary.running()
    boundary.engine.process.kill()
    boundary.engine.process.wait()
    boundary.open(event["entity"]["gate"])
    boundary.engine.until_true(lambda: not boundary.engine.left(), "nothing is left")
    boundary.engine.start()
    assert await boundary.ended(event) == Ended("success", 2, 2, [(1, "failed"), (2, "success")], [LOST])
