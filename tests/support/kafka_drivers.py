"""Kafka under test: the log of events, and what a conformance suite does behind its back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

from aiokafka import AIOKafkaProducer
from aiokafka.protocol.group import LeaveGroupRequest

from backbone.drivers.event_log.kafka import KafkaEventLog
from backbone.kafka import records
from backbone.kafka.connection import Connection
from backbone.kafka.consumer import Group
from backbone.kafka.topics import Topic
from backbone.kit.loops import Health
from backbone.model.errors import Unavailable
from backbone.model.events import Event
from backbone.store.database import Database
from backbone.store.project_ids import ProjectIds
from tests.support.drivers import an_event
from tests.support.kafka import Broker, KafkaServer, administering


@dataclass(frozen=True)
class KafkaProcess:
    event_log: KafkaEventLog
    health: Health


class Kafka:
    """Each process is a member of the same group."""

    outage = (Unavailable,)

    def __init__(
        self,
        address: str,
        topic: str,
        dsn: str,
        server: KafkaServer | None = None,
        *,
        partitions: int = 1,
        session: timedelta = timedelta(seconds=6),
        rebalance: timedelta = timedelta(seconds=60),
        append_limit: timedelta = timedelta(seconds=5),
    ) -> None:
        self.address = address
        self.topic = Topic(name=topic, partitions=partitions)
        self.group = f"{topic}-readers"
        self._dsn = dsn
        self._server = server
        self._session = session
        self._rebalance = rebalance
        self._append_limit = append_limit

    @asynccontextmanager
    async def process(self, name: str = "a process", *, member: str | None = None) -> AsyncIterator[KafkaProcess]:
        health = Health()
        async with AsyncExitStack() as stack:
            database = await Database(self._dsn).open()
            stack.push_async_callback(database.close)
            log = KafkaEventLog(
                Connection(servers=self.address, name=name),
                self.topic,
                Group(id=self.group, member=member, session=self._session, rebalance=self._rebalance),
                ProjectIds(database, make=True, default="default"),
                health,
                append_limit=self._append_limit,
            )
            await log.open()
            stack.push_async_callback(log.close)
            yield KafkaProcess(log, health)

    async def cut(self, name: str) -> None:
        """The broker throws the member out of the group."""
        async with administering(Broker(self.address)) as admin:
            coordinator = await admin.find_coordinator(self.group)
            [member] = [member for member in await self.members() if member[1] == name]
            answer = await admin._send_request(LeaveGroupRequest(self.group, member[0]), coordinator)
            assert answer.error_code == 0

    async def members(self) -> list[tuple[str, str]]:
        """Ids and names."""
        async with administering(Broker(self.address)) as admin:
            [answer] = await admin.describe_consumer_groups([self.group])
            [(_, _, _, _, _, members, *_)] = answer.groups
            return [(member[0], member[1]) for member in members]

    async def a_day_passes(self) -> None:
        """It makes no difference to this log."""

    async def append_spoiled(self, event_id: str) -> None:
        key, value = records.encode(an_event(event_id))
        await self.write(value[:-1] + b',"causation":"nonsense"}', key=key)

    async def write(
        self, value: bytes | None, *, key: bytes = b"key", headers: Sequence[tuple[str, bytes]] = ()
    ) -> None:
        """As a foreign producer does."""
        async with AIOKafkaProducer(bootstrap_servers=self.address) as producer:
            await producer.send_and_wait(self.topic.name, value, key=key, headers=list(headers))

    @asynccontextmanager
    async def late_append(self, events_: Sequence[Event]) -> AsyncIterator[None]:
        """Nothing of it can be seen before it is finished, and what is appended meanwhile is before it."""
        async with self.process("late") as process:
            yield
            await process.event_log.append(events_)

    async def kill_server(self) -> None:
        assert self._server is not None
        self._server.kill()

    async def start_server(self) -> None:
        assert self._server is not None
        await self._server.start()


async def until(condition: object, seconds: float = 30) -> None:
    """Bounded."""
    async with asyncio.timeout(seconds):
        while not condition():  # type: ignore[operator]
            await asyncio.sleep(0.01)
