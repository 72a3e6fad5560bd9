"""Writing records, many at a time, each batch confirmed by every broker that must have it.

Records are gathered into a batch a partition here, and not one by one in aiokafka: a future a batch, not a record. The
producer is idempotent, so what aiokafka sends again is not written twice. It goes on sending for ever, so the time
limit is ours.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any, Final, Literal

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError, ProducerClosed
from aiokafka.partitioner import murmur2

from backbone.kafka.connection import SERVICE, Connection, reason, started
from backbone.model.errors import InvalidEvent, Unavailable

Compression = Literal["lz4", "zstd", "gzip"] | None
Headers = Sequence[tuple[str, bytes]]

BATCH_BYTES: Final = 512_000
"""Of a partition, before it is compressed. Below what a broker takes by default; a larger record goes alone."""

ENDING: Final = timedelta(seconds=2)

log = logging.getLogger(__name__)


class Producer:
    def __init__(self, connection: Connection, *, limit: timedelta, compression: Compression) -> None:
        self._connection = connection
        self._limit = limit
        self._compression = compression
        self._producer: AIOKafkaProducer | None = None
        self._one_starts = asyncio.Lock()

    async def send(self, topic: str, records: Sequence[tuple[bytes, bytes]], headers: Headers) -> None:
        """Keys and values. Returns once all are confirmed. Raises Unavailable after the time limit; then some may be
        written, or be written later."""
        try:
            async with asyncio.timeout(self._limit.total_seconds()):
                producer = await self._started()
                await self._deliver(producer, topic, records, headers)
        except TimeoutError:
            raise Unavailable(SERVICE, f"no confirmation within {self._limit.total_seconds():g} s") from None
        except KafkaError as error:
            # It may have given up for good, and the numbers of its records may have a gap that brokers refuse.
            await self.close()
            if isinstance(error, MessageSizeTooLargeError):
                largest = max(len(value) for _, value in records)
                raise InvalidEvent(
                    "", f"the largest of {len(records)} has {largest:,} bytes; {reason(error)}"
                ) from None
            raise Unavailable(SERVICE, reason(error)) from error

    async def close(self) -> None:
        """What was sent and is not confirmed yet gets a moment."""
        producer, self._producer = self._producer, None
        if producer is not None:
            await _end(producer)

    async def _started(self) -> AIOKafkaProducer:
        async with self._one_starts:
            if self._producer is None:
                self._producer = await started(self._connection, self._make, _end)
            return self._producer

    def _make(self) -> AIOKafkaProducer:
        return AIOKafkaProducer(
            **self._connection.options(),
            enable_idempotence=True,
            acks="all",
            compression_type=self._compression,
            max_batch_size=BATCH_BYTES,
        )

    async def _deliver(
        self, producer: AIOKafkaProducer, topic: str, records: Sequence[tuple[bytes, bytes]], headers: Headers
    ) -> None:
        partitions = len(await producer.partitions_for(topic))
        sent: list[asyncio.Future[Any]] = []
        try:
            for partition, batch in _batches(producer, partitions, records, list(headers)):
                sent.append(await producer.send_batch(batch, topic, partition=partition))
            await asyncio.gather(*sent)
        finally:
            for future in sent:
                future.cancel()  # nobody asks any more what became of it


def partition_of(key: bytes, partitions: int) -> int:
    """As Kafka's own clients do it: who writes to the topic directly keeps the order with us."""
    return int(murmur2(key) & 0x7FFFFFFF) % partitions


def _batches(
    producer: AIOKafkaProducer, partitions: int, records: Sequence[tuple[bytes, bytes]], headers: list[Any]
) -> Iterator[tuple[int, Any]]:
    """Batches, those of one partition in the order of their records."""
    open_: dict[int, Any] = {}
    for key, value in records:
        partition = partition_of(key, partitions)
        batch = open_.get(partition)
        if batch is None:
            batch = open_[partition] = producer.create_batch()
        if batch.append(timestamp=None, key=key, value=value, headers=headers) is None:
            yield partition, batch  # it is full
            batch = open_[partition] = producer.create_batch()
            batch.append(timestamp=None, key=key, value=value, headers=headers)
    yield from open_.items()


async def _end(producer: AIOKafkaProducer) -> None:
    stopping = asyncio.ensure_future(producer.stop())
    await asyncio.wait([stopping], timeout=ENDING.total_seconds())
    if not stopping.done():
        # It waits for all it was given to be confirmed, without a broker for ever. Those who gave it have gone.
        producer._message_accumulator.fail_all(ProducerClosed())
    await asyncio.wait([stopping])
    if not stopping.cancelled() and (error := stopping.exception()) is not None:
        log.warning("producer did not end in order", extra={"reason": reason(error)})
