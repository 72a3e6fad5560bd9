"""What every log of events promises: nothing lost, nothing passed over, one event an id, in order for each entity."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, aclosing
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from backbone.model.events import DeadLetter, Event, RecordedEvent
from backbone.ports import EventBatch, EventLog
from tests.support import drivers, kafka, kafka_drivers
from tests.support.drivers import OTHER_PROJECT, PROJECT, Drivers, an_event

DRIVERS = ("postgres", "kafka")
APPEND_LIMIT = timedelta(seconds=3)  # where a server dies: so long it takes to be said


@pytest.fixture(params=DRIVERS)
def under_test(request: pytest.FixtureRequest) -> Drivers:
    found: Drivers = request.getfixturevalue(f"on_{request.param}")
    return found


@pytest.fixture
async def on_postgres(database: str) -> AsyncIterator[Drivers]:
    async with drivers.postgres(database) as found:
        yield found


@pytest.fixture
def on_kafka(kafka_server: kafka.Broker, topic_prefix: str, database: str) -> Drivers:
    return kafka_drivers.Kafka(kafka_server.address, f"{topic_prefix}events", database)


@pytest.fixture(params=DRIVERS)
def mortal(request: pytest.FixtureRequest) -> Drivers:
    found: Drivers = request.getfixturevalue(f"mortal_on_{request.param}")
    return found


@pytest.fixture
async def mortal_on_postgres(tmp_path: Path) -> AsyncIterator[Drivers]:
    async with drivers.mortal_postgres(tmp_path / "server") as (found, _):
        yield found


@pytest.fixture
def mortal_on_kafka(mortal_kafka: kafka.KafkaServer, database: str) -> Drivers:
    topic = f"events-{uuid4()}"
    return kafka_drivers.Kafka(mortal_kafka.broker.address, topic, database, mortal_kafka, append_limit=APPEND_LIMIT)


@pytest.fixture
async def log(under_test: Drivers) -> AsyncIterator[EventLog]:
    async with under_test.process() as process:
        yield process.event_log


async def read(log: EventLog, count: int, *, limit: int = 100) -> list[RecordedEvent]:
    """The next `count`, each batch committed."""
    found: list[RecordedEvent] = []
    async with asyncio.timeout(30), aclosing(log.read(limit)) as batches:
        async for batch in batches:
            assert 1 <= len(batch.records) + len(batch.rejects) <= limit
            found += batch.records
            await batch.commit()
            if len(found) >= count:
                break
    return found


async def read_to(log: EventLog, last: str, *, limit: int = 100) -> list[RecordedEvent]:
    """All that comes up to the event of that id."""
    found: list[RecordedEvent] = []
    async with asyncio.timeout(30), aclosing(log.read(limit)) as batches:
        async for batch in batches:
            found += batch.records
            await batch.commit()
            if last in ids(batch.records):
                break
    return found


def once(log: EventLog, records: Sequence[RecordedEvent]) -> list[str]:
    """The ids. A log that is not in the store may give one twice, and only the pipeline makes one of them."""
    return ids(records) if log.in_store else list(dict.fromkeys(ids(records)))


async def append_in_the_end(under_test: Drivers, log: EventLog, events: Sequence[Event]) -> None:
    """A server that was started a moment ago may not take them at once."""
    async with asyncio.timeout(30):
        while True:
            try:
                return await log.append(events)
            except under_test.outage:
                await asyncio.sleep(0)


async def first_batch(log: EventLog, *, commit: bool) -> EventBatch:
    async with asyncio.timeout(10), aclosing(log.read(100)) as batches:
        async for batch in batches:
            if commit:
                await batch.commit()
            return batch
    raise AssertionError("the log has ended")


def ids(records: Sequence[RecordedEvent]) -> list[str]:
    return [recorded.event.id for recorded in records]


def some(*names: object) -> list[Event]:
    return [an_event(str(name)) for name in names]


async def test_an_event_comes_back_as_it_was_appended(log: EventLog) -> None:
    event = an_event("a")
    await log.append([event])
    [recorded] = await read(log, 1)
    assert recorded.event == event


async def test_the_changes_of_an_entity_come_in_their_order(log: EventLog) -> None:
    order = [(entity, number) for number in range(60) for entity in ("x", "y", "z")]
    events = [an_event(f"{entity}{number}", entity_id=entity) for entity, number in order]
    for start in range(0, len(events), 7):
        await log.append(events[start : start + 7])
    records = await read(log, len(events), limit=50)
    for entity in ("x", "y", "z"):
        assert [one.event.id for one in records if one.event.entity_id == entity] == [f"{entity}{n}" for n in range(60)]


async def test_a_batch_that_was_not_committed_comes_again(under_test: Drivers) -> None:
    async with under_test.process("first") as process:
        await process.event_log.append(some("a", "b"))
        assert ids((await first_batch(process.event_log, commit=False)).records) == ["a", "b"]
    async with under_test.process("second") as process:
        assert ids((await first_batch(process.event_log, commit=True)).records) == ["a", "b"]


async def test_a_reader_that_begins_again_begins_where_the_last_commit_was(log: EventLog) -> None:
    await log.append(some("a"))
    await first_batch(log, commit=True)
    await log.append(some("b", "c"))
    for _ in range(2):
        assert ids((await first_batch(log, commit=False)).records) == ["b", "c"]
    assert ids(await read(log, 2, limit=1)) == ["b", "c"]


async def test_a_batch_that_was_committed_does_not_come_again(under_test: Drivers) -> None:
    async with under_test.process("first") as process:
        await process.event_log.append(some("a", "b"))
        await first_batch(process.event_log, commit=True)
    async with under_test.process("second") as process:
        await process.event_log.append(some("c"))
        assert ids(await read(process.event_log, 1)) == ["c"]


async def test_the_same_id_is_one_event_in_a_batch_and_across_batches(log: EventLog) -> None:
    await log.append(some("a", "a", "b"))
    await log.append(some("b", "c"))
    await log.append(some("last"))
    found = ids(await read_to(log, "last"))
    assert found == (["a", "b", "c", "last"] if log.in_store else ["a", "a", "b", "b", "c", "last"])


async def test_the_same_id_in_two_projects_is_two_events(log: EventLog) -> None:
    await log.append([an_event("a", project_id=PROJECT), an_event("a", project_id=OTHER_PROJECT)])
    assert {one.event.project_id for one in await read(log, 2)} == {PROJECT, OTHER_PROJECT}


async def test_an_id_of_an_earlier_day_is_the_same_event(under_test: Drivers, log: EventLog) -> None:
    await log.append(some("a", "b"))
    await under_test.a_day_passes()
    await log.append(some("b", "c"))
    await log.append(some("last"))
    assert sorted(once(log, await read_to(log, "last"))) == ["a", "b", "c", "last"]


async def test_writers_with_the_same_ids_in_another_order_write_each_once(under_test: Drivers) -> None:
    events = some(*range(1000))
    async with under_test.process("one") as one, under_test.process("other") as other:
        await asyncio.gather(one.event_log.append(events), other.event_log.append(events[::-1]))
        await one.event_log.append(some("last"))
        found = once(one.event_log, await read_to(one.event_log, "last", limit=300))
        assert Counter(found) == Counter([*ids_of(events), "last"])


def ids_of(events: Sequence[Event]) -> list[str]:
    return [event.id for event in events]


async def test_appending_nothing_is_nothing(log: EventLog) -> None:
    await log.append([])
    await log.append(some("a"))
    assert ids(await read(log, 1)) == ["a"]


async def test_a_reader_that_waits_is_told_of_new_events(under_test: Drivers, log: EventLog) -> None:
    clock = asyncio.get_running_loop().time
    took = []
    async with under_test.process("writer") as writer, aclosing(log.read(100)) as batches:
        for number in range(11):
            waiting = asyncio.ensure_future(anext(batches))
            began = clock()
            await writer.event_log.append(some(number))
            await (await waiting).commit()
            took.append(clock() - began)
    assert sorted(took)[5] < 0.5  # who is not told looks after a second


async def test_one_reads_and_the_other_takes_over_when_the_first_is_gone(under_test: Drivers) -> None:
    async with under_test.process("first") as first, under_test.process("second") as second:
        await first.event_log.append(some("a"))
        async with aclosing(first.event_log.read(100)) as batches:
            await (await anext(batches)).commit()
            waiting = asyncio.create_task(first_batch(second.event_log, commit=True))
            await first.event_log.append(some("b"))
            uncommitted = await anext(batches)
            assert ids(uncommitted.records) == ["b"]
            assert not waiting.done()
            await under_test.cut("first")
            assert ids((await waiting).records) == ["b"]
            # It lost the log, and must not move its position.
            if first.event_log.in_store:
                with pytest.raises(under_test.outage):
                    await uncommitted.commit()
            else:
                await uncommitted.commit()
        await first.event_log.append(some("c"))
        assert ids(await read(second.event_log, 1)) == ["c"]


async def test_an_append_that_ends_late_is_not_passed_over(under_test: Drivers, log: EventLog) -> None:
    async with under_test.late_append(some("early")):
        await log.append(some("quick", "quicker"))
        reading = asyncio.create_task(read(log, 3))
        await asyncio.wait([reading], timeout=0.2)
    assert sorted(ids(await reading)) == ["early", "quick", "quicker"]


async def test_every_event_of_many_writers_is_read_exactly_once(under_test: Drivers, log: EventLog) -> None:
    """Their transactions take different times, so they are committed in another order than they were begun."""
    chance = random.Random(4)
    writers, each = 4, 2500
    async with AsyncExitStack() as stack:
        logs = [
            (await stack.enter_async_context(under_test.process(f"writer {number}"))).event_log
            for number in range(writers)
        ]

        async def write(number: int) -> None:
            events = some(*(f"{number}-{index}" for index in range(each)))
            while events:
                size = chance.choice((1, 2, 20, 100))
                if size == 2:
                    async with under_test.late_append(events[:size]):
                        await asyncio.sleep(0)
                else:
                    await logs[number].append(events[:size])
                del events[:size]

        writing = [asyncio.create_task(write(number)) for number in range(writers)]
        records = await read(log, writers * each, limit=300)
        await asyncio.gather(*writing)
    assert len(records) == writers * each
    assert set(ids(records)) == {f"{number}-{index}" for number in range(writers) for index in range(each)}


async def test_what_cannot_be_read_is_rejected_and_blocks_nothing(under_test: Drivers, log: EventLog) -> None:
    await log.append(some("a"))
    await under_test.append_spoiled("bad")
    await log.append(some("b"))
    batch = await first_batch(log, commit=True)
    assert ids(batch.records) == ["a", "b"]
    [reject] = batch.rejects
    assert isinstance(reject, DeadLetter)
    assert (reject.source, reject.path, bool(reject.position), bool(reject.reason)) == ("log", "causation", True, True)
    assert an_event("bad").entity in reject.body
    assert reject.project_id == (PROJECT if log.in_store else None)  # of what lies elsewhere it was not found out


async def test_a_batch_of_nothing_but_rejects_moves_on(under_test: Drivers, log: EventLog) -> None:
    await under_test.append_spoiled("bad")
    batch = await first_batch(log, commit=True)
    assert (len(batch.records), len(batch.rejects)) == (0, 1)
    await log.append(some("good"))
    assert ids(await read(log, 1)) == ["good"]


async def test_what_was_appended_survives_the_death_of_the_server(mortal: Drivers) -> None:
    async with mortal.process() as process:
        for number in range(20):
            await process.event_log.append(some(number))
        await mortal.kill_server()
        await mortal.start_server()
        assert ids(await read(process.event_log, 20)) == [str(number) for number in range(20)]


async def test_a_dead_server_is_said_and_a_living_one_serves_again(mortal: Drivers) -> None:
    async with mortal.process() as process:
        log = process.event_log
        async with aclosing(log.read(100)) as batches:
            await log.append(some("a"))
            await (await anext(batches)).commit()
            await mortal.kill_server()
            with pytest.raises(mortal.outage):
                await log.append(some("b"))
            if log.in_store:
                with pytest.raises(mortal.outage):
                    await anext(batches)
        await mortal.start_server()
        await append_in_the_end(mortal, log, some("c"))
        # The position may have been forgotten: what was committed just before a crash comes again.
        assert ids(await read_to(log, "c"))[-1] == "c"
