"""The two profiles an engine is started in: what its environment says, and what a test asks behind its back.

An engine of the cluster profile has a topic, a group and a virtual host of its own on servers that others share.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

from tests.support import kafka, rabbitmq

PARTITIONS = 4

Environment = Mapping[str, str]


class Profile(Protocol):
    @property
    def name(self) -> str: ...

    def place(self) -> AbstractAsyncContextManager[Environment]:
        """For one engine: what its environment says beside what the test has to say."""


@dataclass(frozen=True, slots=True)
class Embedded:
    name: str = "embedded"

    @asynccontextmanager
    async def place(self) -> AsyncIterator[Environment]:
        yield {}


@dataclass(frozen=True, slots=True)
class Cluster:
    kafka: kafka.Broker
    rabbitmq: rabbitmq.Broker
    name: str = "cluster"

    @asynccontextmanager
    async def place(self) -> AsyncIterator[Environment]:
        async with kafka.topics_of_one_test(self.kafka) as prefix, rabbitmq.vhost_of_one_test(self.rabbitmq) as vhost:
            yield environment(self.kafka.address, prefix, self.rabbitmq.url(vhost))


def environment(kafka_address: str, prefix: str, rabbitmq_url: str) -> Environment:
    """`prefix`: of the topic, the group, and the name that the one engine process goes by: begun again after kill -9 it
    gets its partitions back at once, where another would wait until the first is missed."""
    return {
        "TRIGGER_ENGINE_KAFKA": kafka_address,
        "TRIGGER_ENGINE_KAFKA_TOPIC": f"{prefix}events",
        "TRIGGER_ENGINE_KAFKA_GROUP": f"{prefix}engines",
        "TRIGGER_ENGINE_KAFKA_INSTANCE_ID": f"{prefix}engine",
        "TRIGGER_ENGINE_KAFKA_PARTITIONS": str(PARTITIONS),
        "TRIGGER_ENGINE_RABBITMQ": rabbitmq_url,
    }


async def lag(given: Environment) -> int:
    """Records of an engine's topic that its group has not committed yet."""
    from aiokafka import AIOKafkaConsumer, TopicPartition  # tests of the embedded profile do not wait for it

    topic = given["TRIGGER_ENGINE_KAFKA_TOPIC"]
    consumer = AIOKafkaConsumer(
        bootstrap_servers=given["TRIGGER_ENGINE_KAFKA"],
        group_id=given["TRIGGER_ENGINE_KAFKA_GROUP"],
        enable_auto_commit=False,
    )
    await consumer.start()
    try:
        partitions = [TopicPartition(topic, number) for number in range(PARTITIONS)]
        consumer.assign(partitions)
        behind = 0
        for partition, end in (await consumer.end_offsets(partitions)).items():
            behind += end - (await consumer.committed(partition) or 0)
        return behind
    finally:
        await consumer.stop()
