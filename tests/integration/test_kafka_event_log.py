"""The log of events on Kafka, beyond what every log promises: partitions, readers that share them, foreign producers,
servers that are away."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime, timedelta

import asyncpg
import msgspec
import pytest

from backbone.kafka import consumer, topics
from backbone.kafka.connection import Connection
from backbone.kafka.topics import Topic
from backbone.kit import metrics
from backbone.kit.few_lines import Few
from backbone.model.errors import Invalid, InvalidEvent, Unavailable
from backbone.model.events import MAX_EVENT_BYTES, DeadLetter, Event
from backbone.ports import EventLog
from tests.support import kafka
from tests.support.drivers import an_event
from tests.support.kafka_drivers import Kafka, KafkaProcess
from tests.support.kafka_reader import reader

SESSION = timedelta(seconds=3)
"""Where a reader dies: so long it takes to be missed."""


@pytest.fixture
def four(kafka_server: kafka.Broker, topic_prefix: str, database: str) -> Kafka:
    """A topic of four partitions."""
    return Kafka(kafka_server.address, f"{topic_prefix}events", database, partitions=4)


def events_of(entities: int, changes: int) -> list[Event]:
    """The changes of an entity are numbered in their order."""
    return [
        an_event(f"{entity}/{change}", entity_id=str(entity)) for change in range(changes) for entity in range(entities)
    ]


def large_event(id: str, size: int) -> Event:
    entity = b'{"id": "%b", "padding": "%b"}' % (id.encode(), b"x" * size)
    return msgspec.structs.replace(an_event(id, entity_id=id), entity=entity)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.01)


class Reader:
    """Reads for ever, and keeps the ids."""

    def __init__(self, log: EventLog, *, limit: int = 20) -> None:
        self._log = log
        self._limit = limit
        self.ids: list[str] = []
        self.rejects: list[DeadLetter] = []
        self.slow = asyncio.Event()  #: to be set before another batch is committed
        self.slow.set()
        self.held: list[str] = []

    async def run(self) -> None:
        async with aclosing(self._log.read(self._limit)) as batches:
            async for batch in batches:
                self.held = [recorded.event.id for recorded in batch.records]
                await self.slow.wait()
                await batch.commit()
                self.ids += self.held
                self.rejects += batch.rejects
                self.held = []

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Reader]:
        task = asyncio.create_task(self.run())
        try:
            yield self
        finally:
            task.cancel()
            await asyncio.wait([task])


async def test_the_changes_of_an_entity_stay_in_order_over_all_partitions(four: Kafka) -> None:
    events = events_of(entities=30, changes=20)
    async with four.process() as process, Reader(process.event_log, limit=50).running() as reading:
        for start in range(0, len(events), 70):
            await process.event_log.append(events[start : start + 70])
        await until(lambda: len(reading.ids) >= len(events))
        assert process.health.ready
    for entity in range(30):
        assert [id for id in reading.ids if id.startswith(f"{entity}/")] == [f"{entity}/{n}" for n in range(20)]


async def test_readers_share_the_partitions_and_take_over_in_order_with_nothing_read_twice(four: Kafka) -> None:
    events = events_of(entities=40, changes=25)
    async with four.process("one") as one, Reader(one.event_log).running() as first:
        await one.event_log.append(events[:400])
        await until(lambda: len(first.ids) > 50)
        async with four.process("other") as other, Reader(other.event_log).running() as second:
            await until(lambda: metrics.log_partitions._value.get() == 2)
            await one.event_log.append(events[400:800])
            await until(lambda: len(first.ids) + len(second.ids) >= 800)
            assert second.ids
        await one.event_log.append(events[800:])
        await until(lambda: len(first.ids) + len(second.ids) >= 1000)
    assert Counter(first.ids + second.ids) == Counter(event.id for event in events)


async def test_what_a_dead_reader_held_comes_again_and_what_a_slow_one_holds_does_not(
    kafka_server: kafka.Broker, topic_prefix: str, database: str
) -> None:
    """One member holds a batch, one is killed with a batch in hand, and one joins."""
    four = Kafka(kafka_server.address, f"{topic_prefix}events", database, partitions=4, session=SESSION)
    events = events_of(entities=40, changes=10)
    async with four.process("slow") as slow, Reader(slow.event_log).running() as first:
        first.slow.clear()
        arguments = (four.address, four.topic.name, "4", four.group, str(SESSION.total_seconds()))
        async with reader(*arguments) as dying:
            assert dying.stdout is not None
            await two_are_there(four)
            await slow.event_log.append(events)
            lost = (await asyncio.wait_for(dying.stdout.readline(), 30)).decode().split()
            await until(lambda: bool(first.held))
            held = first.held
            dying.kill()
        async with four.process("joining") as joining, Reader(joining.event_log).running() as second:
            await until_members(four, {"slow", "joining"})  # the dead one was missed
            assert (first.held, second.ids, second.held) == (held, [], [])
            first.slow.set()
            await until(lambda: len(first.ids) + len(second.ids) >= len(events))
            assert second.ids
    assert lost
    assert Counter(first.ids + second.ids) == Counter(event.id for event in events)  # the lost ones too


async def two_are_there(four: Kafka) -> None:
    await until_members(four, {"slow", "to be killed"})
    await until(lambda: metrics.log_partitions._value.get() == 2)


async def until_members(four: Kafka, names: set[str]) -> None:
    async with asyncio.timeout(30):
        while {name for _, name in await four.members()} != names:
            await asyncio.sleep(0.05)


async def test_a_batch_held_for_longer_than_a_rebalance_waits_is_read_by_another_and_its_reader_goes_on(
    kafka_server: kafka.Broker, topic_prefix: str, database: str, caplog: pytest.LogCaptureFixture
) -> None:
    log = Kafka(kafka_server.address, f"{topic_prefix}events", database, rebalance=timedelta(seconds=1))
    async with log.process("a") as slow, Reader(slow.event_log).running() as first:
        first.slow.clear()
        await slow.event_log.append([an_event("1")])
        await until(lambda: first.held == ["1"])
        async with log.process("b") as quick, Reader(quick.event_log).running() as second:
            await until(lambda: second.ids == ["1"])
            first.slow.set()
            await until(lambda: first.ids == ["1"])
        await slow.event_log.append([an_event("2")])
        await until(lambda: first.ids == ["1", "2"])
    assert "what was read may come again" in caplog.messages


async def test_a_static_member_that_restarts_gets_its_partitions_back_and_the_others_notice_nothing(
    four: Kafka,
) -> None:
    shares, parts = [], []
    async with four.process("a", member="a") as stays, Reader(stays.event_log).running() as first:
        for start in range(2):
            async with four.process("b", member="b") as restarts, Reader(restarts.event_log).running() as second:
                mine, theirs = stays.event_log._consumer, restarts.event_log._consumer
                await until(lambda mine=mine, theirs=theirs: len(mine.partitions) == len(theirs.partitions) == 2)
                await stays.event_log.append(events_of(entities=20, changes=1))
                await until(
                    lambda start=start: len(first.ids) + len(second.ids) + len(earlier(parts)) >= 20 * (start + 1)
                )
                shares.append(mine._share)
                parts.append((theirs.partitions, second.ids))
    (partitions, ids), (again, _) = parts
    assert (partitions, shares[0]) == (again, shares[1])
    assert ids


def earlier(parts: list[tuple[object, list[str]]]) -> list[str]:
    return [id for _, ids in parts for id in ids]


LEAST = b'{"resource": "Item", "action": "Created", "entity": {"id": "%b"}, "id": "%b"}'
POISON = {
    "garbage": (b"\x00\x01garbage", ()),
    "no value": (None, ()),
    "no event": (b'{"resource": "Item", "action": "Created"}', ()),
    "another version": (LEAST % (b"x", b"x"), (("trigger-engine-event", b"2"),)),
    "many headers": (LEAST % (b"x", b"x"), (("h", b"x"),) * 1000),
    "large headers": (LEAST % (b"x", b"x"), (("h", b"x" * 900_000),)),
    "too large": (LEAST % (b"x" * MAX_EVENT_BYTES, b"x"), ()),
    "judged garbage": (b"{", (("trigger-engine-event", b"1"),)),
    "NUL": (LEAST % (b"x", b"a\\u0000"), (("trigger-engine-event", b"1"),)),
    "unknown project": (LEAST[:-1] % (b"x", b"x") + b', "projectId": "00000000-0000-4000-8000-00000000000f"}', ()),
}


async def test_poison_is_set_aside_with_its_place_and_reason_and_blocks_nothing(four: Kafka) -> None:
    async with four.process() as process, Reader(process.event_log).running() as reading:
        await process.event_log.append([an_event("before", entity_id="same key")])
        for value, headers in POISON.values():
            await four.write(value, key=b"same key", headers=headers)
        await process.event_log.append([an_event("after", entity_id="same key")])
        await until(lambda: "after" in reading.ids)
    assert reading.ids == ["before", "after"]
    assert [(one.source, one.body) for one in reading.rejects] == [
        ("log", value or b"") for value, _ in POISON.values()
    ]
    partition = reading.rejects[0].position.split("/")[1]
    places = [f"{four.topic.name}/{partition}/{offset}" for offset in range(1, len(POISON) + 1)]
    assert [one.position for one in reading.rejects] == places
    reasons = dict(zip(POISON, (f"{one.path}: {one.reason}" for one in reading.rejects), strict=True))
    assert reasons["no value"] == ": the record has no value; expected an event"
    assert reasons["another version"] == "headers.trigger-engine-event: '2' is not known; expected '1'"
    assert reasons["many headers"] == "headers: there are 1,000; at most 64 are taken"
    assert reasons["unknown project"].startswith("project: there is no project")


async def test_a_foreign_producer_names_projects_and_gets_the_brokers_time(four: Kafka, database: str) -> None:
    cloud = {"specversion": "1.0", "id": "c1", "source": "/x", "type": "x.Item.Created", "data": {"id": 1}}
    async with four.process() as process:
        began = datetime.now(UTC) - timedelta(seconds=1)
        await four.write(LEAST[:-1] % (b"i", b"own") + b', "project": "demo", "time": "1999-01-01T00:00:00Z"}')
        await four.write(json.dumps(cloud).encode())
        records = []
        async with asyncio.timeout(30), aclosing(process.event_log.read(10)) as batches:
            async for batch in batches:
                records += batch.records
                if len(records) == 2:
                    break
    assert [one.event.id for one in records] == ["own", "c1"]
    connection = await asyncpg.connect(database)
    names = {str(row["id"]): row["name"] for row in await connection.fetch("SELECT id, name FROM project")}
    await connection.close()
    assert [names[one.event.project_id] for one in records] == ["demo", "default"]
    assert all(began <= one.received <= datetime.now(UTC) + timedelta(seconds=1) for one in records)


async def test_an_event_that_is_too_large_is_refused_and_nothing_beside_it_is_written(four: Kafka) -> None:
    large = large_event("large", 1_100_000)
    async with four.process() as process, Reader(process.event_log).running() as reading:
        with pytest.raises(InvalidEvent, match="'large' has 1,100,"):
            await process.event_log.append([an_event("beside"), large])
        await process.event_log.append([an_event("later")])
        await until(lambda: bool(reading.ids))
    assert reading.ids == ["later"]


async def test_many_large_events_at_once_are_written(four: Kafka) -> None:
    events = [large_event(str(number), 300_000) for number in range(8)]
    async with four.process() as process, Reader(process.event_log).running() as reading:
        await process.event_log.append(events)
        await until(lambda: len(reading.ids) == 8)


async def test_a_topic_that_differs_is_refused_by_name_and_never_changed(four: Kafka) -> None:
    connection = Connection(servers=four.address)
    there = Topic(name=four.topic.name, partitions=2, retention=timedelta(hours=1))
    await topics.ensure(connection, [there])
    await topics.ensure(connection, [there])
    with pytest.raises(Invalid) as found:
        await topics.ensure(connection, [four.topic])
    for words in (four.topic.name, "partitions is 2, expected 4", "retention.ms is 3600000, expected 604800000"):
        assert words in str(found.value)
    await topics.ensure(connection, [there])
    async with four.process() as process:
        await until(lambda: "expected 4" in process.health.detail)
        with pytest.raises(Unavailable, match="expected 4"):
            await asyncio.wait_for(process.event_log.append([an_event("a")]), 30)


async def test_a_broker_that_is_not_there_yet_is_waited_for_and_said(
    mortal_kafka_of_the_run: kafka.KafkaServer, database: str, caplog: pytest.LogCaptureFixture
) -> None:
    server = mortal_kafka_of_the_run
    server.kill()
    log = Kafka(server.broker.address, f"late-{time.time_ns()}", database, append_limit=timedelta(seconds=0.5))
    async with log.process() as process, Reader(process.event_log).running() as reading:
        await until(lambda: "waits for Kafka" in caplog.messages)
        assert process.health.detail == f"Kafka: waits for {log.address}"
        with pytest.raises(Unavailable):
            await process.event_log.append([an_event("a")])
        await server.start()
        await until(lambda: process.health.ready)
        await appended(process, [an_event("b")])
        await until(lambda: "b" in reading.ids)


async def appended(process: KafkaProcess, events: list[Event]) -> None:
    """However often it takes."""
    while True:
        try:
            return await process.event_log.append(events)
        except Unavailable:
            await asyncio.sleep(0)


async def test_a_broker_that_is_killed_under_load_loses_nothing_and_fills_no_log(
    mortal_kafka: kafka.KafkaServer, database: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumer, "SILENCE", timedelta(seconds=1))
    log = Kafka(
        mortal_kafka.broker.address,
        f"killed-{time.time_ns()}",
        database,
        partitions=4,
        append_limit=timedelta(seconds=2),
    )
    events = events_of(entities=50, changes=60)
    async with log.process() as process, Reader(process.event_log).running() as reading:
        await appended(process, events[:100])
        await until(lambda: len(reading.ids) >= 100)
        caplog.clear()

        async def write() -> None:
            for start in range(100, len(events), 50):
                await appended(process, events[start : start + 50])

        writing = asyncio.create_task(write())
        await until(lambda: len(reading.ids) >= 300)
        mortal_kafka.kill()
        await until(lambda: not process.health.ready)
        assert "Kafka" in process.health.detail
        await mortal_kafka.start()
        await asyncio.wait_for(writing, 60)
        await until(lambda: len(set(reading.ids)) == len(events))
        await until(lambda: process.health.ready)
        mortal_kafka.kill()  # and who ends now does not wait for it
    lines = [record for record in caplog.records if record.levelno > logging.INFO]
    assert len(lines) <= 10, caplog.messages
    for entity in range(50):
        assert in_order([id for id in reading.ids if id.startswith(f"{entity}/")])


def in_order(ids: list[str]) -> bool:
    """As they came first: what was not confirmed was sent again, and what was not committed was read again."""
    return list(dict.fromkeys(ids)) == sorted(set(ids), key=lambda id: int(id.split("/")[1]))


def test_of_a_flood_of_lines_a_few_come_through_and_the_rest_is_counted(caplog: pytest.LogCaptureFixture) -> None:
    few = Few(3)
    logger = logging.Logger("a chatty library")
    logger.addFilter(few)
    logger.addHandler(caplog.handler)
    for number in range(100):
        logger.warning("line %s", number)
    assert caplog.messages == ["line 0", "line 1", "line 2"]
    record = logger.makeRecord(logger.name, logging.WARNING, "", 0, "a minute later", (), None)
    record.created += 61
    assert few.filter(record)
    assert record.__dict__["held_back"] == 97
