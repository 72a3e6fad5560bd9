"""`trigger-engine up`: started, ended in every way, started again; whole and in parts."""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.engine import STOPS_WITHIN, Engine
from tests.support.profiles import Environment

ENDLESS = "import time\ndef run(item):\n    time.sleep(1000)\n"
ECHO = "def run(item):\n    return item['id']\n"
QUICK = {"TRIGGER_ENGINE_LEASE": "2s", "TRIGGER_ENGINE_STOP_GRACE": "500ms"}


@pytest.fixture
def data(tmp_path: Path) -> Iterator[Path]:
    """The folder of a test's own engines; whatever runs on it at the end of the test is ended."""
    data = tmp_path / "data"
    yield data
    Engine(data).end_whatever_is_left()


async def test_ctrl_c_and_sigterm_end_everything_and_the_next_up_goes_on(data: Path, own_place: Environment) -> None:
    engine = Engine(data, **QUICK, **own_place)
    engine.start()
    project = await engine.project("endless", ENDLESS)
    await project.publish(project.event("1"))
    for attempt, by in ((1, signal.SIGINT), (2, signal.SIGTERM)):
        await engine.until("SELECT attempt = $1 AND status = 'in-progress' FROM execution", attempt)
        assert engine.stop(by) < STOPS_WITHIN
        engine.start()
    await engine.until("SELECT attempt = 3 AND status = 'in-progress' FROM execution")
    interrupted = "the agent was stopped before the function ended"
    assert await project.lines() == [
        (1, "in-progress", None),
        (1, "rerun", interrupted),
        (2, "in-progress", None),
        (2, "rerun", interrupted),
        (3, "in-progress", None),
    ]
    engine.stop()


async def test_ctrl_c_while_it_starts_ends_it_and_leaves_nothing(data: Path, own_place: Environment) -> None:
    for begun in ("postgres", "engine"):
        engine = Engine(data, **own_place)
        engine.launch()
        engine.pid(begun)
        engine.stop()


async def test_a_killed_up_leaves_no_process_and_a_new_one_goes_on(data: Path, own_place: Environment) -> None:
    engine = Engine(data, **QUICK, **own_place)
    engine.start()
    project = await engine.project("endless", ENDLESS, onReset="rerun", maxAttempts=3)
    await project.publish(project.event("1"))
    await engine.until("SELECT count(*) = 1 FROM execution WHERE status = 'in-progress'")
    engine.process.kill()
    engine.process.wait()
    engine.until_true(lambda: not engine.left(), "nothing of it is left", within=STOPS_WITHIN)

    engine.start()
    await engine.until("SELECT attempt = 2 AND status = 'in-progress' FROM execution")
    engine.stop()


def test_a_second_up_on_a_folder_is_refused_and_says_who_holds_it(engine: Engine) -> None:
    second = Engine(engine.data)
    second.log = engine.data.with_name("second.log")
    second.launch()
    assert second.wait() == 4
    assert f"{engine.data} is in use: process {engine.process.pid} runs its" in second.words
    assert engine.is_ready()


async def test_the_roles_run_apart(data: Path, own_place: Environment) -> None:
    postgres, engine, dispatcher, gateway, agents = (
        Engine(data, only, **QUICK, **own_place) for only in ("postgres", "engine", "dispatcher", "gateway", "agents")
    )
    postgres.launch()
    postgres.until_true((data / "postgres.json").exists, "PostgreSQL runs")
    for part in (engine, dispatcher, gateway):
        part.launch()
    gateway.until_true(gateway.is_ready, "it is ready")
    agents.launch()
    project = await gateway.project("apart", ECHO)
    await project.publish(project.event("1"))
    (execution,) = await project.until_ended(1)
    assert execution["status"] == "success"
    for part in (agents, gateway, dispatcher, engine, postgres):
        part.process.send_signal(signal.SIGINT)
        assert part.wait() == 0
    assert not postgres.left()


def test_a_role_without_its_database_says_how_to_start_one(data: Path) -> None:
    engine = Engine(data, "engine")
    engine.launch()
    assert engine.wait() == 5
    assert "trigger-engine up --only postgres" in engine.words


def test_a_port_that_is_taken_is_said_in_a_line_and_nothing_stays(data: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        engine = Engine(data, port=port)
        engine.launch()
        assert engine.wait() == 5
        assert (
            engine.words.strip().splitlines()[-1] == f"error: 127.0.0.1:{port} is unavailable: Address already in use"
        )
        assert not engine.left()


async def test_parts_that_are_killed_are_started_again(engine: Engine) -> None:
    project = await engine.project("again", ECHO)
    for number, role in enumerate(("engine", "dispatcher", "gateway", "agent", "guard", "child", "postgres")):
        before = engine.kill(role)
        assert engine.pid(role) != before
        engine.until_true(engine.is_ready, "it is ready again")
        await project.publish(project.event(str(number)))
        assert len(await project.until_ended(number + 1)) == number + 1
    assert {execution["status"] for execution in await project.executions()} == {"success"}


async def test_it_is_not_ready_while_a_part_stands_still(engine: Engine) -> None:
    pid = engine.send("engine", signal.SIGSTOP)

    def is_silent() -> bool:
        parts = {part["name"]: part for part in engine.readiness()["parts"]}
        return "silent" in parts.get(f"engine {socket.gethostname()} {pid}", {"detail": ""})["detail"]

    engine.until_true(is_silent, "it is said to be silent", within=60)
    assert not engine.is_ready()
    engine.send("engine", signal.SIGCONT)
    engine.until_true(engine.is_ready, "it is ready again", within=60)


# It is the same `up` that makes it.
@pytest.mark.profiles("embedded")
def test_a_part_that_does_not_end_is_made_to(data: Path, own_place: Environment) -> None:
    engine = Engine(data, **own_place)
    engine.start()
    engine.send("dispatcher", signal.SIGSTOP)
    began = time.monotonic()
    engine.stop()
    assert time.monotonic() - began < STOPS_WITHIN
