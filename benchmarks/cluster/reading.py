"""What reading, decoding and matching cost where nothing matches, beside a loop that reads, decodes and commits."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import uuid4

import msgspec
from aiokafka import AIOKafkaConsumer

from backbone.drivers.event_log.kafka import KafkaEventLog
from backbone.kafka.connection import Connection
from backbone.kafka.consumer import Group
from backbone.kafka.topics import Topic
from backbone.kit.loops import Health
from benchmarks import brokers
from benchmarks.brokers import Brokers
from benchmarks.cluster import producer
from benchmarks.cluster.producer import NoForeignRecords
from benchmarks.load import Plan
from benchmarks.matcher import records
from trigger_engine.match import Index
from trigger_engine.service import BATCH

BARE_BATCH = 5000
"""Each commit takes 7 ms of waiting: a bare loop reads much for each."""

TRIGGERS = 1000
PROJECT = str(uuid4())


class _Event(msgspec.Struct, rename="camel"):
    """What a loop of one's own would decode of our events, their entities as they are."""

    id: str
    project_id: str
    resource: str
    action: str
    entity_id: str
    entity: msgspec.Raw
    time: datetime


class _Decoded(_Event):
    """And with the entities as dictionaries."""

    entity: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Turn:
    rate: float
    cpu: float
    """Microseconds an event."""


async def rounds(events: int, number: int, found: Callable[[str, Turn], None]) -> None:
    """Turn by turn over one topic, each as a new group."""
    async with brokers.running() as there:
        await _filled(there, events)
        index = _index()
        for _ in range(number):
            found("bare", await _timed(_bare(there, msgspec.json.Decoder(_Event)), events))
            found("bare, entities decoded", await _timed(_bare(there, msgspec.json.Decoder(_Decoded)), events))
            found("ours", await _timed(_ours(there, index), events))


async def _filled(there: Brokers, events: int) -> None:
    log = _log(there)
    await log.open()
    try:
        plan = Plan(run="read", events=events)
        for at in range(0, events, producer.BATCH):
            numbers = range(at, min(at + producer.BATCH, events))
            await log.append(list(producer.events(plan, PROJECT, numbers)))
    finally:
        await log.close()


def _index() -> Index:
    """Filters as people write them, on what the events have; each wants a size that none has."""
    index = Index()
    for number in range(TRIGGERS):
        conditions = [
            {"hidden": False},
            {"type": "file"},
            {"metadata.system.mimetype": "image/*"},
            {"metadata.system.size": 1_000_000 + number},
        ]
        index.put(
            records.trigger(str(number), {"$and": conditions}, project=PROJECT, resource="Item", action="Created")
        )
    return index


async def _timed(batches: AsyncGenerator[int, None], events: int) -> Turn:
    """From the first batch on, as joining a group is none of it; what came with that batch does not count."""
    gc.collect()
    gc.freeze()
    first = total = 0
    began = cpu = 0.0
    async with asyncio.timeout(120), aclosing(batches):
        async for count in batches:
            if not total:
                first, began, cpu = count, time.perf_counter(), time.process_time()
            total += count
            if total == events:
                break
        counted = total - first
        turn = Turn(counted / (time.perf_counter() - began), (time.process_time() - cpu) / counted * 1e6)
    assert total == events, f"{total:,} events were read of {events:,}"
    return turn


async def _bare(there: Brokers, decoder: msgspec.json.Decoder[Any]) -> AsyncGenerator[int, None]:
    consumer = AIOKafkaConsumer(
        there.topic,
        bootstrap_servers=there.kafka,
        group_id=f"bare {uuid4()}",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
    )
    await consumer.start()
    try:
        while True:
            found = await consumer.getmany(timeout_ms=1000, max_records=BARE_BATCH)
            decoded = [decoder.decode(record.value) for held in found.values() for record in held]
            await consumer.commit({partition: held[-1].offset + 1 for partition, held in found.items()})
            yield len(decoded)
    finally:
        await consumer.stop()


async def _ours(there: Brokers, index: Index) -> AsyncGenerator[int, None]:
    """As the engine does it."""
    log = _log(there)
    await log.open()
    try:
        async with aclosing(log.read(BATCH)) as batches:
            async for batch in batches:
                matches, unreadable = index.match(batch.records)
                assert not matches, "nothing was to match"
                assert not unreadable, "all was to be read"
                await batch.commit()
                yield len(batch.records)
    finally:
        await log.close()


def _log(there: Brokers) -> KafkaEventLog:
    group = Group(id=f"ours {uuid4()}")
    return KafkaEventLog(Connection(servers=there.kafka), Topic(name=there.topic), group, NoForeignRecords(), Health())
