"""What is RabbitMQ's own behind the work queue and the reports, and what of aiormq's inside it leans on."""

from __future__ import annotations

import asyncio
import logging
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import aio_pika
import asyncpg
import msgspec
import pytest

from backbone.drivers.work_queue import rabbitmq as work_queue
from backbone.kit import metrics
from backbone.kit.loops import Health, keep
from backbone.model import messages
from backbone.model.errors import NotAllowed, Unavailable
from backbone.model.messages import Started
from backbone.model.requests import Beat, Leave, Take
from backbone.rabbitmq import topology
from backbone.rabbitmq.connection import Address, Link
from backbone.rabbitmq.consumer import Consumer
from backbone.rabbitmq.publisher import Message, Publisher
from backbone.rabbitmq.topology import Topology, service_queue
from backbone.store import leases
from launcher import compose_secrets
from tests.support.drivers import SERVICE, queued_items, session_of
from tests.support.proxy import Proxy
from tests.support.rabbitmq import Broker, RabbitMQServer
from tests.support.rabbitmq_drivers import RabbitMQ, RabbitProcess
from tests.support.servers import free_port

DEAD = topology.DEAD


@pytest.fixture
async def process(on_rabbitmq: RabbitMQ) -> AsyncIterator[RabbitProcess]:
    async with on_rabbitmq.process() as process:
        yield process


@pytest.fixture
async def link(vhost: str) -> AsyncIterator[Link]:
    async with linked(vhost) as link:
        yield link


@asynccontextmanager
async def linked(url: str, health: Health | None = None) -> AsyncIterator[Link]:
    link = Link(Address(url=url), "a test", health)
    try:
        yield link
    finally:
        await link.close()


def a_message(number: int, queue: str = DEAD, body: bytes = b"body") -> Message:
    return Message(routing_key=queue, message_id=f"message {number}", type="test", body=body)


async def waiting(link: Link, queue: str) -> int:
    async with link.topology() as channel:
        return (await channel.declare_queue(queue, passive=True)).declaration_result.message_count or 0


async def until(condition: Callable[[], Awaitable[bool] | bool]) -> None:
    async with asyncio.timeout(60):
        while True:
            found = condition()
            if found if isinstance(found, bool) else await found:
                return
            await asyncio.sleep(0.01)


async def test_a_batch_is_there_when_it_is_confirmed(link: Link) -> None:
    await Topology(link).shared()
    large = b"x" * 300_000  # of several frames
    await Publisher(link).publish(
        [*(a_message(number) for number in range(500)), a_message(500, body=large), a_message(501, body=b"")]
    )
    assert await waiting(link, DEAD) == 502


async def test_other_clients_read_what_a_message_says_of_itself(link: Link) -> None:
    await Topology(link).shared()
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    sent = Message(
        routing_key=DEAD,
        message_id="execution/1",
        type="work-item",
        body="größer".encode(),
        correlation_id="an événement",
        reply_to="somebody",
        headers={"traceparent": trace},
    )
    before = datetime.now(UTC).replace(microsecond=0)
    await Publisher(link).publish([sent, a_message(2)])
    async with link.topology() as channel:
        queue = await channel.get_queue(DEAD)
        found, plain = await queue.get(no_ack=True), await queue.get(no_ack=True)
    assert (found.body, found.message_id, found.type) == (sent.body, "execution/1", "work-item")
    assert (found.correlation_id, found.reply_to) == ("an événement", "somebody")
    assert found.headers["traceparent"] == trace
    assert (found.content_type, found.delivery_mode) == ("application/msgpack", aio_pika.DeliveryMode.PERSISTENT)
    assert found.timestamp is not None
    assert before <= found.timestamp <= datetime.now(UTC)
    assert (plain.correlation_id, plain.reply_to, "traceparent" in plain.headers) == (None, None, False)


async def test_one_that_no_queue_takes_is_told_and_those_around_it_arrive(link: Link) -> None:
    await Topology(link).shared()
    publisher = Publisher(link)
    with pytest.raises(Unavailable, match=r"no queue takes what is sent to .*'nowhere'"):
        await publisher.publish([a_message(1), a_message(2, "nowhere"), a_message(3)])
    assert await waiting(link, DEAD) == 2
    await publisher.publish([a_message(2)])
    assert await waiting(link, DEAD) == 3


async def test_who_waits_for_confirmations_is_told_that_the_connection_is_lost(link: Link) -> None:
    await Topology(link).shared()
    publisher = Publisher(link)
    for _ in range(5):
        await publisher.publish([a_message(0)])
        publishing = asyncio.create_task(
            publisher.publish([a_message(number, body=b"x" * 50_000) for number in range(200)])
        )
        await asyncio.sleep(0)  # until it has written and waits
        while not publishing.done():
            link.hang_up()
            await asyncio.sleep(0)
        with pytest.raises(Unavailable):
            await publishing


async def test_who_stops_waiting_for_confirmations_leaves_a_publisher_that_works(link: Link) -> None:
    await Topology(link).shared()
    publisher = Publisher(link)
    for turns in range(12):
        publishing = asyncio.create_task(publisher.publish([a_message(number) for number in range(50)]))
        for _ in range(turns):
            await asyncio.sleep(0)
        told = publishing.cancel()
        await asyncio.wait([publishing])
        assert publishing.cancelled() == told
        await publisher.publish([a_message(turns)])


async def test_a_cancellation_that_meets_an_answer_is_not_forgotten(on_rabbitmq: RabbitMQ, link: Link) -> None:
    # Where there is no queue yet, the server closes the channel, and aiormq may close it once more, which costs the
    # connection: the next taking is told so.
    await Topology(link).services([SERVICE])
    async with on_rabbitmq.process() as process:
        for turns in range(60):
            taking = asyncio.create_task(process.work_queue.take(SERVICE, session_of(SERVICE), 1))
            for _ in range(turns * 3):
                await asyncio.sleep(0)
            taking.cancel()
            await asyncio.wait([taking], timeout=30)
            assert taking.cancelled(), taking.exception()


async def test_a_server_short_of_memory_is_told_and_publishing_goes_on_when_it_has_some(
    rabbitmq_to_kill: RabbitMQServer, mortal_on_rabbitmq: RabbitMQ
) -> None:
    health = Health()
    async with linked(mortal_on_rabbitmq.url, health) as link:
        await Topology(link).shared()
        publisher = Publisher(link)
        await publisher.publish([a_message(0)])
        await rabbitmq_to_kill.control("set_vm_memory_high_watermark", "absolute", "1MB")
        try:
            publishing = asyncio.create_task(publisher.publish([a_message(1)]))
            await until(lambda: link.blocked)
            assert "blocked" in health.detail
            assert metrics.broker_blocked._value.get() == 1
            assert not publishing.done()
        finally:
            await rabbitmq_to_kill.control("set_vm_memory_high_watermark", "0.6")
        await publishing
        await until(lambda: not link.blocked)
        assert health.ready
        assert metrics.broker_blocked._value.get() == 0


async def test_a_queue_that_is_there_with_other_arguments_is_named(link: Link) -> None:
    async with link.topology() as channel:
        await channel.declare_queue(service_queue("mine"), durable=True)
    with pytest.raises(Unavailable, match=r"queue 'service\.mine' is there with other arguments"):
        await Topology(link).services(["mine"])


async def test_the_queue_of_a_deleted_service_goes_and_its_agents_hear_of_it(
    on_rabbitmq: RabbitMQ, process: RabbitProcess, database: str
) -> None:
    items = await queued_items(database, 3)
    await process.work_queue.put(items)
    assert await process.work_queue.depth() == {SERVICE: 3}
    async with on_rabbitmq.process("agent") as agent:
        await agent.work_queue.take(SERVICE, session_of(SERVICE), 3)
        taking = asyncio.create_task(agent.work_queue.take(SERVICE, session_of(SERVICE), 3))
        await asyncio.sleep(0.05)
        await process.work_queue.drop(SERVICE)
        with pytest.raises(Unavailable, match="is gone"):
            async with asyncio.timeout(20):
                await taking
        assert await process.work_queue.depth() == {}
        again = await queued_items(database, 1)
        await process.work_queue.put(again)
        assert await agent.work_queue.take(SERVICE, session_of(SERVICE), 3) == again


async def test_another_dispatcher_sees_the_depth_of_the_services_that_there_are(
    on_rabbitmq: RabbitMQ, process: RabbitProcess, database: str
) -> None:
    await process.work_queue.put(await queued_items(database, 3))

    async def services() -> list[str]:
        return [SERVICE, "one without a queue"]

    other = work_queue.RabbitWorkQueue(process.rabbit, services=services)
    assert await other.depth() == {SERVICE: 3}


async def test_what_cannot_be_read_is_set_aside_and_blocks_nothing(
    on_rabbitmq: RabbitMQ, process: RabbitProcess, database: str, link: Link
) -> None:
    [first, last] = await queued_items(database, 2)
    before = metrics.messages_set_aside.labels("service")._value.get()
    await process.work_queue.put([first])
    body = messages.encode_work_item(first)
    queue = service_queue(SERVICE)
    nonsense = (b"", b"nonsense", b"\x92\x01\x02", body[:-1], body[:40] + b"\xc1" + body[41:])
    await on_rabbitmq.publish(*(a_message(number, queue, one) for number, one in enumerate(nonsense)))
    await publish_with_properties(on_rabbitmq.url, queue, b"nonsense", header_bomb())
    await publish_with_properties(on_rabbitmq.url, queue, b"nonsense", timestamp_in_the_year_50000())
    await process.work_queue.put([last])
    taken: list[UUID] = []
    async with asyncio.timeout(20):
        while len(taken) < 2:
            taken += [item.execution_id for item in await process.work_queue.take(SERVICE, session_of(SERVICE), 2)]
    assert taken == [first.execution_id, last.execution_id]
    assert metrics.messages_set_aside.labels("service")._value.get() == before + 7

    async def all_dead() -> bool:
        return await waiting(link, DEAD) == 7

    await until(all_dead)


def header_bomb() -> bytes:
    """Tables in tables, deeper than Python goes: the property `headers`."""
    size = 7
    tables = b"".join(b"\x01tF" + struct.pack(">I", size * inside) for inside in reversed(range(2000)))
    return struct.pack(">HI", 1 << 13, len(tables)) + tables


def timestamp_in_the_year_50000() -> bytes:
    return struct.pack(">HQ", 1 << 6, 1_700_000_000_000)


async def publish_with_properties(url: str, queue: str, body: bytes, properties: bytes) -> None:
    """As no decent client does."""
    async with linked(url) as link:
        channel = await link.channel(confirms=True)
        publish = struct.pack(">HHHB", 60, 40, 0, 0) + bytes([len(queue)]) + queue.encode() + b"\x00"
        header = struct.pack(">HHQ", 60, 0, len(body)) + properties
        written = b"".join(
            struct.pack(">BHI", kind, channel.number, len(payload)) + payload + b"\xce"
            for kind, payload in ((1, publish), (2, header), (3, body))
        )
        channel.delivery_tag += 1
        confirmed = channel.confirmations[channel.delivery_tag] = channel.create_future()
        await channel.write_queue.put(aio_pika.abc.aiormq.abc.ChannelFrame(payload=written, should_close=False))
        await confirmed


async def test_a_question_that_cannot_be_read_keeps_nobody_from_an_answer(
    on_rabbitmq: RabbitMQ, process: RabbitProcess
) -> None:
    for nonsense in (b"nonsense", b"\x91\xa5other", b""):
        await on_rabbitmq.publish(a_message(1, topology.AGENTS, nonsense))
    async with asyncio.timeout(20):
        assert await process.reports.beat(uuid4(), SERVICE, timedelta(seconds=5)) == []


async def test_what_a_taker_was_not_granted_before_it_died_is_taken_by_another(
    on_rabbitmq: RabbitMQ, database: str
) -> None:
    items = await queued_items(database, 20)
    before = metrics.messages_redelivered._value.get()
    async with on_rabbitmq.process("dying", answering=False) as dying, linked(on_rabbitmq.url) as link:
        shared = Topology(link)
        await shared.services([SERVICE])
        taking = asyncio.create_task(dying.work_queue.take(SERVICE, session_of(SERVICE), 20))
        await work_queue.RabbitWorkQueue(dying.rabbit).put(items)

        async def asked() -> bool:
            return await waiting(link, topology.AGENTS) == 1

        await until(asked)
        await on_rabbitmq.cut("dying")
        with pytest.raises(Unavailable):
            await taking
        async with link.topology() as channel:
            await (await channel.get_queue(topology.AGENTS)).purge()  # in a few seconds the question goes by itself
    async with on_rabbitmq.process("living") as living:
        taken: list[UUID] = []
        async with asyncio.timeout(20):
            while len(taken) < 20:
                taken += [item.execution_id for item in await living.work_queue.take(SERVICE, session_of(SERVICE), 20)]
    assert sorted(taken) == sorted(item.execution_id for item in items)
    assert metrics.messages_redelivered._value.get() >= before + 20


async def test_who_asks_again_is_granted_the_same_and_nobody_else_is(
    on_rabbitmq: RabbitMQ, process: RabbitProcess, database: str
) -> None:
    items = await queued_items(database, 4)
    attempts = [(item.execution_id, 1) for item in items]
    execute = partial(executed, database)
    await execute("UPDATE execution SET status = 'success' WHERE id = $1", items[2].execution_id)
    await execute("UPDATE execution SET attempt = 2 WHERE id = $1", items[3].execution_id)
    session, other, asking = uuid4(), uuid4(), uuid4()
    for one in (session, other):
        await process.reports.beat(one, SERVICE, timedelta(minutes=1))
    ask = process.work_queue._asker.ask
    mine = Take(asking=asking, session=session, service_id=SERVICE, attempts=attempts)
    startable = sorted(item.execution_id for item in items[:2])
    assert sorted(await ask(mine)) == startable
    assert sorted(await ask(mine)) == startable
    for who in (session, other):
        take = Take(asking=uuid4(), session=who, service_id=SERVICE, attempts=attempts)
        assert await ask(take) == []
    assert [row["count"] for row in await execute("SELECT count(*) FROM lease")] == [2]
    await execute("UPDATE execution SET status = 'in-progress' WHERE id = $1", items[0].execution_id)
    assert await ask(mine) == [items[1].execution_id]


async def test_of_two_attempts_asked_for_together_the_newer_is_granted(database: str) -> None:
    [item] = await queued_items(database, 1)
    await executed(database, "UPDATE execution SET attempt = 2 WHERE id = $1", item.execution_id)
    takes = [
        Take(
            asking=uuid4(),
            session=session_of(SERVICE),
            service_id=SERVICE,
            attempts=[(item.execution_id, attempt)],
        )
        for attempt in (1, 2, 1)
    ]
    connection = await asyncpg.connect(database)
    try:
        granted = await leases.answer(connection, [leases.Asked(take) for take in takes])
    finally:
        await connection.close()
    assert granted == [[], [item.execution_id], []]


async def test_a_session_asks_for_no_service_but_its_own(process: RabbitProcess, database: str) -> None:
    [item] = await queued_items(database, 1, service_id="another")
    ask, execute, session = process.work_queue._asker.ask, partial(executed, database), uuid4()
    minute = timedelta(minutes=1)
    assert await ask(Beat(session=session, service_id=SERVICE, lease=minute)) == []
    attempts = [(item.execution_id, item.attempt)]
    refused = metrics.agent_questions_refused.labels("take")._value.get()
    for who, reason in ((session, "is not of service 'another'"), (uuid4(), "is not known")):
        with pytest.raises(NotAllowed, match=reason):
            await ask(Take(asking=uuid4(), session=who, service_id="another", attempts=attempts))
    assert metrics.agent_questions_refused.labels("take")._value.get() == refused + 2
    with pytest.raises(NotAllowed, match="is not of service 'another'"):
        await ask(Beat(session=session, service_id="another", lease=timedelta(hours=1)))
    with pytest.raises(NotAllowed, match="is not known"):
        await ask(Leave(session=uuid4()))
    # It is granted nothing of another by its own name, either.
    assert await ask(Take(asking=uuid4(), session=session, service_id=SERVICE, attempts=attempts)) == []
    assert await execute("SELECT FROM lease") == []
    [mine] = await execute("SELECT service_id, lease_until - now() AS left FROM agent_session WHERE id = $1", session)
    assert mine["service_id"] == SERVICE
    assert mine["left"] <= minute


async def executed(dsn: str, statement: str, *arguments: object) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(dsn)
    try:
        return list(await connection.fetch(statement, *arguments))
    finally:
        await connection.close()


async def test_an_input_too_large_for_a_message_is_fetched_by_who_is_granted_it(
    on_rabbitmq: RabbitMQ, process: RabbitProcess, database: str
) -> None:
    [small, large, gone] = await queued_items(database, 3)
    documents = {"input": b'{"a": "%b"}' % (b"x" * 200_000), "entity": b'{"id": "1"}'}
    large, gone = msgspec.structs.replace(large, **documents), msgspec.structs.replace(gone, **documents)
    fetched: list[UUID] = []

    async def fetch(execution_id: UUID) -> tuple[bytes, bytes | None]:
        fetched.append(execution_id)
        if execution_id == gone.execution_id:
            raise Unavailable("the gateway", "it does not answer")
        return documents["input"], documents["entity"]

    async with on_rabbitmq.process("agent", fetch=fetch) as agent:
        await process.work_queue.put([small, large, gone])
        taken = []
        async with asyncio.timeout(20):
            while len(taken) < 2:
                taken += await agent.work_queue.take(SERVICE, session_of(SERVICE), 10)
        assert taken == [small, large]
        assert sorted(fetched) == sorted([large.execution_id, gone.execution_id])


@pytest.fixture
async def of_an_agent(rabbitmq_server: Broker, on_rabbitmq: RabbitMQ, database: str) -> AsyncIterator[RabbitMQ]:
    """The server as the agents of compose.yaml reach it: a user that RabbitMQ was given by the file of definitions."""
    vhost, name = on_rabbitmq.url.rsplit("/", 1)[1], f"agents-{uuid4().hex}"
    made = dict.fromkeys(compose_secrets.MADE, "secret")
    users: Any = compose_secrets.definitions(made)
    [user] = [{**each, "name": name} for each in users["users"] if each["name"] == "agents"]
    [granted] = [{**each, "user": name, "vhost": vhost} for each in users["permissions"] if each["user"] == "agents"]
    async with rabbitmq_server.management() as management:
        document = {"users": [user], "permissions": [granted]}
        (await management.post("/definitions", json=document)).raise_for_status()
        try:
            yield RabbitMQ(f"amqp://{name}:secret@{rabbitmq_server.host}:{rabbitmq_server.port}/{vhost}", database)
        finally:
            await management.delete(f"/users/{name}")


async def test_an_agents_user_may_do_what_agents_do(
    of_an_agent: RabbitMQ, process: RabbitProcess, database: str
) -> None:
    [item] = await queued_items(database, 1)
    async with of_an_agent.process("agent", answering=False) as agent:
        session = uuid4()
        assert await agent.reports.beat(session, SERVICE, timedelta(seconds=5)) == []
        taking = asyncio.create_task(agent.work_queue.take(SERVICE, session, 2))
        await process.work_queue.put([item])
        assert await taking == [item]
        await agent.reports.send([Started(execution_id=item.execution_id, attempt=1, at=item.recorded_at)])
        await agent.reports.leave(session)


async def test_an_agents_user_may_do_nothing_else(of_an_agent: RabbitMQ, process: RabbitProcess, database: str) -> None:
    items = await queued_items(database, 2)
    await process.work_queue.put(items[:1])
    async with of_an_agent.process("agent", answering=False) as agent, linked(of_an_agent.url) as link:
        refused: list[Callable[[], Awaitable[object]]] = [
            lambda: agent.work_queue.put(items[1:]),
            lambda: agent.work_queue.drop(SERVICE),
            lambda: anext(agent.reports.receive(1)),
            lambda: declaring(link, service_queue("another")),
            lambda: binding(link, topology.AGENTS, service_queue(SERVICE)),
            *(partial(sending, link, queue) for queue in (service_queue(SERVICE), DEAD)),
            *(partial(reading, link, queue) for queue in (topology.REPORTS, topology.AGENTS, DEAD)),
        ]
        for call in refused:
            with pytest.raises(Unavailable, match=r"ACCESS_REFUSED|the connection was lost while message"):
                await call()
    assert await process.work_queue.depth() == {SERVICE: 1}


async def reading(link: Link, queue: str) -> None:
    async with await Consumer.open(link, queue) as consumer:
        await consumer.consume(1)


async def declaring(link: Link, queue: str) -> None:
    async with link.topology() as channel:
        await channel.declare_queue(queue, durable=True)


async def sending(link: Link, queue: str) -> None:
    """By the default exchange, as a dispatcher gives work."""
    await Publisher(link).publish([a_message(1, queue)])


async def binding(link: Link, exchange: str, queue: str) -> None:
    async with link.topology() as channel:
        await (await channel.get_queue(queue, ensure=False)).bind(exchange, routing_key="anything")


@pytest.mark.parametrize("cut", ["reset", "half_close"])
async def test_a_network_that_cuts_connections_is_told_and_got_over(
    rabbitmq_server: Broker, on_rabbitmq: RabbitMQ, process: RabbitProcess, database: str, cut: str
) -> None:
    first, second = await queued_items(database, 1), await queued_items(database, 1)
    vhost = on_rabbitmq.url.rsplit("/", 1)[1]
    async with Proxy(rabbitmq_server.host, rabbitmq_server.port) as network:
        behind = RabbitMQ(rabbitmq_server.url(vhost, port=network.port), database)
        async with behind.process("behind", answering=False) as agent:
            await agent.work_queue.put(first)
            assert await agent.work_queue.take(SERVICE, session_of(SERVICE), 1) == first
            taking = asyncio.create_task(agent.work_queue.take(SERVICE, session_of(SERVICE), 1))
            getattr(network, cut)()
            with pytest.raises(Unavailable):
                await agent.work_queue.put(second)
            with pytest.raises(Unavailable):
                await taking
            await agent.work_queue.put(second)
            taken = []
            async with asyncio.timeout(20):
                while not taken:
                    taken = await agent.work_queue.take(SERVICE, session_of(SERVICE), 1)
            assert taken == second


async def test_few_lines_are_written_while_the_server_is_away(database: str, caplog: pytest.LogCaptureFixture) -> None:
    nowhere = RabbitMQ(f"amqp://guest:secret@127.0.0.1:{free_port()}/", database)
    tries = 0

    async def counted(call: Callable[[], Awaitable[object]]) -> None:
        nonlocal tries
        tries += 1
        await call()

    async with nowhere.process("agent", answering=False) as agent:
        calls: list[Callable[[], Awaitable[object]]] = [
            lambda: agent.work_queue.take(SERVICE, session_of(SERVICE), 1),
            lambda: agent.reports.send([]),
            lambda: agent.reports.beat(uuid4(), SERVICE, timedelta(seconds=1)),
            lambda: anext(agent.reports.receive(1)),
        ]
        with caplog.at_level(logging.INFO):
            loops = [
                asyncio.create_task(keep(f"loop {number}", partial(counted, call), agent.health))
                for number, call in enumerate(calls)
            ]
            await until(lambda: tries >= 20)
            assert set(agent.health.wrong) == {f"loop {number}" for number in range(4)}
            for loop in loops:
                loop.cancel()
            await asyncio.wait(loops)
    assert len(caplog.records) <= 8
    assert "secret" not in caplog.text
