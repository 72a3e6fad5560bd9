"""A user of RabbitMQ for each service: what it may do there, and that it comes and goes with its service."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from functools import partial
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest

from backbone.kit.loops import Health, keep
from backbone.model.errors import NotAllowed, Unavailable
from backbone.model.messages import Started
from backbone.model.requests import Beat, Leave, Take
from backbone.rabbitmq import rights, users
from backbone.rabbitmq.connection import Link
from backbone.rabbitmq.publisher import Message, Publisher
from backbone.rabbitmq.topology import AGENTS, Topology
from backbone.rabbitmq.users import Management
from backbone.store import definitions
from launcher import agent_host
from tests.support.drivers import queued_items, session_of
from tests.support.gateway import gateway
from tests.support.rabbitmq import Broker
from tests.support.rabbitmq_drivers import RabbitMQ, RabbitProcess


@pytest.fixture
def management(rabbitmq_server: Broker, vhost: str) -> Management:
    broker = rabbitmq_server
    url = f"http://{broker.host}:{broker.management_port}"
    return Management(url=url, user=broker.user, password=broker.password, vhost=urlsplit(vhost).path[1:])


@pytest.fixture
async def client(management: Management) -> AsyncIterator[httpx.AsyncClient]:
    async with management.client() as client:
        yield client
        await users.settle(client, management, [])


@pytest.fixture
async def process(vhost: str, database: str) -> AsyncIterator[RabbitProcess]:
    on_rabbitmq = RabbitMQ(vhost, database, own_users=True)
    async with on_rabbitmq.process() as process:
        yield process


def as_agent_of(service_id: str, management: Management, vhost: str, database: str) -> RabbitMQ:
    """With what a host of agents gives to one."""
    return RabbitMQ(agent_host.own("", vhost, management.login(service_id))["RABBITMQ"], database)


async def test_an_agent_takes_and_reports_for_its_own_service_and_takes_nothing_of_another(
    management: Management, client: httpx.AsyncClient, process: RabbitProcess, vhost: str, database: str
) -> None:
    own, other = f"own.{uuid4().hex}", f"own-{uuid4().hex}"
    await users.settle(client, management, [own, other])
    [item] = await queued_items(database, 1, service_id=own)
    await process.work_queue.put([item, *await queued_items(database, 1, service_id=other)])
    async with as_agent_of(own, management, vhost, database).process("agent", answering=False) as agent:
        session = uuid4()
        assert await agent.reports.beat(session, own, timedelta(seconds=5)) == []
        async with asyncio.timeout(30):
            assert await agent.work_queue.take(own, session, 2) == [item]
        await agent.reports.send([Started(execution_id=item.execution_id, attempt=1, at=item.recorded_at)])
        await agent.reports.leave(session)
        async with asyncio.timeout(30):
            with pytest.raises(Unavailable, match="ACCESS_REFUSED"):
                await agent.work_queue.take(other, session, 1)
        with pytest.raises(Unavailable, match="ACCESS_REFUSED"):
            await Topology(agent.rabbit.publishing).drop(own)
        with pytest.raises(Unavailable):
            await agent.work_queue.put([item])
    assert await process.work_queue.depth() == {other: 1}


async def test_an_agents_user_asks_for_its_own_service_alone_and_nobody_else_asks(
    management: Management, client: httpx.AsyncClient, process: RabbitProcess, vhost: str, database: str
) -> None:
    own, other, session = f"own-{uuid4().hex}", f"other-{uuid4().hex}", uuid4()
    await users.settle(client, management, [own, other])
    [theirs] = await queued_items(database, 1, service_id=other)
    a_minute, attempts = timedelta(minutes=1), [(theirs.execution_id, 1)]
    forged = [
        Beat(session=session, service_id=other, lease=a_minute),
        Take(asking=uuid4(), session=session_of(other), service_id=other, attempts=attempts),
        Take(asking=uuid4(), session=session_of(other), service_id=own, attempts=attempts),
        Beat(session=session_of(other), service_id=own, lease=timedelta()),
        Leave(session=session_of(other)),
    ]
    async with as_agent_of(own, management, vhost, database).process("agent", answering=False) as agent:
        for request in forged:
            with pytest.raises(NotAllowed, match=r"is asked for by an agent of service 'own|is not of service 'own"):
                await agent.work_queue._asker.ask(request)
        with pytest.raises(Unavailable, match=r"PRECONDITION_FAILED.*user_id"):
            await publishing_as(rights.user_of(other), agent.rabbit.publishing)
    with pytest.raises(NotAllowed, match="is not a service's own user"):  # the test's own user, an administrator
        await process.reports.beat(session, own, a_minute)
    sessions = await sessions_of(database)
    assert sessions == {session_of(other): True}


async def publishing_as(user: str, link: Link) -> None:
    message = Message(exchange=AGENTS, routing_key=AGENTS, message_id="1", type="request", body=b"", user_id=user)
    await Publisher(link).publish([message])


async def sessions_of(dsn: str) -> dict[UUID, bool]:
    """Those that are known, and whether they live."""
    connection = await asyncpg.connect(dsn)
    try:
        rows = await connection.fetch("SELECT id, lease_until > now() AS lives FROM agent_session")
        return {row["id"]: row["lives"] for row in rows}
    finally:
        await connection.close()


async def test_the_users_of_other_services_and_of_other_people_stay(
    management: Management, client: httpx.AsyncClient
) -> None:
    one, two = uuid4().hex, uuid4().hex
    await users.settle(client, management, [one, two])
    await users.settle(client, management, [two])
    assert await names(client, management) == {management.user, rights.user_of(two)}
    await users.settle(client, management, [])
    assert await names(client, management) == {management.user}


async def test_users_come_and_go_with_their_services_and_the_gateway_tells_their_passwords(
    management: Management, client: httpx.AsyncClient, database: str
) -> None:
    await users.settle(client, management, ["gone while no dispatcher ran"])
    async with gateway(database, agent_login=management.login) as api:
        service = await api.service()
        pool, wakeups = api.parts.database, api.parts.wakeups
        following = asyncio.create_task(keep("users", partial(users.run, pool, wakeups, management), Health()))
        try:
            name = rights.user_of(service["id"])
            await until(partial(has_names, client, management, {management.user, name}))
            [told] = await api.get("/agents")
            assert told["rabbitmq"]["user"] == name
            who = httpx.BasicAuth(name, told["rabbitmq"]["password"])
            # It is known, and is no administrator.
            assert "management user" in (await client.get("/whoami", auth=who)).json()["reason"].lower()
            await definitions.delete_service(pool.pool, service["id"])
            await until(partial(has_names, client, management, {management.user}))
        finally:
            following.cancel()
            await asyncio.wait([following])


async def test_a_management_that_refuses_is_told(management: Management) -> None:
    stranger = Management(url=management.url, user="nobody", password="wrong", vhost=management.vhost)
    async with stranger.client() as client:
        with pytest.raises(Unavailable, match=r"RabbitMQ's management API.* is answered 401"):
            await users.settle(client, stranger, ["a service"])


async def names(client: httpx.AsyncClient, management: Management) -> set[str]:
    """Those who may do something in the vhost."""
    return {one["user"] for one in (await client.get(f"/vhosts/{management.vhost}/permissions")).json()}


async def has_names(client: httpx.AsyncClient, management: Management, expected: set[str]) -> bool:
    return await names(client, management) == expected


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(60):
        while not await condition():
            await asyncio.sleep(0.02)
