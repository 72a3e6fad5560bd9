"""Messages come in and wait here, in their order, until somebody takes them as a list.

Nothing is done where they arrive: the loop that takes them does the work, in its own time.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from types import TracebackType
from typing import Self

import aiormq
from aiormq.abc import DeliveredMessage

from backbone.kit import metrics
from backbone.model.errors import Unavailable
from backbone.rabbitmq.connection import ANSWERS_WITHIN, Link, closed, unavailable
from backbone.rabbitmq.deliveries import Delivery

log = logging.getLogger(__name__)


class Consumer:
    """One channel of its own: what was not acknowledged when it closes comes again, to anybody."""

    def __init__(self, queue: str) -> None:
        self._queue = queue
        self._tag: str | None = None
        self.prefetch = 0  #: how many may come that are not acknowledged; none while it does not consume
        self._arrived: deque[Delivery] = deque()
        self._something = asyncio.Event()
        self._lost: str | None = None

    @classmethod
    async def open(cls, link: Link, queue: str) -> Self:
        consumer = cls(queue)
        consumer._listen(await link.channel(into=consumer._arrive))
        return consumer

    def _listen(self, channel: aiormq.Channel) -> None:
        self._channel = channel
        channel.on_consumer_cancel_callbacks.add(lambda _: self._loses(f"queue {self._queue!r} is gone"))
        channel.closing.add_done_callback(lambda _: self._loses(f"the channel of queue {self._queue!r} was closed"))

    @property
    def is_lost(self) -> bool:
        return self._lost is not None or self._channel.is_closed

    async def consume(self, prefetch: int) -> None:
        """Have at most `prefetch` messages more than are acknowledged. Raises Unavailable where there is no queue."""
        with unavailable():
            await self._channel.basic_qos(prefetch_count=prefetch, timeout=ANSWERS_WITHIN)
            begun = await self._channel.basic_consume(self._queue, never_called, timeout=ANSWERS_WITHIN)
        self._tag, self.prefetch = begun.consumer_tag, prefetch

    async def pause(self) -> None:
        """Nothing more comes; what is here stays ours."""
        tag, self._tag, self.prefetch = self._tag, None, 0
        if tag is not None:
            with unavailable():
                await self._channel.basic_cancel(tag, timeout=ANSWERS_WITHIN)

    async def next(self, limit: int) -> list[Delivery]:
        """Wait for a message; return those that are here, oldest first. Raises Unavailable when the channel is lost."""
        while not self._arrived:
            if self.is_lost:
                raise Unavailable("RabbitMQ", self._lost or f"the channel of queue {self._queue!r} was closed")
            self._something.clear()
            await self._something.wait()
        return [self._arrived.popleft() for _ in range(min(limit, len(self._arrived)))]

    def here(self, limit: int) -> list[Delivery]:
        """Those that are here already."""
        return [self._arrived.popleft() for _ in range(min(limit, len(self._arrived)))]

    async def acknowledge(self, deliveries: Sequence[Delivery]) -> None:
        """These, in their order, and all that came before the last of them; none that was set aside."""
        if deliveries:
            with unavailable():
                await self._channel.basic_ack(deliveries[-1].tag, multiple=True, wait=False)

    async def set_aside(self, delivery: Delivery, where: str, reason: str) -> None:
        """It cannot be read: it goes where dead letters go, and what comes after it is not kept from anybody."""
        metrics.messages_set_aside.labels(where).inc()
        log.error(
            "message cannot be read, set aside",
            extra={"queue": self._queue, "message_id": delivery.message_id, "reason": reason},
        )
        with unavailable():
            await self._channel.basic_reject(delivery.tag, requeue=False, wait=False)

    async def close(self) -> None:
        self._loses("closed")
        await closed(self._channel)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def _arrive(self, delivery: Delivery) -> None:
        if delivery.redelivered:
            metrics.messages_redelivered.inc()
        self._arrived.append(delivery)
        self._something.set()

    def _loses(self, reason: str) -> None:
        if self._lost is None:
            self._lost = reason
        self._something.set()


async def never_called(_: DeliveredMessage) -> None:
    """aiormq wants a callback a consumer; what is delivered never gets to it."""
