"""What a process loads before it does anything: no more than it needs, as each of its starts waits for that."""

from __future__ import annotations

import subprocess
import sys

import pytest

WEB_SERVER = {"uvicorn", "starlette", "gateway"}
BROKERS = {"aiokafka", "faust", "aio_pika"}
COMMAND_OF_HTTPX = {"rich", "pygments"}


@pytest.mark.parametrize(
    ("loaded", "left_out"),
    [
        ("launcher.roles, trigger_engine.service", WEB_SERVER | BROKERS | {"httpx"}),
        ("launcher.roles, dispatcher.service", WEB_SERVER | BROKERS | {"httpx"}),
        ("launcher.roles, agent.service, agent.functions", WEB_SERVER | BROKERS | COMMAND_OF_HTTPX),
        ("launcher.cluster", WEB_SERVER | {"aiokafka", "faust"} | COMMAND_OF_HTTPX),
        ("launcher.cli.engine", WEB_SERVER | BROKERS | COMMAND_OF_HTTPX | {"asyncpg"}),
    ],
)
def test_a_part_loads_nothing_that_it_does_without(loaded: str, left_out: set[str]) -> None:
    told = subprocess.run(
        [sys.executable, "-c", f"import {loaded}, sys\nprint(*(name for name, it in sys.modules.items() if it))"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert not {name.partition(".")[0] for name in told.stdout.split()} & left_out
