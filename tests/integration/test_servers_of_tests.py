"""The brokers that tests run on: whose they are, what they keep through a kill, and that none outlives its run."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aio_pika
import aio_pika.abc
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import NewTopic
from aiokafka.errors import KafkaConnectionError

from tests.support import kafka, rabbitmq
from tests.support.proxy import Proxy

ROOT = Path(__file__).parents[2]
QUORUM: dict[str, Any] = {"x-queue-type": "quorum"}
PATIENCE = 60


@asynccontextmanager
async def channel_at(url: str) -> AsyncIterator[aio_pika.abc.AbstractChannel]:
    connection = await aio_pika.connect(url)
    try:
        yield await connection.channel()
    finally:
        await connection.close()


async def test_a_test_has_a_vhost_of_its_own(vhost: str, rabbitmq_server: rabbitmq.Broker) -> None:
    async with channel_at(vhost) as channel:
        await channel.declare_queue("mine", durable=True, arguments=QUORUM)
    async with rabbitmq.vhost_of_one_test(rabbitmq_server) as another:
        async with channel_at(rabbitmq_server.url(another)) as channel:
            with pytest.raises(aio_pika.exceptions.ChannelNotFoundEntity):
                await channel.declare_queue("mine", passive=True)


async def test_a_vhost_goes_with_its_test(rabbitmq_server: rabbitmq.Broker) -> None:
    async with rabbitmq.vhost_of_one_test(rabbitmq_server) as name:
        async with rabbitmq_server.management() as management:
            assert (await management.get(f"/vhosts/{name}")).status_code == 200
    async with rabbitmq_server.management() as management:
        assert (await management.get(f"/vhosts/{name}")).status_code == 404


async def test_topics_go_with_their_test(kafka_server: kafka.Broker) -> None:
    async with kafka.topics_of_one_test(kafka_server) as mine:
        await make_topic(kafka_server, f"{mine}events")
        async with kafka.topics_of_one_test(kafka_server) as another:
            await make_topic(kafka_server, f"{another}events")
        left = await topics_of(kafka_server)
    assert f"{mine}events" in left
    assert f"{another}events" not in left


async def test_a_client_that_comes_to_kafka_through_a_proxy_stays_behind_it(
    kafka_server: kafka.Broker, topic_prefix: str
) -> None:
    if kafka_server.proxied is None:
        pytest.skip("a Kafka server that was given has no place for a proxy")
    topic = f"{topic_prefix}events"
    await make_topic(kafka_server, topic)
    async with Proxy("127.0.0.1", kafka_server.proxied.behind, listening=kafka_server.proxied.front) as network:
        producer = AIOKafkaProducer(bootstrap_servers=f"127.0.0.1:{network.port}", acks="all")
        await producer.start()
        try:
            await producer.send_and_wait(topic, b"passes")
            network.stall()
            held = await producer.send(topic, b"held")
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(asyncio.shield(held), 0.1)
            await network.restore()
            await asyncio.wait_for(held, PATIENCE)
        finally:
            await producer.stop()


async def test_rabbitmq_that_is_killed_comes_back_with_what_was_confirmed(
    mortal_rabbitmq: rabbitmq.RabbitMQServer,
) -> None:
    async with channel_at(mortal_rabbitmq.broker.url()) as channel:
        await channel.declare_queue("kept", durable=True, arguments=QUORUM)
        await channel.default_exchange.publish(aio_pika.Message(b"me", delivery_mode=2), "kept")
    await mortal_rabbitmq.kept()
    mortal_rabbitmq.kill()
    with pytest.raises(ConnectionError):
        await aio_pika.connect(mortal_rabbitmq.broker.url())
    await mortal_rabbitmq.start()
    async with channel_at(mortal_rabbitmq.broker.url()) as channel:
        queue = await channel.get_queue("kept", ensure=False)
        async with queue.iterator(timeout=PATIENCE) as messages:
            assert (await anext(messages)).body == b"me"


async def test_kafka_that_is_killed_comes_back_with_what_was_acknowledged(mortal_kafka: kafka.KafkaServer) -> None:
    await make_topic(mortal_kafka.broker, "kept")
    producer = AIOKafkaProducer(bootstrap_servers=mortal_kafka.broker.address, acks="all")
    await producer.start()
    await producer.send_and_wait("kept", b"me")
    await producer.stop()
    mortal_kafka.kill()
    with pytest.raises(KafkaConnectionError):
        await make_topic(mortal_kafka.broker, "lost")
    await mortal_kafka.start()
    consumer = AIOKafkaConsumer("kept", bootstrap_servers=mortal_kafka.broker.address, auto_offset_reset="earliest")
    await consumer.start()
    try:
        assert (await asyncio.wait_for(consumer.getone(), PATIENCE)).value == b"me"
    finally:
        await consumer.stop()


@pytest.mark.usefixtures("rabbitmq_server", "kafka_server")  # which tell whether there are any
async def test_a_run_that_is_killed_leaves_no_server(tmp_path: Path) -> None:
    owner = await asyncio.create_subprocess_exec(
        *[sys.executable, "-m", "tests.support.server_owner", str(tmp_path)], cwd=ROOT
    )
    try:
        # RabbitMQ with the one who finds its names and the one who starts its children, and Kafka.
        servers = {"epmd", "beam.smp", "erl_child_setup", "java"}
        await until(lambda: owner.returncode is not None or servers <= processes_that_know(tmp_path))
        assert owner.returncode is None
    finally:
        owner.kill()
        await owner.wait()
    await until(lambda: not processes_that_know(tmp_path))


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.01)


async def make_topic(broker: kafka.Broker, name: str) -> None:
    async with kafka.administering(broker) as admin:
        await admin.create_topics([NewTopic(name, 1, 1)])


async def topics_of(broker: kafka.Broker) -> list[str]:
    async with kafka.administering(broker) as admin:
        topics: list[str] = await admin.list_topics()
        return topics


def processes_that_know(folder: Path) -> set[str]:
    """The names of those with the folder among their arguments or in their environment, as all of a server's have."""
    found = set()
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            try:
                known = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
                if os.fsencode(folder) in known:
                    found.add((process / "comm").read_text().strip())
            except OSError:
                pass  # it ended meanwhile, or belongs to others
    return found
