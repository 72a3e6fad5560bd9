"""The Faust host as a process: it hosts the engine, and carries other systems' topics into the event log."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import httpx

from tests.support import kafka, servers

ROOT = Path(__file__).parents[2]
EXAMPLE = (ROOT / "examples" / "connectors" / "connectors.toml").read_text(encoding="utf-8")
PATIENCE = 60


@dataclass(frozen=True)
class Host:
    process: Process
    port: int

    async def page(self, path: str) -> httpx.Response | None:
        try:
            async with httpx.AsyncClient() as client:
                return await client.get(f"http://127.0.0.1:{self.port}{path}")
        except httpx.TransportError:
            return None

    async def until_health(self, status: int, detail: str = "") -> None:
        async def is_so() -> bool:
            assert self.process.returncode is None
            page = await self.page("/readyz")
            return page is not None and page.status_code == status and detail in page.json()["detail"]

        await until(is_so)

    async def told(self) -> list[str]:
        """What it says until its end."""
        assert self.process.stdout is not None
        async with asyncio.timeout(PATIENCE):
            return (await self.process.stdout.read()).decode().splitlines()

    async def logged(self) -> list[str]:
        assert self.process.stderr is not None
        async with asyncio.timeout(PATIENCE):
            return (await self.process.stderr.read()).decode().splitlines()

    async def end(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(PATIENCE):
            return await self.process.wait()


@asynccontextmanager
async def host(engine: str = "waits", **settings: str) -> AsyncIterator[Host]:
    port = servers.free_port()
    given = {"STATUS_PORT": str(port)} | {name.upper(): value for name, value in settings.items()}
    environment = os.environ | {f"TRIGGER_ENGINE_{name}": value for name, value in given.items()}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.support.connector_host", engine,
        cwd=ROOT, env=environment, stdin=DEVNULL, stdout=PIPE, stderr=PIPE,
    )  # fmt: skip
    try:
        yield Host(process, port)
    finally:
        if process.returncode is None:
            process.kill()
        _, logged = await process.communicate()
        print(logged.decode(), file=sys.stderr)  # pytest shows it of a test that fails


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not await condition():
            await asyncio.sleep(0.02)


@asynccontextmanager
async def foreign_topics(broker: kafka.Broker, prefix: str, folder: Path) -> AsyncIterator[tuple[Any, str]]:
    """A producer, and the file of the example's connectors for topics that have the prefix."""
    from aiokafka import AIOKafkaProducer
    from aiokafka.admin import NewTopic

    async with kafka.administering(broker) as admin:
        names = [prefix + name for name in ("cameras", "shop.public.pictures", "labels")]
        await admin.create_topics([NewTopic(name, 3, 1) for name in names])
    file = folder / "connectors.toml"
    file.write_text(EXAMPLE.replace('topic = "', f'topic = "{prefix}'))
    producer = AIOKafkaProducer(bootstrap_servers=broker.address, acks="all")
    await producer.start()
    try:
        yield producer, str(file)
    finally:
        await producer.stop()


async def rows(dsn: str, statement: str) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetch(statement)
    finally:
        await connection.close()


async def until_entities(dsn: str, count: int) -> None:
    async def all_there() -> bool:
        [row] = await rows(dsn, "SELECT count(DISTINCT entity_id) AS entities FROM event")
        return bool(row["entities"] >= count)

    await until(all_there)


def label(number: int) -> bytes:
    return json.dumps({"kind": "added", "doc": {"_id": f"label-{number}"}}).encode()


async def test_records_of_each_shape_become_events_and_what_cannot_be_read_blocks_nothing(
    database: str, kafka_server: kafka.Broker, topic_prefix: str, tmp_path: Path
) -> None:
    async with foreign_topics(kafka_server, topic_prefix, tmp_path) as (producer, file):
        settings = {"kafka": kafka_server.address, "kafka_group": topic_prefix, "connectors": file}
        async with host(database=database, **settings) as here:
            await producer.send_and_wait(f"{topic_prefix}labels", b"nonsense", partition=1)
            await producer.send_and_wait(f"{topic_prefix}labels", label(1), partition=1)
            await producer.send_and_wait(f"{topic_prefix}labels", None, key=b"1", partition=1)
            attributes = {"specversion": "1.0", "id": "c1", "source": "/x", "type": "x.Item.Created", "subject": "cam"}
            headers = [(f"ce_{name}", value.encode()) for name, value in attributes.items()]
            await producer.send_and_wait(f"{topic_prefix}cameras", b'{"name": "north"}', headers=headers)
            change = {"op": "u", "before": {"id": 17}, "after": {"id": 17, "name": "x"}, "ts_ms": 1_714_557_600_000}
            for document in (change, {"schema": {}, "payload": change | {"op": "d"}}):
                topic = f"{topic_prefix}shop.public.pictures"
                await producer.send_and_wait(topic, json.dumps(document).encode(), key=b'{"id": 17}', partition=0)
            await until_entities(database, 3)
            await here.until_health(200)
            page = await here.page("/metrics")
            assert page is not None
            assert "trigger_engine_connector_records_total" in page.text
            assert await here.end() == 0
            assert await here.told() == ["engine begins", "engine ends", "ended in order"]
    found = await rows(
        database,
        "SELECT event.id, resource, action, entity_id, name FROM event JOIN project ON project.id = project_id",
    )
    assert {tuple(row) for row in found} == {
        (f"{topic_prefix}labels/1/1", "Annotation", "Created", "label-1", "demo"),
        ("c1", "Item", "Created", "cam", "demo"),
        (f"{topic_prefix}shop.public.pictures/0/0", "Item", "Updated", "17", "demo"),
        (f"{topic_prefix}shop.public.pictures/0/1", "Item", "Deleted", "17", "demo"),
    }
    [letter] = await rows(database, "SELECT source, position, reason, body FROM dead_letter")
    assert (letter["source"], letter["position"]) == ("connector", f"{topic_prefix}labels/1/0")
    assert (letter["body"], letter["reason"]) == (b"nonsense", "expected an object, got nonsense")


async def test_nothing_is_lost_or_doubled_when_hosts_and_the_broker_are_killed(
    database: str, mortal_kafka: kafka.KafkaServer, tmp_path: Path
) -> None:
    async with foreign_topics(mortal_kafka.broker, "", tmp_path) as (producer, file):
        settings = {"database": database, "kafka": mortal_kafka.broker.address, "connectors": file}
        async with host(**settings):
            for number in range(2_000):
                await producer.send("labels", label(number))
            await producer.flush()
            await until_entities(database, 1)
        # That one was killed, most likely amid a batch.
        async with host(**settings) as second:
            await until_entities(database, 2_000)
            await second.until_health(200)
            mortal_kafka.kill()
            await second.until_health(503, "kafka of the connectors")
            await mortal_kafka.start()
            await second.until_health(200)
            await producer.send_and_wait("labels", label(2_000))
            await until_entities(database, 2_001)
            mortal_kafka.kill()
            await second.until_health(503, "kafka of the connectors")
            assert await second.end() == 0
            logged = await second.logged()
            assert any("waits for Kafka" in line for line in logged)
            assert len(logged) <= 20
    [row] = await rows(database, "SELECT count(*) AS events, count(DISTINCT entity_id) AS entities FROM event")
    assert tuple(row) == (2_001, 2_001)
    assert await rows(database, "SELECT * FROM dead_letter") == []


async def test_a_host_waits_for_a_broker_that_is_not_there_yet_and_ends_when_told(
    database: str, tmp_path: Path
) -> None:
    file = tmp_path / "connectors.toml"
    file.write_text(EXAMPLE)
    settings = {"kafka": f"127.0.0.1:{servers.free_port()}", "connectors": str(file)}
    async with host(database=database, **settings) as here:
        await here.until_health(503, "kafka of the connectors")
        assert await here.end() == 0
        assert await here.told() == ["engine begins", "engine ends", "ended in order"]


async def test_without_connectors_a_host_needs_no_broker_and_an_engine_that_raises_ends_it(database: str) -> None:
    async with host(database=database) as here:
        await here.until_health(200)
        assert await here.end() == 0
        assert await here.told() == ["engine begins", "engine ends", "ended in order"]
    async with host("fails", database=database) as here:
        assert await here.told() == []
        assert await here.process.wait() == 1
