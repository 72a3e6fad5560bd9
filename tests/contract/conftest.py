"""The servers that the suites of the ports run over."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.conftest import skipped_where_missing
from tests.support import rabbitmq
from tests.support.rabbitmq import RabbitMQServer, vhost_of_one_test
from tests.support.rabbitmq_drivers import RabbitMQ


@pytest.fixture
def on_rabbitmq(vhost: str, database: str) -> RabbitMQ:
    return RabbitMQ(vhost, database)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def rabbitmq_to_kill(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RabbitMQServer]:
    """One server for all that kill it: each starts it again."""
    with skipped_where_missing():
        server = rabbitmq.RabbitMQServer(tmp_path_factory.mktemp("rabbitmq-to-kill"))
    try:
        await server.start()
        yield server
    finally:
        server.end()


@pytest_asyncio.fixture
async def mortal_on_rabbitmq(rabbitmq_to_kill: RabbitMQServer, database: str) -> AsyncIterator[RabbitMQ]:
    async with vhost_of_one_test(rabbitmq_to_kill.broker) as vhost:
        yield RabbitMQ(rabbitmq_to_kill.broker.url(vhost), database, rabbitmq_to_kill)
