"""`trigger-engine check` where there is little to look at: servers that say nothing, and folders without an engine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from launcher.checking import every
from launcher.data_folder import DataFolder
from launcher.settings import Settings
from tests.support.command_line import typed


@pytest.fixture
async def mute() -> AsyncIterator[int]:
    """The port of a server that takes connections and says nothing."""
    asked: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(lambda _, writer: asked.append(writer), "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()
    for writer in asked:
        writer.close()
    await asyncio.gather(*(writer.wait_closed() for writer in asked), return_exceptions=True)
    await server.wait_closed()


async def test_a_server_that_says_nothing_is_left_after_a_while(mute: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(every, "WITHIN", 0.5)
    at = f"127.0.0.1:{mute}"
    settings = Settings(
        database=f"postgresql://u@{at}/d", kafka=at, rabbitmq=f"amqp://u:p@{at}", url=f"http://{at}", token="t"
    )
    async with asyncio.timeout(30):
        found = await every.every_server(settings, Path("/nowhere"))
    assert [(one.server, one.reached) for one in found] == [
        ("PostgreSQL", False), ("Kafka", False), ("RabbitMQ", False), ("gateway", False),
    ]  # fmt: skip
    assert {problem.wrong for one in found for problem in one.problems} == {"it did not answer within 0.5 s"}


def test_a_folder_without_an_engine_says_how_to_start_one(tmp_path: Path) -> None:
    done = typed("check", "--data", tmp_path)
    assert done.returncode == 5
    assert [line.split("  ")[:2] for line in done.stdout.splitlines() if line[0] != " "] == [
        ["PostgreSQL", "not reached"],
        ["gateway", "not reached"],
    ]
    assert f"none runs for {tmp_path}; start one with: trigger-engine up" in done.stdout


async def test_the_folder_of_an_engine_that_was_killed_is_told(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path)
    folder.write("postgres.json", {"dsn": f"postgresql://postgres@/postgres?host={tmp_path}&port=5432"})
    folder.write("gateway.json", {"url": "http://127.0.0.1:9", "token": "hidden"})
    found = await every.every_server(Settings(), tmp_path)
    assert [problem.wrong.partition(":")[0] for one in found for problem in one.problems] == [
        "a file is not there",
        "nothing listens there",
    ]
    assert "hidden" not in repr(found)


async def test_settings_that_cannot_be_are_told_with_their_server() -> None:
    settings = Settings(kafka="h:1", kafka_security="sasl_ssl", rabbitmq="amqp://h", rabbitmq_ca="/x")
    kafka, rabbitmq = await every.every_server(settings, Path("/nowhere"))
    assert kafka.problems[0].wrong.startswith("TRIGGER_ENGINE_KAFKA_USER: is not set")
    assert rabbitmq.problems[0].wrong.startswith("TRIGGER_ENGINE_RABBITMQ_CA: is set, and would not be used")
