"""The event log as a Kafka topic: appended by many, its partitions shared among those who read.

The changes of an entity are in one partition, in their order. The log keeps every record for its retention, so an id
that was appended twice is there twice; the pipeline sees that it is one event.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol
from uuid import UUID

import msgspec

from backbone.kafka import records, topics
from backbone.kafka.connection import SERVICE, Connection
from backbone.kafka.consumer import Consumer, Group, Held
from backbone.kafka.producer import Compression, Producer
from backbone.kafka.topics import Topic
from backbone.kit import metrics
from backbone.kit.loops import Health, keep
from backbone.model.errors import Invalid, InvalidEvent, NotFound, TriggerEngineError, Unavailable
from backbone.model.events import DeadLetter, Event, RecordedEvent
from backbone.model.resources import Catalog

LOOK = 1.0  # seconds, between two looks at how the reader is
LOOK_AGAIN = 5.0  # at a topic that is not as it should be
_MOST_REMEMBERED = 10_000

log = logging.getLogger(__name__)


class Projects(Protocol):
    """Whose names and ids foreign records may say. `backbone.store.project_ids` is one."""

    def known(self, key: str | None) -> str | None: ...

    async def found_or_made(self, key: str | None) -> str:
        """Raises Invalid or NotFound."""


class KafkaEventLog:
    """`open` before anything else; it returns at once, and what is asked meanwhile waits."""

    in_store = False

    def __init__(
        self,
        connection: Connection,
        topic: Topic,
        group: Group,
        projects: Projects,
        health: Health,
        *,
        catalog: Catalog | None = None,
        append_limit: timedelta = timedelta(seconds=10),
        compression: Compression = "lz4",
    ) -> None:
        self._connection = connection
        self._topic = topic
        self._health = health
        self._limit = append_limit
        self._producer = Producer(connection, limit=append_limit, compression=compression)
        self._consumer = Consumer(connection, topic.name, group)
        self._reading = _Reading(projects, catalog or Catalog())
        self._ready = asyncio.Event()  #: the topic is there, and as it should be
        self._refusal: str | None = None  #: why it is not
        self._tending: asyncio.Task[None] | None = None

    async def open(self) -> None:
        self._health.broken(SERVICE, f"waits for {self._connection.servers}")
        self._tending = asyncio.create_task(keep(SERVICE, self._tend, Health()))

    async def close(self) -> None:
        if self._tending is not None:
            self._tending.cancel()
            await asyncio.wait([self._tending])
        await self._consumer.close()
        await self._producer.close()
        self._health.well(SERVICE)

    async def append(self, events: Sequence[Event]) -> None:
        """Raises Unavailable when they are not confirmed in time, and InvalidEvent, with nothing of them written, when
        one is too large."""
        if not events:
            return
        written = [records.encode(event) for event in events]
        if self._refusal is not None:
            raise Unavailable(SERVICE, self._refusal)
        try:
            async with asyncio.timeout(self._limit.total_seconds()):
                await self._ready.wait()
        except TimeoutError:
            raise Unavailable(SERVICE, f"no broker was reached at {self._connection.servers}") from None
        await self._producer.send(self._topic.name, written, records.JUDGED)

    async def read(self, limit: int) -> AsyncGenerator[KafkaEventBatch, None]:
        await self._ready.wait()
        async with aclosing(self._consumer.batches(limit)) as batches:
            async for held in batches:
                taken, rejects = await self._reading.take(held.found)
                yield KafkaEventBatch(taken, rejects, held)

    async def _tend(self) -> None:
        """Reach Kafka, then tell how the reader is."""
        await self._until_ready()
        try:
            while True:
                trouble = self._consumer.trouble()
                if trouble is None:
                    self._health.well(SERVICE)
                else:
                    self._health.broken(SERVICE, trouble)
                metrics.log_partitions.set(len(self._consumer.partitions))
                metrics.log_lag.set(await self._consumer.lag())
                await asyncio.sleep(LOOK)
        finally:
            metrics.log_partitions.set(0)
            metrics.log_lag.set(0)

    async def _until_ready(self) -> None:
        while not self._ready.is_set():
            try:
                await topics.ensure(self._connection, [self._topic])
                self._refusal = None
                self._ready.set()
            except TriggerEngineError as error:
                if self._refusal != str(error):
                    self._refusal = str(error)
                    log.error("cannot use the topic", extra={"reason": self._refusal})
                self._health.broken(SERVICE, self._refusal)
                await asyncio.sleep(LOOK_AGAIN)


class KafkaEventBatch:
    def __init__(self, records: Sequence[RecordedEvent], rejects: Sequence[DeadLetter], held: Held) -> None:
        self.records = records
        self.rejects = rejects
        self._held = held

    async def commit(self) -> None:
        self._held.commit()


class _Reading:
    """Records to events. What is none becomes a dead letter."""

    def __init__(self, projects: Projects, catalog: Catalog) -> None:
        self._projects = projects
        self._catalog = catalog
        self._project_ids: set[str] = set()  #: of judged events, found to be ids

    async def take(self, found: Mapping[Any, Sequence[Any]]) -> tuple[list[RecordedEvent], list[DeadLetter]]:
        taken: list[RecordedEvent] = []
        rejects: list[DeadLetter] = []
        stamp, received = -1, datetime.now(UTC)
        for held in found.values():
            for record in held:
                try:
                    if record.timestamp != stamp:  # those that were written together have the same
                        received, stamp = _time(record.timestamp), record.timestamp
                    event = records.judged(record)
                    if event is None or not self._is_project_id(event.project_id):
                        event = await self._judge(record, received)
                    taken.append(RecordedEvent(event=event, received=received))
                except Invalid as error:
                    rejects.append(_dead_letter(record, error))
        return taken, rejects

    async def _judge(self, record: Any, received: datetime) -> Event:
        submission = records.judge(record, self._catalog, received)
        project_id = self._projects.known(submission.project)
        if project_id is None:
            project_id = await self._found_or_made(submission.project)
        return msgspec.structs.replace(submission.event, project_id=project_id)

    async def _found_or_made(self, project: str | None) -> str:
        try:
            return await self._projects.found_or_made(project)
        except NotFound as error:
            raise InvalidEvent("project", str(error)) from None

    def _is_project_id(self, text: str) -> bool:
        if text in self._project_ids:
            return True
        try:
            if str(UUID(text)) != text:
                return False
        except ValueError:
            return False
        if len(self._project_ids) >= _MOST_REMEMBERED:
            self._project_ids.clear()
        self._project_ids.add(text)
        return True


def _time(milliseconds: int) -> datetime:
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC)
    except (ValueError, OverflowError, OSError):  # only where somebody made the topic keep its producers' times
        raise InvalidEvent("timestamp", f"{milliseconds} is no time of this era") from None


def _dead_letter(record: Any, error: Invalid) -> DeadLetter:
    return DeadLetter(
        source="log",
        position=f"{record.topic}/{record.partition}/{record.offset}",
        path=error.path,
        reason=error.reason,
        body=record.value or b"",
    )
