"""Reports over RabbitMQ: one queue that one dispatcher at a time reads, in order; leases by asking a dispatcher."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from datetime import timedelta
from uuid import UUID, uuid4

import msgspec

from backbone.model import messages
from backbone.model.messages import Report
from backbone.model.requests import Beat, Leave
from backbone.rabbitmq import topology
from backbone.rabbitmq.asking import Ask, Asker
from backbone.rabbitmq.connection import Rabbit
from backbone.rabbitmq.consumer import Consumer
from backbone.rabbitmq.deliveries import Delivery
from backbone.rabbitmq.publisher import Message, Publisher
from backbone.rabbitmq.topology import Topology


class RabbitReports:
    """Agents send, beat and leave; they declare nothing. Who receives declares.

    `elsewhere`: where agents ask what they cannot ask over RabbitMQ."""

    in_store = False

    def __init__(self, rabbit: Rabbit, *, elsewhere: Ask | None = None) -> None:
        self._rabbit = rabbit
        self._publisher = Publisher(rabbit.publishing)
        self._asker = Asker(rabbit.publishing, elsewhere)

    async def send(self, reports: Sequence[Report]) -> None:
        await self._publisher.publish(
            [
                Message(
                    exchange=topology.AGENTS,
                    routing_key=topology.REPORTS,
                    message_id=uuid4().hex,
                    type="reports",
                    body=messages.encode_reports(reports),
                )
            ]
        )

    async def beat(
        self, session: UUID, service_id: str, lease: timedelta, untold: Sequence[UUID] = ()
    ) -> Sequence[UUID]:
        return await self._asker.ask(Beat(session=session, service_id=service_id, lease=lease, untold=tuple(untold)))

    async def leave(self, session: UUID) -> None:
        await self._asker.ask(Leave(session=session))

    async def receive(self, limit: int) -> AsyncGenerator[RabbitReportBatch, None]:
        await Topology(self._rabbit.publishing).shared()
        async with await Consumer.open(self._rabbit.consuming, topology.REPORTS) as consumer:
            await consumer.consume(2 * limit)
            while True:
                batch = RabbitReportBatch(consumer)
                await batch.read(await consumer.next(limit))
                if batch.reports:
                    yield batch
                else:
                    await batch.acknowledge()

    async def close(self) -> None:
        await self._asker.close()
        await self._publisher.close()


class RabbitReportBatch:
    def __init__(self, consumer: Consumer) -> None:
        self._consumer = consumer
        self._read: list[Delivery] = []
        self.reports: list[Report] = []

    async def read(self, deliveries: Sequence[Delivery]) -> None:
        for delivery in deliveries:
            try:
                self.reports += messages.decode_reports(delivery.body)
                self._read.append(delivery)
            except msgspec.MsgspecError as error:
                await self._consumer.set_aside(delivery, "reports", str(error))

    async def acknowledge(self) -> None:
        await self._consumer.acknowledge(self._read)
