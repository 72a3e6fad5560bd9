"""RabbitMQ under test: the work queue and the reports, and what a conformance suite does behind their backs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial

from backbone.drivers.reports.rabbitmq import RabbitReports
from backbone.drivers.work_queue.rabbitmq import Fetch, RabbitWorkQueue
from backbone.kit.loops import Health, keep
from backbone.model.errors import Unavailable
from backbone.rabbitmq import answers, topology
from backbone.rabbitmq.connection import Address, Link, Rabbit
from backbone.rabbitmq.publisher import Message, Publisher
from backbone.rabbitmq.topology import Topology
from backbone.store.database import Database
from tests.support.rabbitmq import RabbitMQServer


@dataclass(frozen=True)
class RabbitProcess:
    work_queue: RabbitWorkQueue
    reports: RabbitReports
    rabbit: Rabbit
    health: Health


class RabbitMQ:
    """Each process is an agent and a dispatcher at once, unless it does not answer: then it is an agent alone."""

    outage = (Unavailable,)

    def __init__(self, url: str, dsn: str, server: RabbitMQServer | None = None, *, own_users: bool = False) -> None:
        self.url = url
        self._own_users = own_users
        self._dsn = dsn
        self._server = server
        self._processes: dict[str, RabbitProcess] = {}

    @asynccontextmanager
    async def process(
        self, name: str = "a process", *, answering: bool = True, fetch: Fetch | None = None
    ) -> AsyncIterator[RabbitProcess]:
        health = Health()
        async with AsyncExitStack() as stack:
            rabbit = Rabbit(Address(url=self.url), name, health)
            stack.push_async_callback(rabbit.close)
            process = RabbitProcess(RabbitWorkQueue(rabbit, fetch=fetch), RabbitReports(rabbit), rabbit, health)
            stack.push_async_callback(process.work_queue.close)
            stack.push_async_callback(process.reports.close)
            if answering:
                await stack.enter_async_context(self.dispatcher(rabbit, health))
            self._processes[name] = process
            yield process

    @asynccontextmanager
    async def dispatcher(self, rabbit: Rabbit, health: Health) -> AsyncIterator[None]:
        """What answers the agents."""
        await Topology(rabbit.publishing).shared()
        database = Database(self._dsn, "trigger-engine answers")
        answering = asyncio.create_task(
            keep("answers", partial(answers.run, database, rabbit, own_users=self._own_users), health)
        )
        try:
            yield
        finally:
            answering.cancel()
            await asyncio.wait([answering])

    async def cut(self, name: str) -> None:
        rabbit = self._processes[name].rabbit
        rabbit.publishing.hang_up()
        rabbit.consuming.hang_up()

    async def publish(self, *messages: Message) -> None:
        """As anybody may who has the password."""
        link = Link(Address(url=self.url), "a stranger")
        publisher = Publisher(link)
        try:
            await publisher.publish(messages)
        finally:
            await publisher.close()
            await link.close()

    async def append_report(self, body: bytes) -> None:
        await self.publish(
            Message(exchange=topology.AGENTS, routing_key=topology.REPORTS, message_id="a", type="reports", body=body)
        )

    async def kill_server(self) -> None:
        assert self._server is not None
        await self._server.kept()
        self._server.kill()

    async def start_server(self) -> None:
        assert self._server is not None
        await self._server.start()
