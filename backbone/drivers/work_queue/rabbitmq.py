"""The work queue over RabbitMQ: a quorum queue a service.

An agent takes what is delivered, asks a dispatcher which of it may begin, and acknowledges all of it: what came twice
begins once, and a long execution holds no message. It gets no more messages than it has room for: it consumes while it
waits and not while it works, or goes on consuming where few come and its free slots would hold all that may.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from uuid import UUID, uuid4

import aiormq
import msgspec
from pamqp.common import FieldValue

from backbone.model import causation, messages, traceparent, tracestate
from backbone.model.causation import Causation
from backbone.model.errors import TriggerEngineError, Unavailable
from backbone.model.messages import WorkItem
from backbone.model.requests import Take
from backbone.ports import TAKEN_AT_ONCE
from backbone.rabbitmq import topology
from backbone.rabbitmq.asking import Ask, Asker
from backbone.rabbitmq.connection import Rabbit
from backbone.rabbitmq.consumer import Consumer
from backbone.rabbitmq.deliveries import Delivery
from backbone.rabbitmq.publisher import Message, Publisher
from backbone.rabbitmq.topology import Topology

LARGEST = 128 * 1024
"""Bytes of a message. What an item has beyond that stays behind, and the agent fetches it."""

AHEAD = 3 * TAKEN_AT_ONCE
"""Messages of a consumer at most: what is asked about, and what comes meanwhile."""

PAUSE = 0.2  # seconds between two looks for a queue that is not there yet, and between two askings

Fetch = Callable[[UUID], Awaitable[tuple[bytes, bytes | None]]]
"""The input and the entity of an execution."""

log = logging.getLogger(__name__)


async def no_services() -> Sequence[str]:
    return ()


class RabbitWorkQueue:
    """Who puts also declares the queues; who takes declares nothing, and waits until there is one.

    `services`: those whose queues `depth` looks at beside what was put here. `fetch`: what was too large for a message.
    `elsewhere`: where agents ask what they cannot ask over RabbitMQ.
    """

    in_store = False

    def __init__(
        self,
        rabbit: Rabbit,
        *,
        services: Callable[[], Awaitable[Sequence[str]]] = no_services,
        fetch: Fetch | None = None,
        elsewhere: Ask | None = None,
    ) -> None:
        self._rabbit = rabbit
        self._services = services
        self._fetch = fetch
        self._publisher = Publisher(rabbit.publishing)
        self._topology = Topology(rabbit.publishing)
        self._asker = Asker(rabbit.publishing, elsewhere)
        self._takers: dict[str, Taker] = {}

    async def put(self, items: Sequence[WorkItem]) -> None:
        await self._topology.services({item.service_id for item in items})
        # By their ids: a message that comes back must be told from its twin.
        await self._publisher.publish(list({message.message_id: message for message in map(_message, items)}.values()))

    def announce(self, service_ids: Iterable[str]) -> None:
        """The server itself tells those who wait."""

    def channels(self, service_ids: Iterable[str]) -> Sequence[str]:
        return ()

    async def take(self, service_id: str, session: UUID, limit: int) -> Sequence[WorkItem]:
        if service_id not in self._takers:
            self._takers[service_id] = Taker(self._rabbit, self._asker, service_id)
        while True:
            items = await self._takers[service_id].take(session, limit)
            whole = await self._whole(items)
            if whole:
                return whole

    async def forgo(self, service_id: str) -> None:
        if service_id in self._takers:
            await self._takers[service_id].forgo()

    async def depth(self) -> Mapping[str, int]:
        return await self._topology.depth(await self._services())

    async def drop(self, service_id: str) -> None:
        """The service is gone, and what waited for it."""
        await self._topology.drop(service_id)

    async def close(self) -> None:
        for taker in self._takers.values():
            await taker.close()
        await self._asker.close()
        await self._publisher.close()

    async def _whole(self, items: Sequence[WorkItem]) -> list[WorkItem]:
        """With what was left behind. An item whose rest cannot be had is left to another: its lease runs out."""
        left = [item for item in items if item.by_reference]
        if not left:
            return list(items)
        found = await asyncio.gather(*map(self._with_the_rest, left), return_exceptions=True)
        whole = [item for item in items if not item.by_reference]
        for item, one in zip(left, found, strict=True):
            if isinstance(one, WorkItem):
                whole.append(one)
            elif isinstance(one, Exception):
                log.warning("input not fetched", extra={"execution": item.execution_id, "reason": str(one)})
            else:
                raise one
        return whole

    async def _with_the_rest(self, item: WorkItem) -> WorkItem:
        if self._fetch is None:
            raise Unavailable("the gateway", "nobody was told how to ask it for an input")
        input_, entity = await self._fetch(item.execution_id)
        return msgspec.structs.replace(item, input=input_, entity=entity, by_reference=False)


class Taker:
    """Of one service's queue; one at a time."""

    def __init__(self, rabbit: Rabbit, asker: Asker, service_id: str) -> None:
        self._rabbit = rabbit
        self._asker = asker
        self._service_id = service_id
        self._one_at_a_time = asyncio.Lock()
        self._consumer: Consumer | None = None
        self._few_come = False

    async def take(self, session: UUID, limit: int) -> list[WorkItem]:
        async with self._one_at_a_time:
            try:
                return await self._take(session, limit)
            except BaseException:
                await self.close()  # what was delivered and not acknowledged is for others, or for the next time
                raise

    async def forgo(self) -> None:
        async with self._one_at_a_time:
            await self.close()

    async def close(self) -> None:
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            await consumer.close()

    async def _take(self, session: UUID, limit: int) -> list[WorkItem]:
        while True:
            consumer, deliveries = await self._delivered(limit)
            read = await _read(consumer, deliveries)
            granted = await self._granted(consumer, session, [item for _, item in read])
            await _let_go(consumer, [delivery for delivery, _ in read])
            if granted:
                return granted

    async def _delivered(self, limit: int) -> tuple[Consumer, list[Delivery]]:
        """Wait for messages. What comes late, after the consuming was ended, is here the next time."""
        most = min(limit, TAKEN_AT_ONCE)
        while True:
            consumer = await self._opened()
            deliveries = consumer.here(most)
            if not deliveries:
                try:
                    await self._consume(consumer, limit)
                except Unavailable as error:
                    if not isinstance(error.__cause__, aiormq.ChannelNotFoundEntity):
                        raise
                    await asyncio.sleep(PAUSE)  # nobody has put anything for this service yet
                    continue
                deliveries = await consumer.next(most)
            if not goes_on(consumer.prefetch, len(deliveries), limit):
                await consumer.pause()
                deliveries += consumer.here(most - len(deliveries))
            self._few_come = 2 * len(deliveries) < limit
            return consumer, deliveries

    async def _consume(self, consumer: Consumer, limit: int) -> None:
        if consumer.prefetch > limit:
            await consumer.pause()
        if not consumer.prefetch:
            await consumer.consume(ahead(limit, few_come=self._few_come))

    async def _opened(self) -> Consumer:
        if self._consumer is None or self._consumer.is_lost:
            await self.close()
            self._consumer = await Consumer.open(self._rabbit.consuming, topology.service_queue(self._service_id))
        return self._consumer

    async def _granted(self, consumer: Consumer, session: UUID, items: Sequence[WorkItem]) -> list[WorkItem]:
        if not items:
            return []
        newest: dict[UUID, WorkItem] = {}
        for item in items:
            if item.execution_id not in newest or item.attempt > newest[item.execution_id].attempt:
                newest[item.execution_id] = item
        granted = set(await self._asked(consumer, session, list(newest.values())))
        return [item for execution_id, item in newest.items() if execution_id in granted]

    async def _asked(self, consumer: Consumer, session: UUID, items: Sequence[WorkItem]) -> Sequence[UUID]:
        """Asked again until there is an answer, or the messages are not ours any more."""
        attempts = [(item.execution_id, item.attempt) for item in items]
        take = Take(asking=uuid4(), session=session, service_id=self._service_id, attempts=attempts)
        said = False
        while True:
            try:
                return await self._asker.ask(take)
            except Unavailable as error:
                if consumer.is_lost:
                    raise
                if not said:
                    log.warning("asked in vain what may begin, asking again", extra={"reason": str(error)})
                said = True
            await asyncio.sleep(PAUSE)


def ahead(limit: int, *, few_come: bool) -> int:
    """How many may come before they are asked for. To begin and to end it costs the server two commits: with less than
    all of the room it goes on meanwhile, and with all of it a full queue is taken by fewer askings. Pure."""
    if few_come:
        return min(max(1, limit // 2), AHEAD)
    return min(limit - TAKEN_AT_ONCE, AHEAD) if limit >= 2 * TAKEN_AT_ONCE else limit


def goes_on(prefetch: int, came: int, limit: int) -> bool:
    """Whether a consumer may go on while these begin: there is room for all that may come meanwhile, and it was not its
    own prefetch that let no more come. Pure."""
    return prefetch <= limit - came and (came < prefetch or prefetch >= TAKEN_AT_ONCE)


async def _read(consumer: Consumer, deliveries: Sequence[Delivery]) -> list[tuple[Delivery, WorkItem]]:
    read = []
    for delivery in deliveries:
        try:
            read.append((delivery, messages.decode_work_item(delivery.body)))
        except msgspec.MsgspecError as error:
            await consumer.set_aside(delivery, "service", str(error))
    return read


async def _let_go(consumer: Consumer, deliveries: Sequence[Delivery]) -> None:
    try:
        await consumer.acknowledge(deliveries)
    except Unavailable as error:  # they come again, and may not begin again
        log.info("deliveries not acknowledged", extra={"reason": str(error)})


def _message(item: WorkItem) -> Message:
    body = messages.encode_work_item(item)
    if len(body) > LARGEST:
        body = messages.encode_work_item(msgspec.structs.replace(item, input=b"{}", entity=None, by_reference=True))
    return Message(
        routing_key=topology.service_queue(item.service_id),
        message_id=f"{item.execution_id}/{item.attempt}",
        correlation_id=_root_event(item),
        type="work-item",
        body=body,
        headers=_trace(item),
    )


def _trace(item: WorkItem) -> dict[str, FieldValue]:
    if item.traceparent is None:
        return {}
    if item.tracestate is None:
        return {traceparent.HEADER: item.traceparent}
    return {traceparent.HEADER: item.traceparent, tracestate.HEADER: item.tracestate}


def _root_event(item: WorkItem) -> str | None:
    """What it all began with; only where it fits into a property."""
    root = item.event_id
    if item.causation is not None:
        try:
            led = causation.decode(item.causation)
        except TriggerEngineError:
            led = Causation()
        root = led.root if led.depth else root
    return root if root is not None and len(root.encode()) <= 255 else None
