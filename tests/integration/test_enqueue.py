"""What waits for its time goes to the queue when it has come, and none of it is lost on the way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import asyncpg
import pytest

from backbone.drivers.work_queue.postgres import PostgresWorkQueue
from backbone.model import ids
from backbone.model.messages import WorkItem
from backbone.ports import WorkQueue
from backbone.store import executions
from backbone.store.wakeups import PENDING
from dispatcher import enqueue, republish
from tests.support.running import Running, running


class Elsewhere(PostgresWorkQueue):
    """A queue that confirms what it was given, as one in another server does: its takers ask for what they got."""

    in_store = False

    async def take(self, service_id: str, session: UUID, limit: int) -> Sequence[WorkItem]:
        while True:
            async with self._lane.use() as connection:
                rows = await connection.fetch(
                    "DELETE FROM queue WHERE service_id = $1 RETURNING execution_id, attempt", service_id
                )
                granted = await executions.grant(connection, session, [(row[0], row[1]) for row in rows])
            if granted:
                return [an_item(execution_id, attempt) for execution_id, attempt in sorted(granted)]
            await self._wakeups.wait(self._wakeups.watch(f"work {service_id}"))


def an_item(execution_id: UUID, attempt: int) -> WorkItem:
    return WorkItem(
        execution_id=execution_id,
        attempt=attempt,
        max_attempts=1,
        service_id="",
        project_id="",
        function_name="run",
        recorded_at=datetime.now(UTC),
    )


@pytest.fixture
async def here(database: str, tmp_path: Path) -> AsyncIterator[Running]:
    async with running(database, tmp_path, "", triggers=(), roles=()) as here:
        yield here


@pytest.fixture(params=["in the store", "elsewhere"])
async def queue(request: pytest.FixtureRequest, here: Running) -> AsyncIterator[WorkQueue]:
    kind = PostgresWorkQueue if request.param == "in the store" else Elsewhere
    queue = kind(here.parts.database, here.parts.wakeups)
    yield queue
    await queue.close()


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
    await here.until("SELECT count(*) = $1 FROM execution WHERE status = 'queued'", count)


async def taken(here: Running, queue: WorkQueue) -> list[UUID]:
    async with asyncio.timeout(10):
        return [item.execution_id for item in await queue.take(here.service.id, uuid4(), 5000)]


async def test_what_is_due_is_queued_and_can_be_taken(here: Running, queue: WorkQueue) -> None:
    asked = await created(here, [timedelta()] * 1200)
    async with enqueueing(here, queue):
        await until_queued(here, 1200)
        assert sorted(await taken(here, queue)) == sorted(asked)
    assert await here.rows("SELECT FROM pending") == []


async def test_each_is_queued_when_its_time_has_come_and_not_before(here: Running, queue: WorkQueue) -> None:
    clock = asyncio.get_running_loop().time
    began = clock()
    first, second, _ = await created(here, [timedelta(), timedelta(milliseconds=300), timedelta(hours=1)])
    async with enqueueing(here, queue):
        await until_queued(here, 1)
        assert await taken(here, queue) == [first]
        assert await taken(here, queue) == [second]
        # Not with the next look by itself, a second later.
        assert 0.3 <= clock() - began < 0.9
    assert len(await here.rows("SELECT FROM pending")) == 1


async def test_what_is_taken_before_the_queue_has_confirmed_is_not_lost(here: Running) -> None:
    took: list[UUID] = []

    class Quick(Elsewhere):
        async def put(self, items: Sequence[WorkItem]) -> None:
            await super().put(items)
            took.extend(await taken(here, self))

    queue = Quick(here.parts.database, here.parts.wakeups)
    asked = await created(here, [timedelta()] * 3)
    async with enqueueing(here, queue):
        await here.until("SELECT count(*) = 3 FROM lease")
    assert sorted(took) == asked
    assert await here.rows("SELECT FROM pending") == []
    await queue.close()


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
    assert sorted(took)[2] < 0.1


async def test_what_was_put_and_never_confirmed_is_put_again_and_taken_once(here: Running) -> None:
    queue = Elsewhere(here.parts.database, here.parts.wakeups)
    asked = await created(here, [timedelta()] * 10)
    await here.rows("CREATE FUNCTION crash() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE 'crash'; END$$")
    await here.rows("CREATE TRIGGER crash BEFORE UPDATE ON pending EXECUTE FUNCTION crash()")
    with pytest.raises(asyncpg.RaiseError, match="crash"):
        await enqueue.run(here.parts.database, queue, here.parts.wakeups)
    assert await queue.depth() == {here.service.id: 10}
    await here.rows("DROP TRIGGER crash ON pending")
    async with enqueueing(here, queue):
        await until_queued(here, 10)
    assert await queue.depth() == {here.service.id: 20}
    assert sorted(await taken(here, queue)) == sorted(asked)
    await queue.close()


async def test_an_execution_that_was_ended_meanwhile_is_not_queued(here: Running, queue: WorkQueue) -> None:
    ended, waits = await created(here, [timedelta()] * 2)
    await here.rows("UPDATE execution SET status = 'terminated' WHERE id = $1", ended)
    async with enqueueing(here, queue):
        await until_queued(here, 1)
        assert await taken(here, queue) == [waits]
    assert await here.rows("SELECT FROM pending") == []
    assert (await here.rows("SELECT status FROM execution WHERE id = $1", ended))[0]["status"] == "terminated"


async def test_a_queue_elsewhere_gets_no_more_than_its_limit_and_the_rest_later_oldest_first(here: Running) -> None:
    queue = Elsewhere(here.parts.database, here.parts.wakeups)
    asked = await created(here, [timedelta(milliseconds=number - 100) for number in range(25)])
    took: list[UUID] = []
    task = asyncio.create_task(enqueue.run(here.parts.database, queue, here.parts.wakeups, queue_limit=10))
    try:
        while len(took) < 25:
            await here.until("SELECT count(*) = $1 FROM execution WHERE status = 'queued'", min(len(took) + 10, 25))
            assert await queue.depth() == {here.service.id: min(10, 25 - len(took))}
            took += await taken(here, queue)
    finally:
        task.cancel()
        await asyncio.wait([task])
    assert took == asked
    await queue.close()


async def test_what_a_queue_lost_is_published_again_and_what_only_waits_is_not(here: Running) -> None:
    queue = Elsewhere(here.parts.database, here.parts.wakeups)
    asked = await created(here, [timedelta()] * 20)
    after = timedelta(milliseconds=200)
    async with enqueueing(here, queue):
        again = asyncio.create_task(republish.run(here.parts.database, queue, here.parts.wakeups, after))
        try:
            await until_queued(here, 20)
            # Five of them are lost as a broker loses them; the others wait for longer than it takes to be missed.
            await here.rows("DELETE FROM queue WHERE execution_id = ANY ($1)", asked[10:15])
            await here.until(
                "SELECT count(*) = 20 AND max(published_at) < now() - $1::interval FROM pending"
                " WHERE published_at IS NOT NULL",
                after * 3,
            )
            assert await queue.depth() == {here.service.id: 20}
            took = await taken(here, queue)
            while len(took) < 20:
                took += await taken(here, queue)
            assert sorted(took) == sorted(asked)
        finally:
            again.cancel()
            await asyncio.wait([again])
    await queue.close()
