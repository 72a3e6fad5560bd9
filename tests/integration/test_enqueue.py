"""What waits for its time goes to the queue when it has come, and none of it is lost on the way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import aio_pika
import asyncpg
import pytest

from backbone.drivers.work_queue.postgres import PostgresWorkQueue
from backbone.drivers.work_queue.rabbitmq import RabbitWorkQueue
from backbone.model import ids
from backbone.model.messages import WorkItem
from backbone.ports import WorkQueue
from backbone.rabbitmq import answers, topology
from backbone.rabbitmq.connection import Address, Rabbit
from backbone.store.wakeups import PENDING
from dispatcher import enqueue, republish
from tests.support.drivers import lives, session_of
from tests.support.running import Running, running


@pytest.fixture
async def here(database: str, tmp_path: Path) -> AsyncIterator[Running]:
    async with running(database, tmp_path, "", triggers=(), roles=()) as here:
        yield here


@pytest.fixture(params=["in the store", "elsewhere"])
def queue(request: pytest.FixtureRequest) -> WorkQueue:
    name = "in_store" if request.param == "in the store" else "elsewhere"
    found: WorkQueue = request.getfixturevalue(name)
    return found


@pytest.fixture
async def in_store(here: Running) -> AsyncIterator[WorkQueue]:
    queue = PostgresWorkQueue(here.parts.database, here.parts.wakeups)
    yield queue
    await queue.close()


@pytest.fixture
async def elsewhere(here: Running, vhost: str) -> AsyncIterator[RabbitWorkQueue]:
    """With a dispatcher that answers what may begin."""
    rabbit = Rabbit(Address(url=vhost), "test")
    answering = asyncio.create_task(answers.run(here.parts.database, rabbit))

    async def services() -> list[str]:
        return [here.service.id]

    queue = RabbitWorkQueue(rabbit, services=services)
    async with here.parts.database.pool.acquire() as connection:
        await lives(connection, session_of(here.service.id), here.service.id)
    try:
        yield queue
        assert not answering.done()
    finally:
        answering.cancel()
        await asyncio.wait([answering])
        await queue.close()
        await rabbit.close()


@asynccontextmanager
async def enqueueing(here: Running, queue: WorkQueue) -> AsyncIterator[None]:
    task = asyncio.create_task(enqueue.run(here.parts.database, queue, here.parts.wakeups))
    try:
        yield
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.wait([task])


async def created(here: Running, dues: Sequence[timedelta]) -> list[UUID]:
    """Executions that are due so long from now."""
    now = datetime.now(UTC)
    executions = [ids.manual_execution_id(now + timedelta(milliseconds=number)) for number in range(len(dues))]
    await here.rows(
        "WITH made AS (INSERT INTO execution (id, project_id, service_id, function_name, status, max_attempts, creator)"
        " SELECT id, $2::uuid, $3, 'run', 'created', 3, 'test' FROM unnest($1::uuid[]) AS id)"
        " INSERT INTO pending (execution_id, attempt, service_id, due)"
        " SELECT id, 1, $3, now() + due FROM unnest($1::uuid[], $4::interval[]) AS p (id, due)",
        executions,
        here.project_id,
        here.service.id,
        dues,
    )
    return executions


async def until_queued(here: Running, count: int) -> None:
    await here.until("SELECT count(*) >= $1 FROM execution WHERE status = 'queued'", count)


async def taken(here: Running, queue: WorkQueue, count: int = 1, *, at_most: int = 5000) -> list[UUID]:
    """The next `count` at least."""
    found: list[UUID] = []
    async with asyncio.timeout(20):
        while len(found) < count:
            found += [
                item.execution_id for item in await queue.take(here.service.id, session_of(here.service.id), at_most)
            ]
    return found


async def until_deep(here: Running, queue: WorkQueue, count: int) -> None:
    """A quorum queue counts what it confirmed a moment later."""
    async with asyncio.timeout(10):
        while (await queue.depth()).get(here.service.id, 0) != count:
            await asyncio.sleep(0.02)


async def lost_by_the_broker(vhost: str, service_id: str, count: int) -> None:
    """Its oldest messages are gone from the queue, and nobody has them."""
    async with await aio_pika.connect(vhost) as connection:
        queue = await (await connection.channel()).get_queue(topology.service_queue(service_id), ensure=False)
        for _ in range(count):
            message = await queue.get(timeout=5)
            assert message is not None
            await message.ack()


async def test_what_is_due_is_queued_and_can_be_taken(here: Running, queue: WorkQueue) -> None:
    asked = await created(here, [timedelta()] * 1200)
    async with enqueueing(here, queue):
        await until_queued(here, 1200)
        assert sorted(await taken(here, queue, 1200)) == sorted(asked)
    assert await here.rows("SELECT FROM pending") == []


async def test_each_is_queued_when_its_time_has_come_and_not_before(here: Running, queue: WorkQueue) -> None:
    clock = asyncio.get_running_loop().time
    began = clock()
    first, second, _ = await created(here, [timedelta(), timedelta(milliseconds=300), timedelta(hours=1)])
    async with enqueueing(here, queue):
        assert await taken(here, queue, 2) == [first, second]
        assert clock() - began >= 0.3
    assert len(await here.rows("SELECT FROM pending")) == 1


async def test_what_is_taken_before_the_queue_has_confirmed_is_not_lost(
    here: Running, elsewhere: RabbitWorkQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    took: list[UUID] = []
    put = elsewhere.put

    async def put_and_taken(items: Sequence[WorkItem]) -> None:
        await put(items)
        took.extend(await taken(here, elsewhere, 3))

    monkeypatch.setattr(elsewhere, "put", put_and_taken)
    asked = await created(here, [timedelta()] * 3)
    async with enqueueing(here, elsewhere):
        await here.until("SELECT count(*) = 3 FROM lease")
        await here.until("SELECT count(*) = 0 FROM pending")
    assert sorted(took) == asked


async def test_who_is_told_does_not_wait_for_the_next_look(here: Running, queue: WorkQueue) -> None:
    clock = asyncio.get_running_loop().time
    async with enqueueing(here, queue):
        await created(here, [timedelta()])
        here.parts.wakeups.wake([PENDING])
        await until_queued(here, 1)
        took = []
        for count in range(2, 7):
            await created(here, [timedelta()])
            began = clock()
            here.parts.wakeups.wake([PENDING])
            await until_queued(here, count)
            took.append(clock() - began)
    assert sorted(took)[2] < 0.5  # it looks by itself each second


async def test_what_was_put_and_never_confirmed_is_put_again_and_taken_once(
    here: Running, elsewhere: RabbitWorkQueue
) -> None:
    asked = await created(here, [timedelta()] * 10)
    await here.rows("CREATE FUNCTION crash() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE 'crash'; END$$")
    await here.rows("CREATE TRIGGER crash BEFORE UPDATE ON pending EXECUTE FUNCTION crash()")
    with pytest.raises(asyncpg.RaiseError, match="crash"):
        await enqueue.run(here.parts.database, elsewhere, here.parts.wakeups)
    await until_deep(here, elsewhere, 10)
    await here.rows("DROP TRIGGER crash ON pending")
    async with enqueueing(here, elsewhere):
        await until_queued(here, 10)
        await until_deep(here, elsewhere, 20)
        assert sorted(await taken(here, elsewhere, 10)) == sorted(asked)
        leftover = asyncio.create_task(taken(here, elsewhere))
        await until_deep(here, elsewhere, 0)
        assert not leftover.done()
        leftover.cancel()
        await asyncio.wait([leftover])


async def test_an_execution_that_was_ended_meanwhile_is_not_queued(here: Running, queue: WorkQueue) -> None:
    ended, waits = await created(here, [timedelta()] * 2)
    await here.rows("UPDATE execution SET status = 'terminated' WHERE id = $1", ended)
    async with enqueueing(here, queue):
        await until_queued(here, 1)
        assert await taken(here, queue) == [waits]
    assert await here.rows("SELECT FROM pending") == []
    assert (await here.rows("SELECT status FROM execution WHERE id = $1", ended))[0]["status"] == "terminated"


async def test_a_queue_elsewhere_gets_no_more_than_its_limit_and_the_rest_later_oldest_first(
    here: Running, elsewhere: RabbitWorkQueue
) -> None:
    asked = await created(here, [timedelta(milliseconds=number - 100) for number in range(25)])
    took: list[UUID] = []
    task = asyncio.create_task(enqueue.run(here.parts.database, elsewhere, here.parts.wakeups, queue_limit=10))
    try:
        while len(took) < 25:
            await here.until("SELECT count(*) = $1 FROM execution WHERE status = 'queued'", min(len(took) + 10, 25))
            await until_deep(here, elsewhere, min(10, 25 - len(took)))
            took += await taken(here, elsewhere, at_most=5)
    finally:
        task.cancel()
        await asyncio.wait([task])
    assert took == asked


async def test_what_a_queue_lost_is_published_again_and_what_only_waits_is_not(
    here: Running, elsewhere: RabbitWorkQueue, vhost: str
) -> None:
    asked = await created(here, [timedelta()] * 20)
    after = timedelta(seconds=1)
    async with enqueueing(here, elsewhere):
        await until_queued(here, 20)
        await until_deep(here, elsewhere, 20)
        await lost_by_the_broker(vhost, here.service.id, 5)
        again = asyncio.create_task(republish.run(here.parts.database, elsewhere, here.parts.wakeups, after))
        try:
            await here.until(
                "SELECT count(*) FILTER (WHERE published_at > execution.created_at + $1::interval) = 5"
                " AND count(published_at) = 20 FROM pending JOIN execution ON execution.id = execution_id",
                after,
            )
            await until_deep(here, elsewhere, 20)
            # In the queue's eyes five of the oldest were lost; it has five others twice until they are taken.
            assert sorted(await taken(here, elsewhere, 20)) == sorted(asked)
        finally:
            again.cancel()
            await asyncio.wait([again])
