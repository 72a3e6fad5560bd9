"""Committing offsets behind the reader: the next batch does not wait 7 ms for the last one's.

At most one commit is on its way, and none soon after another: a broker works as long on one as on a record. What is
done meanwhile goes with the next. What a crash leaves uncommitted comes again and is seen to be known. Whoever gives
partitions away waits for `settled` first.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from backbone.kafka.connection import reason

PAUSE = 0.1  # seconds between two commits, where nobody waits for one

log = logging.getLogger(__name__)


class Offsets:
    def __init__(self, consumer: AIOKafkaConsumer) -> None:
        self._consumer = consumer
        self._due: dict[TopicPartition, int] = {}
        self._sending: asyncio.Task[None] | None = None
        self._awaited = asyncio.Event()

    def move(self, offsets: Mapping[TopicPartition, int]) -> None:
        self._due.update(offsets)
        if self._sending is None or self._sending.done():
            self._sending = asyncio.create_task(self._send())

    async def settled(self) -> None:
        """Everything that was moved is committed, or cannot be any more."""
        self._awaited.set()
        if self._sending is not None:
            await asyncio.wait([self._sending])
        self._awaited.clear()

    async def drop(self) -> None:
        """What is not committed yet will not be."""
        self._due.clear()
        if self._sending is not None:
            self._sending.cancel()
            await asyncio.wait([self._sending])

    async def _send(self) -> None:
        while self._due:
            due, self._due = self._due, {}
            mine = self._consumer.assignment()
            # One that is not ours any more would keep the others from being committed.
            due = {partition: offset for partition, offset in due.items() if partition in mine}
            try:
                await self._consumer.commit(due)
            except KafkaError as error:
                may_come_again(reason(error))
            try:
                async with asyncio.timeout(PAUSE):
                    await self._awaited.wait()
            except TimeoutError:
                pass


def may_come_again(why: str) -> None:
    log.warning("what was read may come again", extra={"reason": why})
