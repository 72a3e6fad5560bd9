"""kill -9 of every part at random times under load: nothing is lost, nothing that was claimed once is doubled."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from dispatcher.rescue import LOST
from tests.support import engine as engines
from tests.support import load
from tests.support.engine import Engine, Project
from tests.support.profiles import Environment

LEASE = 2.0  # seconds: what the fixture gives the engine
RATE = 1000.0  # events a second
SECONDS = 4.0
ROUNDS = 3
AN_ENTITY = 4  # events

RUNS = "SELECT EXISTS (SELECT FROM execution WHERE service_id = $1 AND status = 'in-progress')"

CODE = """
import os, time

starts = os.open({starts!r}, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

def run(item, context):
    os.write(starts, (context.execution_id + "\\n").encode())
    time.sleep(0.04)
"""
TRIGGERS = [
    {"name": mode, "executionMode": mode, "actions": ["Updated"], "filter": {"type": "file"}}
    for mode in ("Once", "Always")
]


@pytest.fixture(scope="module")
def engine(place: Environment, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """Whose guard does not hold what comes so fast."""
    data = tmp_path_factory.mktemp("engine") / "data"
    with engines.running(data, TRIGGER_ENGINE_LEASE="2s", **load.NO_LOOP, **place) as engine:
        yield engine


async def under_fire(engine: Engine, folder: Path, victims: Sequence[str]) -> tuple[Project, Counter[str], list[float]]:
    """A project after events came in while its parts were killed: with how often each execution was started, and the
    times of the kills."""
    starts = folder / "starts"
    project = await engine.project(
        f"chaos-{'-'.join(victims)}",
        CODE.format(starts=str(starts)),
        TRIGGERS,
        runtime={"concurrency": 64},
        onReset="rerun",
        maxAttempts=100,
    )
    events = [event(project, number) for number in range(int(RATE * SECONDS))]
    publishing = asyncio.create_task(load.publish(engine, events, RATE))
    kills = await asyncio.to_thread(kill, project, victims)
    await publishing
    await project.until_carried()
    await project.until_ended(1)
    await asserted(project, events)
    await project.stop()  # the next test knows its agent by being alone
    return project, Counter(starts.read_text().split()), kills


def event(project: Project, number: int) -> dict[str, Any]:
    entity = number // AN_ENTITY
    kind = {"type": "file" if entity % 3 else "dir", "metadata": {"text": "x" * 600}}
    return project.event(str(number), entity_id=f"entity-{entity}", action="Updated", entity=kind)


def kill(project: Project, victims: Sequence[str]) -> list[float]:
    engine, chance = project.engine, random.Random()
    kills: list[float] = []
    rounds = chance.sample(victims, len(victims)) if len(victims) >= ROUNDS else ROUNDS * list(victims)
    for victim in rounds:
        time.sleep(chance.uniform(0.1, SECONDS / len(rounds)))
        if len(kills) < 2:  # the first fall on functions that are known to run, also where the load comes late
            asyncio.run(engine.until(RUNS, project.service_id))
        kills.append(time.time())
        engine.kill(victim)
        engine.pid(victim)  # there is another
    return kills


async def asserted(project: Project, events: Sequence[dict[str, Any]]) -> None:
    """What must hold whoever was killed, by the counts in the database."""
    engine = project.engine
    matching = [one for one in events if one["entity"]["type"] == "file"]
    kept = await engine.value("SELECT count(*) FROM event WHERE project_id = $1", project.id)
    expected_kept = events if engine.keeps_every_event else matching
    assert kept == len(expected_kept), "an event that was answered 2xx is lost, or one is there twice"
    expected = {"Once": len({one["entity"]["id"] for one in matching}), "Always": len(matching)}
    recorded = await engine.sql(
        "SELECT trigger.name, count(*), count(DISTINCT CASE name WHEN 'Once' THEN entity_id ELSE event_id END) AS keys"
        " FROM execution JOIN trigger ON trigger.id = trigger_id WHERE execution.service_id = $1 GROUP BY name",
        project.service_id,
    )
    assert {row["name"]: (row["count"], row["keys"]) for row in recorded} == {
        name: (count, count) for name, count in expected.items()
    }
    statuses = Counter(execution["status"] for execution in await project.executions())
    assert statuses == {"success": sum(expected.values())}
    for what in ("lease", "queue", "pending"):
        left = await engine.value(
            f"SELECT count(*) FROM {what} AS it JOIN execution ON execution.id = it.execution_id"
            " WHERE execution.service_id = $1",
            project.service_id,
        )
        assert left == 0, f"{left} rows are left in {what}"


# Part by part here; in the cluster profile test_cluster_chaos.py kills each of them, and the servers.
async def test_killing_parts_loses_nothing_and_starts_nothing_twice(engine: Engine, tmp_path: Path) -> None:
    await started_once(*await under_fire(engine, tmp_path, ["engine", "dispatcher", "gateway", "postgres"]))


async def started_once(project: Project, starts: Counter[str], kills: Sequence[float]) -> None:
    executions = await project.executions()
    assert {str(execution["id"]) for execution in executions} == starts.keys()
    assert set(starts.values()) == {1}
    assert {execution["attempt"] for execution in executions} == {1}


async def test_a_killed_agent_loses_nothing_and_what_it_ran_is_rescued_within_the_lease(
    engine: Engine, tmp_path: Path
) -> None:
    project, starts, kills = await under_fire(engine, tmp_path, ["agent"])
    executions = await project.executions()
    assert {str(execution["id"]) for execution in executions} == starts.keys()
    again = [execution for execution in executions if execution["attempt"] > 1]
    assert again
    lost = await engine.sql(
        "SELECT execution_id, line.attempt, extract(epoch FROM line.at)::float8 AS at FROM status_log AS line"
        " JOIN execution ON execution.id = execution_id WHERE service_id = $1 AND line.message = $2",
        project.service_id,
        LOST,
    )
    assert {(row["execution_id"], row["attempt"] + 1) for row in lost} >= {(one["id"], one["attempt"]) for one in again}
    late = [row["at"] - max(at for at in kills if at < row["at"]) - LEASE for row in lost]
    assert max(late) < 2, "rescued later than two seconds after the lease ran out"


# It is the agent's own, and there is one agent; `test_killing_anything` has it in both.
@pytest.mark.profiles("embedded")
async def test_a_killed_process_of_the_functions_loses_nothing_and_its_attempts_are_counted(
    engine: Engine, tmp_path: Path
) -> None:
    project, starts, _ = await under_fire(engine, tmp_path, ["child"])
    executions = await project.executions()
    assert {str(execution["id"]) for execution in executions} == starts.keys()
    failed = [message for _, status, message in await project.lines() if status == "failed"]
    assert failed
    assert all("killed by signal 9 (SIGKILL)" in (message or "") for message in failed)
    assert sum(execution["attempt"] - 1 for execution in executions) == len(failed)


async def test_killing_anything_loses_nothing(engine: Engine, tmp_path: Path) -> None:
    await under_fire(engine, tmp_path, ["engine", "dispatcher", "gateway", "agent", "child", "postgres"])
