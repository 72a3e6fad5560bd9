"""What every test stands on: a database of its own, and the promise that it leaves nothing running."""

from __future__ import annotations

import asyncio
import inspect
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import hypothesis
import pytest
import pytest_asyncio

from tests.support import kafka, postgres, rabbitmq, servers

# A shell that runs the tests in the background has Ctrl-C ignored, and what they start would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

# How long an example takes says more of the machine than of the code.
hypothesis.settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("any machine")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """The address of a server with the right to create databases."""
    given = os.environ.get("TRIGGER_ENGINE_TEST_DATABASE")
    if given:
        yield given
    else:
        async with postgres.embedded_server(tmp_path_factory.mktemp("postgres")) as address:
            yield address


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def migrated_template(postgres_server: str) -> AsyncIterator[postgres.Template]:
    async with postgres.migrated_template(postgres_server) as template:
        yield template


@pytest_asyncio.fixture
async def database(migrated_template: postgres.Template) -> AsyncIterator[str]:
    """The address of an empty, migrated database that no other test sees."""
    async with postgres.database_of_one_test(migrated_template) as address:
        yield address


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def rabbitmq_server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[rabbitmq.Broker]:
    """A server with the right to create virtual hosts."""
    with skipped_where_missing():
        async with rabbitmq.broker_of_the_run(tmp_path_factory.mktemp("rabbitmq")) as broker:
            yield broker


@pytest_asyncio.fixture
async def vhost(rabbitmq_server: rabbitmq.Broker) -> AsyncIterator[str]:
    """The amqp:// address of a virtual host that no other test sees."""
    async with rabbitmq.vhost_of_one_test(rabbitmq_server) as name:
        yield rabbitmq_server.url(name)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def kafka_server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[kafka.Broker]:
    with skipped_where_missing():
        async with kafka.broker_of_the_run(tmp_path_factory.mktemp("kafka")) as broker:
            yield broker


@pytest_asyncio.fixture
async def topic_prefix(kafka_server: kafka.Broker) -> AsyncIterator[str]:
    """What the names of a test's topics begin with; they go with the test."""
    async with kafka.topics_of_one_test(kafka_server) as prefix:
        yield prefix


@pytest.fixture
async def mortal_rabbitmq(tmp_path: Path) -> AsyncIterator[rabbitmq.RabbitMQServer]:
    """A running server for one test to kill, stop and start again."""
    with skipped_where_missing():
        server = rabbitmq.RabbitMQServer(tmp_path / "rabbitmq", management=False)
    try:
        await server.start()
        yield server
    finally:
        server.end()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def mortal_kafka_of_the_run(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[kafka.KafkaServer]:
    with skipped_where_missing():
        server = kafka.KafkaServer(tmp_path_factory.mktemp("mortal-kafka"))
    try:
        yield server
    finally:
        server.kill()


@pytest.fixture
async def mortal_kafka(mortal_kafka_of_the_run: kafka.KafkaServer) -> kafka.KafkaServer:
    """A running server for one test to kill, stop and start again. The next one finds its topics."""
    if not mortal_kafka_of_the_run.runs:
        await mortal_kafka_of_the_run.start()
    return mortal_kafka_of_the_run


@contextmanager
def skipped_where_missing() -> Iterator[None]:
    """For a person, that is. On CI a server that is missing is a failure."""
    try:
        yield
    except servers.Missing as missing:
        if os.environ.get("CI"):
            pytest.fail(str(missing), pytrace=False)
        pytest.skip(str(missing))


@pytest.fixture(autouse=True)
def no_task_left_behind(request: pytest.FixtureRequest) -> None:
    # First set up, last torn down; a test without a loop need not pay for one.
    if inspect.iscoroutinefunction(getattr(request, "function", None)):
        request.getfixturevalue("no_task_left_in_the_loop")


@pytest_asyncio.fixture
async def no_task_left_in_the_loop() -> AsyncIterator[None]:
    yield
    left = asyncio.all_tasks() - {asyncio.current_task()}
    if left:
        pytest.fail(f"tasks left running: {left}", pytrace=False)
