"""A process that owns a RabbitMQ and a Kafka server until it is killed.

python -m tests.support.server_owner FOLDER
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from tests.support.kafka import KafkaServer
from tests.support.rabbitmq import RabbitMQServer


async def main(folder: Path) -> None:
    rabbitmq, kafka = RabbitMQServer(folder / "rabbitmq"), KafkaServer(folder / "kafka")
    await asyncio.gather(rabbitmq.start(), kafka.start())
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
