"""RabbitMQ short of memory takes nothing that is published: agents go on, and nobody is taken for lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest

from agent import service as agent_service
from agent.gateway import Gateway
from backbone.drivers.reports.rabbitmq import RabbitReports
from backbone.drivers.work_queue.rabbitmq import RabbitWorkQueue
from backbone.kit import metrics
from backbone.kit.loops import Health
from backbone.model import ids
from backbone.rabbitmq import answers
from backbone.rabbitmq.connection import Address, Rabbit
from dispatcher import rescue
from dispatcher import service as dispatcher_service
from gateway import agent_tokens
from gateway import service as gateway_service
from gateway.settings import GatewaySettings
from tests.support.rabbitmq import RabbitMQServer
from tests.support.rabbitmq_drivers import RabbitMQ
from tests.support.running import QUICK, Running, kept_at_work, loaded, running

SECRET = "the gateway's own"
LEASE = timedelta(seconds=2)
CODE = """
import pathlib, time

def run(name, until):
    with open("FOLDER/began", "a") as began:
        print(name, file=began)
    while until and not pathlib.Path("FOLDER", until).exists():
        time.sleep(0.01)
"""


@pytest.fixture
async def here(database: str, tmp_path: Path) -> AsyncIterator[Running]:
    async with running(database, tmp_path, CODE.replace("FOLDER", str(tmp_path)), triggers=(), roles=()) as here:
        yield here


@asynccontextmanager
async def gateway(here: Running) -> AsyncIterator[str]:
    """Its address."""
    listens: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    parts, settings = here.parts, GatewaySettings(port=0, token=SECRET)
    body = gateway_service.run(
        parts.database,
        parts.wakeups,
        parts.event_log,
        parts.work_queue,
        Health(),
        settings,
        on_listening=lambda host, port: listens.set_result(f"http://{host}:{port}"),
    )
    async with kept_at_work(body):
        yield await listens


@asynccontextmanager
async def dispatcher(here: Running, url: str) -> AsyncIterator[None]:
    """With a rescuer that never thinks itself deaf: only what agents say keeps it from rescuing."""
    rabbit = Rabbit(Address(url=url), "dispatcher")
    queue, reports = RabbitWorkQueue(rabbit), RabbitReports(rabbit)
    parts, rules = (
        here.parts,
        dispatcher_service.DispatcherSettings(lease=LEASE, retention=timedelta(days=7), retry=QUICK),
    )
    try:
        async with (
            kept_at_work(
                dispatcher_service.run(parts.database, parts.wakeups, queue, reports, Health(), rules),
                rescue.run(parts.database, parts.wakeups, LEASE),
            ),
            kept_at_work(answers.run(parts.database, rabbit)),
        ):
            yield
    finally:
        await queue.close()
        await reports.close()
        await rabbit.close()


@asynccontextmanager
async def agent(here: Running, url: str, at: str, slots: int) -> AsyncIterator[None]:
    async with AsyncExitStack() as stack:
        rabbit = Rabbit(Address(url=url), "agent")
        stack.push_async_callback(rabbit.close)
        token = agent_tokens.of_service(SECRET, here.service.id)
        client = await stack.enter_async_context(Gateway(at, token, here.service.id))
        queue, reports = RabbitWorkQueue(rabbit, elsewhere=client.ask), RabbitReports(rabbit, elsewhere=client.ask)
        stack.push_async_callback(queue.close)
        stack.push_async_callback(reports.close)
        working = asyncio.create_task(
            agent_service.run(
                here.service.id, loaded(here.folder, slots), queue, reports, LEASE, here.stop, lambda: None
            )
        )
        try:
            yield
            assert not working.done()
        finally:
            here.stop.soon.set()
            await asyncio.wait([working])


@asynccontextmanager
async def short_of_memory(server: RabbitMQServer) -> AsyncIterator[None]:
    await server.control("set_vm_memory_high_watermark", "0.00001")
    try:
        yield
    finally:
        await server.control("set_vm_memory_high_watermark", "0.6")


async def made(here: Running, untils: Sequence[str]) -> list[UUID]:
    """Executions that wait to be published; each runs until there is a file of its name."""
    now = datetime.now(UTC)
    made = [ids.manual_execution_id(now + timedelta(milliseconds=number)) for number in range(len(untils))]
    await here.rows(
        "WITH made AS (INSERT INTO execution"
        " (id, project_id, service_id, function_name, status, max_attempts, creator, input)"
        " SELECT id, $2::uuid, $3, 'run', 'created', 3, 'test',"
        " convert_to(json_build_object('name', id, 'until', until)::text, 'UTF8')"
        " FROM unnest($1::uuid[], $4::text[]) AS m (id, until))"
        " INSERT INTO pending (execution_id, attempt, service_id, due)"
        " SELECT id, 1, $3, now() FROM unnest($1::uuid[]) AS id",
        made,
        here.project_id,
        here.service.id,
        untils,
    )
    return made


def began(here: Running) -> list[UUID]:
    file = here.folder / "began"
    return [UUID(line) for line in file.read_text().split()] if file.exists() else []


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.01)


async def test_agents_go_on_while_the_server_is_short_of_memory_and_nothing_runs_twice(
    rabbitmq_to_kill: RabbitMQServer, mortal_on_rabbitmq: RabbitMQ, here: Running
) -> None:
    url, rescued = mortal_on_rabbitmq.url, metrics.executions_rescued._value.get()
    asked_elsewhere = metrics.agent_questions_over_http._value.get()
    executions = await made(here, ["the end", "the alarm", *[""] * 40])
    async with gateway(here) as at, dispatcher(here, url):
        await here.until("SELECT count(*) = 42 FROM pending WHERE published_at IS NOT NULL")
        async with agent(here, url, at, slots=2):
            await until(lambda: len(began(here)) == 2)
            async with short_of_memory(rabbitmq_to_kill):
                (here.folder / "the alarm").touch()
                await until(lambda: len(began(here)) == 42)
                assert metrics.agent_questions_over_http._value.get() > asked_elsewhere
                # Nothing of it could be reported, and two leases' time goes by.
                await here.until(
                    "SELECT max(lease_until) > $1 FROM agent_session", datetime.now(UTC) + 3 * LEASE, timeout=60
                )
                assert len(began(here)) == 42
                assert await here.rows("SELECT count(*) FROM execution WHERE status = 'success'") == [{"count": 0}]
            (here.folder / "the end").touch()
            ended = await here.until_ended(42, timeout=60)
    assert sorted(began(here)) == sorted(executions)
    assert {(row["status"], row["attempt"]) for row in ended} == {("success", 1)}
    assert metrics.executions_rescued._value.get() == rescued
    assert await here.rows("SELECT count(*) FROM lease") == [{"count": 0}]
    assert await here.rows("SELECT count(*) FROM pending") == [{"count": 0}]
