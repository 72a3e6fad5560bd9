"""The cluster profile's drivers: events in Kafka, executions and reports in RabbitMQ, as far as the settings name them.

PostgreSQL is beside them as in the embedded profile, but for agents: they reach RabbitMQ and the gateway, and nothing
else.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

from agent.gateway import Gateway
from backbone.drivers.reports.rabbitmq import RabbitReports
from backbone.drivers.work_queue.rabbitmq import RabbitWorkQueue
from backbone.kit.loops import Health, keep
from backbone.rabbitmq import answers, queues, users
from backbone.rabbitmq.connection import Address, Rabbit
from backbone.store import definitions
from launcher import embedded, servers
from launcher.embedded import AgentParts, Parts
from launcher.settings import Settings


@asynccontextmanager
async def parts(settings: Settings, role: str, health: Health) -> AsyncIterator[Parts]:
    async with AsyncExitStack() as stack:
        made = await stack.enter_async_context(embedded.parts(settings, role, health))
        if settings.kafka and role in ("engine", "gateway"):
            from launcher import kafka_log  # agents and dispatchers do without its client

            made.event_log = await kafka_log.opened(stack, settings, made.database, role, health)
        if settings.rabbitmq:
            rabbit = await _rabbit(stack, settings, role, health)
            work_queue = RabbitWorkQueue(rabbit, services=partial(definitions.service_ids, made.database.pool))
            stack.push_async_callback(work_queue.close)
            reports = RabbitReports(rabbit)
            stack.push_async_callback(reports.close)
            made.work_queue, made.reports = work_queue, reports
            if role == "dispatcher":
                management = servers.rabbitmq_management(settings)
                answering = partial(answers.run, made.database, rabbit, own_users=management is not None)
                await stack.enter_async_context(_kept("answers", answering, health))
                dropping = partial(queues.run, made.database, made.wakeups, work_queue.drop)
                await stack.enter_async_context(_kept("queues", dropping, health))
                if management is not None:
                    following = partial(users.run, made.database, made.wakeups, management)
                    await stack.enter_async_context(_kept("users", following, health))
        yield made


@asynccontextmanager
async def agent_parts(settings: Settings, service_id: str, health: Health) -> AsyncIterator[AgentParts]:
    async with AsyncExitStack() as stack:
        rabbit = await _rabbit(stack, settings, "agent", health)
        gateway = await stack.enter_async_context(Gateway(settings.url, settings.token or None, service_id))
        work_queue = RabbitWorkQueue(rabbit, fetch=gateway.fetch, elsewhere=gateway.ask)
        stack.push_async_callback(work_queue.close)
        reports = RabbitReports(rabbit, elsewhere=gateway.ask)
        stack.push_async_callback(reports.close)
        yield AgentParts(work_queue=work_queue, reports=reports)


async def _rabbit(stack: AsyncExitStack, settings: Settings, role: str, health: Health) -> Rabbit:
    address = servers.rabbitmq_address(settings)
    rabbit = Rabbit(Address(url=address.url, tls=address.context), f"trigger-engine {role}", health)
    stack.push_async_callback(rabbit.close)
    return rabbit


@asynccontextmanager
async def _kept(name: str, body: Callable[[], Awaitable[None]], health: Health) -> AsyncIterator[None]:
    task = asyncio.create_task(keep(name, body, health))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
