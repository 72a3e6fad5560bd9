"""Reading a topic as a member of a group: batches, one in hand at a time, and the partitions that come and go.

Partitions are taken from a member only when it has let go of the batch in hand: until then the rebalance waits, at most
for `Group.rebalance`. So in order nothing is read twice; what a member that died had in hand is.

While the brokers are away, aiokafka's consumer waits and goes on by itself, and so does whoever reads here.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import KafkaError

from backbone.kafka.connection import SERVICE, Connection, milliseconds, reason, started
from backbone.kafka.offsets import Offsets, may_come_again
from backbone.model.errors import Unavailable

POLL = timedelta(seconds=1)
IDLE = timedelta(minutes=5)
"""A member that asks for nothing for so long leaves the group until it asks again."""

PREFETCH = 1_048_576
"""Bytes of a partition that are fetched before they are asked for, as they come over the wire. Records that are larger
come alone."""

HEARTBEATS = 6
"""In a session: how soon a member hears that another came or went."""

SILENCE = timedelta(seconds=5)
"""Brokers answer twice a second, if only that there is nothing."""

ENDING = timedelta(seconds=2)

Found = Mapping[TopicPartition, Sequence[Any]]
"""aiokafka's ConsumerRecords."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    id: str
    member: str | None = None
    """Static membership: who comes back under this name within `session` gets its partitions without a rebalance. It
    also means that nobody gets them sooner."""

    session: timedelta = timedelta(seconds=6)
    """How long a member may be silent before others take over: the shortest that a broker takes by default, and much
    longer than a batch keeps our loop busy."""

    rebalance: timedelta = timedelta(seconds=60)
    """How long a rebalance waits for batches in hand. Longer than the slowest batch: one that takes longer is read
    again by somebody else."""


class Held:
    """The batch in hand."""

    def __init__(self, consumer: Consumer, share: int, found: Found) -> None:
        self._consumer = consumer
        self._share = share
        self.found = found

    def commit(self) -> None:
        """Move the offsets behind what this holds, and let go of it."""
        self._consumer.commit(self._share, {partition: held[-1].offset + 1 for partition, held in self.found.items()})


class Consumer(ConsumerRebalanceListener):  # type: ignore[misc]
    def __init__(self, connection: Connection, topic: str, group: Group) -> None:
        self._connection = connection
        self._topic = topic
        self._group = group
        self._client: AIOKafkaConsumer | None = None
        self._offsets: Offsets | None = None
        self._share = 0  #: which assignment of partitions this is: what was read under another is not committed
        self._rebalancing = False
        self._given: dict[TopicPartition, int] = {}  #: where what was given and is not committed begins
        self._free = asyncio.Event()  #: nothing is in hand
        self._free.set()
        self._one_reads = asyncio.Lock()
        self._waits_since: float | None = None  #: for records; None while a batch is in hand, and while nobody reads

    async def batches(self, limit: int) -> AsyncGenerator[Held, None]:
        """For ever. What was not committed when this is closed comes again."""
        async with self._one_reads:
            try:
                while True:
                    found = await self._next(limit)
                    self._free.clear()
                    for partition, held in found.items():
                        self._given.setdefault(partition, held[0].offset)
                    yield Held(self, self._share, found)
                    self._free.set()
            except KafkaError as error:
                # The group or the topic refuses us, or aiokafka gave up: begin anew.
                await self.close()
                raise Unavailable(SERVICE, reason(error)) from error
            finally:
                self._free.set()
                self._rewind()

    def commit(self, share: int, offsets: Mapping[TopicPartition, int]) -> None:
        if self._offsets is None or share != self._share:
            may_come_again("its partitions were taken away before it was committed")
            return
        for partition in offsets:
            self._given.pop(partition, None)
        self._offsets.move(offsets)
        self._free.set()

    async def close(self) -> None:
        """Leave the group, so that others need not wait until we are missed."""
        self._free.set()
        offsets, self._offsets = self._offsets, None
        client, self._client = self._client, None
        if offsets is not None:
            try:
                async with asyncio.timeout(ENDING.total_seconds()):
                    await offsets.settled()
            except TimeoutError:
                await offsets.drop()
        if client is not None:
            await _end(client)

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        self._rebalancing = True
        offsets = self._offsets
        try:
            async with asyncio.timeout(self._group.rebalance.total_seconds()):
                await self._free.wait()
                if offsets is not None:
                    await offsets.settled()
        except TimeoutError:
            may_come_again(f"a batch was in hand for longer than a rebalance waits, {self._group.rebalance}")
            if offsets is not None:
                await offsets.drop()
        self._share += 1
        self._given.clear()  # whoever gets the partitions begins where the commits are

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        self._rebalancing = False
        log.info("reads", extra={"topic": self._topic, "partitions": sorted(one.partition for one in assigned)})

    @property
    def partitions(self) -> frozenset[TopicPartition]:
        """Those of this member. None while they are being shared out anew."""
        if self._client is None or self._rebalancing:
            return frozenset()
        return frozenset(self._client.assignment())

    def trouble(self) -> str | None:
        """Why nothing is read although somebody asks for it; None when all is well."""
        if self._waits_since is None:
            return None
        waited = asyncio.get_running_loop().time() - self._waits_since
        if self._client is None:
            return "is not a member of its group yet"
        answers = [self._client.last_poll_timestamp(partition) for partition in self.partitions]
        silence = min((time.time() - answer / 1000 for answer in answers if answer), default=waited)
        return trouble(waited, self._rebalancing, bool(answers), silence)

    async def lag(self) -> int:
        """Records that are in this member's partitions and were not given yet."""
        client, behind = self._client, 0
        if client is None:
            return 0
        for partition in self.partitions:
            try:
                async with asyncio.timeout(POLL.total_seconds()):
                    position = await client.position(partition)
                behind += max(0, (client.highwater(partition) or 0) - position)
            except (KafkaError, TimeoutError, AssertionError):
                continue  # taken away meanwhile, or nobody answers
        return behind

    async def _next(self, limit: int) -> Found:
        self._waits_since = asyncio.get_running_loop().time()
        try:
            client = await self._started()
            while True:
                found: Found = await client.getmany(timeout_ms=milliseconds(POLL), max_records=limit)
                if found:
                    return found
        finally:
            self._waits_since = None

    async def _started(self) -> AIOKafkaConsumer:
        if self._client is None:
            self._client = await started(self._connection, self._make, _end)
            self._offsets = Offsets(self._client)
        return self._client

    def _make(self) -> AIOKafkaConsumer:
        group = self._group
        client = AIOKafkaConsumer(
            **self._connection.options(),
            group_id=group.id,
            group_instance_id=group.member,
            session_timeout_ms=milliseconds(group.session),
            heartbeat_interval_ms=milliseconds(group.session / HEARTBEATS),
            rebalance_timeout_ms=milliseconds(group.rebalance),
            max_poll_interval_ms=milliseconds(max(IDLE, 2 * group.rebalance)),
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_partition_fetch_bytes=PREFETCH,
        )
        client.subscribe([self._topic], listener=self)
        return client

    def _rewind(self) -> None:
        mine = self.partitions
        for partition, offset in self._given.items():
            if self._client is not None and partition in mine:
                self._client.seek(partition, offset)
        self._given.clear()


def trouble(waited: float, rebalancing: bool, has_partitions: bool, silence: float) -> str | None:
    """In seconds: how long somebody waits for records, and how long no broker has answered."""
    if waited < SILENCE.total_seconds():
        return None
    if rebalancing:
        return f"waits for its share of the partitions for {waited:.0f} s"
    if has_partitions and silence >= SILENCE.total_seconds():
        return f"has no answer from Kafka for {silence:.0f} s"
    return None  # nothing new, or others have all the partitions and it stands by


async def _end(client: AIOKafkaConsumer) -> None:
    stopping = asyncio.ensure_future(client.stop())
    await asyncio.wait([stopping])
    if stopping.cancelled() or stopping.exception() is not None:
        # Without a broker it ends in the middle, as if it had been cancelled, and leaves its connections open.
        await client._client.close()
