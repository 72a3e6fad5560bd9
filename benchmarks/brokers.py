"""A real Kafka and a real RabbitMQ for a benchmark: started here and ended with the block, or given by address.

TRIGGER_ENGINE_TEST_KAFKA and TRIGGER_ENGINE_TEST_RABBITMQ name servers that are there already, as for the tests; what
is made on them (topics of one prefix, a virtual host) goes with the block, and what they use is not seen.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.support import kafka, rabbitmq
from tests.support.kafka import KafkaServer
from tests.support.rabbitmq import RabbitMQServer


@dataclass(frozen=True, slots=True)
class Brokers:
    kafka: str
    topics: str
    """What the names of our topics begin with."""

    rabbitmq: str
    pids: Mapping[str, int] = field(default_factory=dict)
    """Of those that were started here, by name."""

    @property
    def topic(self) -> str:
        return f"{self.topics}events"

    def environment(self) -> dict[str, str]:
        """For every process of the engine: the cluster profile."""
        return {
            "TRIGGER_ENGINE_KAFKA": self.kafka,
            "TRIGGER_ENGINE_KAFKA_TOPIC": self.topic,
            "TRIGGER_ENGINE_RABBITMQ": self.rabbitmq,
        }


@asynccontextmanager
async def running() -> AsyncIterator[Brokers]:
    """TMPDIR says on which disk they are."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="trigger-engine-brokers-")))
        pids: dict[str, int] = {}
        kafka_there = await _kafka(stack, folder / "kafka", pids)
        topics = await stack.enter_async_context(kafka.topics_of_one_test(kafka_there))
        rabbitmq_there, vhost = await _rabbitmq(stack, folder / "rabbitmq", pids)
        yield Brokers(kafka_there.address, topics, rabbitmq_there.url(vhost), pids)


async def _kafka(stack: AsyncExitStack, folder: Path, pids: dict[str, int]) -> kafka.Broker:
    if address := os.environ.get(kafka.VARIABLE):
        return kafka.Broker(address)
    server = KafkaServer(folder)
    stack.callback(server.kill)
    await server.start()
    pids["kafka"] = server.pid
    return server.broker


async def _rabbitmq(stack: AsyncExitStack, folder: Path, pids: dict[str, int]) -> tuple[rabbitmq.Broker, str]:
    """A virtual host is made with the management plugin, which takes processor time; a server of ours needs neither."""
    if address := os.environ.get(rabbitmq.VARIABLE):
        there = rabbitmq.given(address)
        return there, await stack.enter_async_context(rabbitmq.vhost_of_one_test(there))
    # Tests have it write to its disk without waiting for it; here it is measured as it comes.
    server = RabbitMQServer(folder, management=False, advanced="[].")
    stack.callback(server.end)
    await server.start()
    pids["rabbitmq"] = server.pid
    return server.broker, "/"
