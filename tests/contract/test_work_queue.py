"""What every work queue promises: each item is taken once, by somebody who waited for it, and none is lost."""

from __future__ import annotations

import asyncio
import inspect
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from uuid import UUID

import asyncpg
import pytest

from backbone.model.messages import WorkItem
from backbone.ports import WorkQueue
from tests.support import drivers
from tests.support.drivers import SERVICE, STATE, TRACE, Drivers, an_event, item_of_an_event, queued_items, session_of

DRIVERS = ("postgres", "rabbitmq")

Said = TypeVar("Said")


@dataclass(frozen=True)
class UnderTest:
    drivers: Drivers
    store: str  #: where the executions of the items are

    async def all_leased(self, executions: set[UUID]) -> bool:
        connection = await asyncpg.connect(self.store)
        try:
            rows = await connection.fetch("SELECT execution_id FROM lease WHERE execution_id = ANY ($1)", executions)
        finally:
            await connection.close()
        return len(rows) == len(executions)

    async def items(self, count: int, *, service_id: str = SERVICE) -> list[WorkItem]:
        return await queued_items(self.store, count, service_id=service_id)


@pytest.fixture(params=DRIVERS)
def under_test(request: pytest.FixtureRequest, database: str) -> UnderTest:
    return UnderTest(request.getfixturevalue(f"on_{request.param}"), database)


@pytest.fixture
async def on_postgres(database: str) -> AsyncIterator[Drivers]:
    async with drivers.postgres(database) as found:
        yield found


@pytest.fixture(params=DRIVERS)
def mortal(request: pytest.FixtureRequest) -> UnderTest:
    found: UnderTest = request.getfixturevalue(f"mortal_{request.param}")
    return found


@pytest.fixture
async def mortal_postgres(tmp_path: Path) -> AsyncIterator[UnderTest]:
    async with drivers.mortal_postgres(tmp_path / "server") as (found, store):
        yield UnderTest(found, store)


@pytest.fixture
def mortal_rabbitmq(mortal_on_rabbitmq: Drivers, database: str) -> UnderTest:
    return UnderTest(mortal_on_rabbitmq, database)


@pytest.fixture
async def queue(under_test: UnderTest) -> AsyncIterator[WorkQueue]:
    async with under_test.drivers.process() as process:
        yield process.work_queue


async def take(queue: WorkQueue, limit: int = 100, *, service_id: str = SERVICE) -> list[UUID]:
    async with asyncio.timeout(10):
        return ids(await queue.take(service_id, session_of(service_id), limit))


def ids(items: Sequence[WorkItem]) -> list[UUID]:
    return [item.execution_id for item in items]


async def test_an_item_comes_back_as_it_was_put(under_test: UnderTest, queue: WorkQueue) -> None:
    [item] = await under_test.items(1)
    await queue.put([item])
    assert await queue.take(SERVICE, session_of(SERVICE), 10) == [item]


async def test_the_item_of_an_event_comes_back_with_all_that_the_event_brought(
    under_test: UnderTest, queue: WorkQueue
) -> None:
    item = await item_of_an_event(under_test.store, an_event("a"))
    assert (item.traceparent, item.tracestate) == (TRACE, STATE)
    await queue.put([item])
    assert await queue.take(SERVICE, session_of(SERVICE), 10) == [item]


async def test_every_item_is_taken_once_by_eight_takers(under_test: UnderTest) -> None:
    items = await under_test.items(10_000)
    async with AsyncExitStack() as stack:
        queues = [
            (await stack.enter_async_context(under_test.drivers.process(f"taker {number}"))).work_queue
            for number in range(8)
        ]
        taking = asyncio.create_task(taken_by(queues, len(items)))
        for start in range(0, len(items), 500):
            await queues[0].put(items[start : start + 500])
        assert Counter(await taking) == Counter(ids(items))
        assert await queues[0].depth() == {}


async def taken_by(queues: Sequence[WorkQueue], count: int) -> list[UUID]:
    """What all of them take at the same time, until it is so many."""
    taken: list[UUID] = []
    enough = asyncio.Event()

    async def taker(queue: WorkQueue) -> None:
        session = session_of(SERVICE)
        while True:
            taken.extend(ids(await queue.take(SERVICE, session, 100)))
            if len(taken) >= count:
                enough.set()

    taking = [asyncio.create_task(taker(queue)) for queue in queues]
    async with asyncio.timeout(60):
        await enough.wait()
    for task in taking:
        task.cancel()
    await asyncio.wait(taking)
    return taken


async def test_an_item_put_twice_in_one_batch_is_taken_once(under_test: UnderTest, queue: WorkQueue) -> None:
    items = await under_test.items(3)
    await queue.put([*items, *items])
    assert sorted(await take(queue)) == sorted(ids(items))
    assert await nothing_is_left(under_test, queue)


async def test_an_item_put_again_after_it_was_taken_is_not_taken_again(under_test: UnderTest, queue: WorkQueue) -> None:
    items = await under_test.items(3)
    await queue.put(items)
    assert sorted(await take(queue)) == sorted(ids(items))
    await queue.put(items)
    assert await nothing_is_left(under_test, queue)


async def test_items_put_twice_are_taken_once_by_takers_at_the_same_time(under_test: UnderTest) -> None:
    async with under_test.drivers.process("one") as one, under_test.drivers.process("other") as other:
        for _ in range(20):
            items = await under_test.items(250)
            await one.work_queue.put([*items, *items[::-1]])
            taken = await taken_by([one.work_queue, other.work_queue], len(items))
            assert Counter(taken) == Counter(ids(items))
        assert await nothing_is_left(under_test, one.work_queue)


async def nothing_is_left(under_test: UnderTest, queue: WorkQueue) -> bool:
    """Only a new item comes now: what was there before would come with it, or first."""
    [marker] = await under_test.items(1)
    await queue.put([marker])
    return await take(queue) == [marker.execution_id]


async def test_no_more_than_the_limit_is_taken_and_the_oldest_first(under_test: UnderTest, queue: WorkQueue) -> None:
    items = await under_test.items(10)
    await queue.put(items)
    taken = [await take(queue, limit) for limit in (3, 4, 100)]
    assert [sorted(each) for each in taken] == [sorted(ids(items[a:b])) for a, b in ((0, 3), (3, 7), (7, 10))]


async def test_what_one_has_no_room_for_is_for_others_at_once(under_test: UnderTest) -> None:
    items = await under_test.items(20)
    async with under_test.drivers.process("full") as full, under_test.drivers.process("free") as free:
        await full.work_queue.put(items)
        mine = await take(full.work_queue, 5)
        rest: list[UUID] = []
        while len(rest) < 15:
            rest += await take(free.work_queue)
        assert sorted(mine) == sorted(ids(items[:5]))
        assert sorted(rest) == sorted(ids(items[5:]))


async def test_who_drains_takes_no_more_and_keeps_what_it_has(under_test: UnderTest) -> None:
    items = await under_test.items(10)
    async with under_test.drivers.process("staying") as staying:
        async with under_test.drivers.process("draining") as draining:
            await staying.work_queue.put(items[:5])
            mine = await take(draining.work_queue, 3)
            await staying.work_queue.put(items[5:])
        rest: list[UUID] = []
        while len(rest) < 7:
            rest += await take(staying.work_queue)
        assert Counter([*mine, *rest]) == Counter(ids(items))
        assert await nothing_is_left(under_test, staying.work_queue)


async def test_services_have_queues_of_their_own(under_test: UnderTest, queue: WorkQueue) -> None:
    for service_id in ("gray", "blue"):
        await queue.put(await under_test.items(2, service_id=service_id))
    assert len(await take(queue, service_id="blue")) == 2
    assert len(await take(queue, service_id="gray")) == 2


@pytest.mark.parametrize("told_by", ["put", "announce"])
async def test_who_waits_is_woken_at_once(under_test: UnderTest, told_by: str) -> None:
    clock = asyncio.get_running_loop().time
    took = []
    async with under_test.drivers.process("taker") as taker, under_test.drivers.process("putter") as putter:
        for item in await under_test.items(11):
            waiting = asyncio.create_task(take(taker.work_queue))
            began = clock()
            await putter.work_queue.put([item])
            if told_by == "announce":
                putter.work_queue.announce([SERVICE])
            assert await waiting == [item.execution_id]
            took.append(clock() - began)
    assert sorted(took)[5] < 0.5  # who is not told looks after a second


async def test_two_who_wait_in_one_process_do_not_keep_each_other_from_taking(
    under_test: UnderTest, queue: WorkQueue
) -> None:
    waiting = asyncio.create_task(take(queue, service_id="gray"))
    [item] = await under_test.items(1, service_id="blue")
    await queue.put([item])
    assert await take(queue, service_id="blue") == [item.execution_id]
    waiting.cancel()
    await asyncio.wait([waiting])


async def test_who_stops_waiting_takes_nothing_with_it(under_test: UnderTest, queue: WorkQueue) -> None:
    waiting = asyncio.create_task(take(queue))
    await asyncio.wait([waiting], timeout=0.05)
    waiting.cancel()
    await asyncio.wait([waiting])
    items = await under_test.items(3)
    await queue.put(items)
    assert sorted(await take(queue)) == sorted(ids(items))


async def test_the_depth_is_what_waits_by_service(under_test: UnderTest, queue: WorkQueue) -> None:
    assert await queue.depth() == {}
    await queue.put(await under_test.items(5, service_id="gray"))
    await queue.put(await under_test.items(2, service_id="blue"))
    assert await queue.depth() == {"gray": 5, "blue": 2}
    await take(queue, 3, service_id="gray")
    await take(queue, 3, service_id="blue")
    assert await queue.depth() == {"gray": 2}


async def test_a_dead_server_is_said_and_a_living_one_has_what_was_put_and_serves_again(mortal: UnderTest) -> None:
    async with mortal.drivers.process() as process:
        queue = process.work_queue
        first, kept, last = await mortal.items(1), await mortal.items(20, service_id="blue"), await mortal.items(1)
        await queue.put(first)
        await take(queue)
        await queue.put(kept)
        waiting = asyncio.create_task(take(queue))
        await mortal.drivers.kill_server()
        for call in (queue.put(last), queue.depth(), waiting):
            with pytest.raises(mortal.drivers.outage):
                await call
        await mortal.drivers.start_server()
        await queue.put(last)
        assert await take(queue) == ids(last)
        assert sorted(await take(queue, service_id="blue")) == sorted(ids(kept))


async def test_nothing_is_lost_or_taken_twice_when_the_server_dies_under_load(mortal: UnderTest) -> None:
    items = await mortal.items(3000)
    taken: list[UUID] = []
    async with mortal.drivers.process("putter") as putter, mortal.drivers.process("taker") as taker:
        await putter.work_queue.put(items[:100])
        session = session_of(SERVICE)

        async def put() -> None:
            for start in range(100, len(items), 100):
                await until_said(mortal, lambda start=start: putter.work_queue.put(items[start : start + 100]))

        async def take_all() -> None:
            while True:
                taken.extend(
                    ids(await until_said(mortal, lambda: taker.work_queue.take(SERVICE, session, 50))),
                )

        putting, taking = asyncio.create_task(put()), asyncio.create_task(take_all())
        await until(lambda: len(taken) > 200)
        await mortal.drivers.kill_server()
        await mortal.drivers.start_server()
        await asyncio.wait_for(putting, 60)
        # What was granted by an answer that was lost is found again by its lease.
        await until(lambda: mortal.all_leased(set(ids(items)) - set(taken)))
        taking.cancel()
        await asyncio.wait([taking])
    assert max(Counter(taken).values()) == 1


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while True:
            found = condition()
            if await found if inspect.isawaitable(found) else found:
                return
            await asyncio.sleep(0.02)


async def until_said(mortal: UnderTest, call: Callable[[], Awaitable[Said]]) -> Said:
    while True:
        try:
            return await call()
        except mortal.drivers.outage:
            await asyncio.sleep(0.05)
