"""What there is on the server, by name; declared by the dispatcher's side alone.

exchange agents   direct; all that agents may write to
  reports           quorum queue, one active consumer: the reports of an execution keep their order
  agents            questions of agents; classic, and none is kept longer than the asker waits
service.<id>      a quorum queue for each service, written to by its own name
exchange dead     what could not be read, or was given out too often
  dead              quorum queue, looked into by people

An agent's user needs these rights and no others: configure `^$`, write `^agents$`, read `^service[.]<id>$`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from datetime import timedelta

import aiormq
from aio_pika.abc import AbstractChannel, ExchangeType

from backbone.model.errors import Unavailable
from backbone.rabbitmq.connection import Link

AGENTS = "agents"
REPORTS = "reports"
DEAD = "dead"

MAX_DELIVERIES = 100
"""So often is a message given out before it is dead. Generous: a restart of the server and an agent's end count too,
and the attempts of an execution are counted in PostgreSQL."""

QUESTION_LIVES = timedelta(seconds=5)

_QUORUM: Mapping[str, str | int] = {"x-queue-type": "quorum"}
_LASTING: Mapping[str, str | int] = {
    **_QUORUM,
    "x-delivery-limit": MAX_DELIVERIES,
    "x-dead-letter-exchange": DEAD,
    "x-dead-letter-strategy": "at-least-once",
    "x-overflow": "reject-publish",  # the strategy asks for it
}


def service_queue(service_id: str) -> str:
    return f"service.{service_id}"


class Topology:
    """Declares what was not declared yet over the connection that there is."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._one_at_a_time = asyncio.Lock()
        self._generation: object | None = None
        self._declared: set[str] = set()
        self._services: set[str] = set()

    async def shared(self) -> None:
        """All but the queues of services."""
        async with self._one_at_a_time:
            await self._shared()

    async def services(self, service_ids: Iterable[str]) -> None:
        """Their queues, and what these need."""
        async with self._one_at_a_time:
            await self._shared()
            for service_id in service_ids:
                await self._queue(service_queue(service_id), _LASTING)
                self._services.add(service_id)

    async def depth(self, service_ids: Iterable[str] = ()) -> Mapping[str, int]:
        """Messages that wait, by service, of these and of all that were declared here. None waiting: absent."""
        depth = {}
        left = sorted(self._services | set(service_ids), reverse=True)
        while left:
            try:
                async with self._link.topology() as channel:
                    while left:
                        service_id = left.pop()
                        queue = await channel.declare_queue(service_queue(service_id), passive=True)
                        if queue.declaration_result.message_count:
                            depth[service_id] = queue.declaration_result.message_count
            except Unavailable as error:  # a queue that is not there costs the channel
                if not isinstance(error.__cause__, aiormq.ChannelNotFoundEntity):
                    raise
        return depth

    async def drop(self, service_id: str) -> None:
        """The queue of a service that is gone, with all that is in it."""
        async with self._link.topology() as channel:
            await channel.queue_delete(service_queue(service_id))
        self._declared.discard(service_queue(service_id))
        self._services.discard(service_id)

    async def _shared(self) -> None:
        if self._generation is None or self._generation is not self._link.generation:
            self._declared.clear()
        if DEAD in self._declared:
            return
        await self._queue(DEAD, _QUORUM)
        await self._queue(REPORTS, {**_LASTING, "x-single-active-consumer": True})
        await self._queue(AGENTS, {"x-message-ttl": int(QUESTION_LIVES.total_seconds() * 1000)})
        async with self._link.topology() as channel:
            await _bind(channel, DEAD, ExchangeType.FANOUT, DEAD)
            await _bind(channel, AGENTS, ExchangeType.DIRECT, REPORTS, AGENTS)
        self._generation = self._link.generation

    async def _queue(self, name: str, arguments: Mapping[str, str | int]) -> None:
        if name in self._declared:
            return
        try:
            async with self._link.topology() as channel:
                await channel.declare_queue(name, durable=True, arguments=dict(arguments))
        except Unavailable as error:
            if isinstance(error.__cause__, aiormq.ChannelPreconditionFailed):
                reason = f"queue {name!r} is there with other arguments: {error.__cause__}"
                raise Unavailable("RabbitMQ", reason) from error
            raise
        self._declared.add(name)


async def _bind(channel: AbstractChannel, name: str, kind: ExchangeType, *queues: str) -> None:
    exchange = await channel.declare_exchange(name, kind, durable=True)
    for queue in queues:
        found = await channel.get_queue(queue, ensure=False)
        await found.bind(exchange, routing_key=queue)
