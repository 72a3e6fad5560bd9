"""The whole engine as its processes: `trigger-engine up` on a folder of the test's, driven over HTTP, judged by SQL."""

from __future__ import annotations

import asyncio
import io
import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import httpx

from launcher import become
from tests.support import engine_processes, profiles

ROOT = Path(__file__).parents[2]
API = "/api/v1"
PATIENCE = 60.0
STOPS_WITHIN = 10.0
"""What is promised of Ctrl-C."""

OUTAGE = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)


class Engine:
    """One `up` (with `only`, of one role). Started by `running` or `start`, ended by `stop` or a signal."""

    def __init__(self, data: Path, only: str | None = None, port: int = 0, **environment: str) -> None:
        self.data = data
        self.log = data.with_name(f"{data.name}-{only or 'up'}.log")
        self._words = ["--data", str(data), "--port", str(port), *(["--only", only] if only else [])]
        self.environment = environment
        self.database = data / "postgres.json"  #: says where it is; another's, where the environment names one
        self._process: subprocess.Popen[bytes] | None = None

    # As a person drives it

    def launch(self) -> None:
        """Start it; it is not ready yet."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("TRIGGER_ENGINE_")}
        # It dies with us, also when the test run is killed; its own parts die with it.
        dies_with_us = [become.__file__, str(os.getpid()), str(signal.SIGKILL.value), str(os.geteuid())]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", *dies_with_us, sys.executable, "-m", "launcher.cli", "up", *self._words],
                cwd=ROOT,
                env={**inherited, engine_processes.MARK: str(self.data), **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def start(self) -> None:
        """Start it and wait until it is ready for events."""
        self.launch()
        self.until_true(self.is_ready, "it is ready")

    def stop(self, by: signal.Signals = signal.SIGINT) -> float:
        """As a person ends it. Asserts that it ends well, in time, and leaves nothing; returns how long it took."""
        began = time.monotonic()
        self.process.send_signal(by)
        code = self.wait()
        took = time.monotonic() - began
        assert code == 0, f"it ended with {code}: {self.words}"
        assert not self.left(), f"it left {self.left()}: {self.words}"
        return took

    def wait(self) -> int:
        return self.process.wait(STOPS_WITHIN)

    # As the operating system sees it

    @property
    def process(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, "it was not started"
        return self._process

    @property
    def words(self) -> str:
        """What it said last."""
        return self.log.read_text()[-3000:]

    @property
    def pids(self) -> dict[str, list[int]]:
        return engine_processes.by_role(self.data)

    def pid(self, role: str) -> int:
        """The one process of this role; waits for it."""
        seen: list[int] = []

        def is_one() -> bool:
            seen[:] = self.pids[role]
            return len(seen) == 1

        self.until_true(is_one, f"there is one {role}")
        return seen[0]

    def send(self, role: str, number: signal.Signals) -> int:
        """Returns who got it."""
        pid = self.pid(role)
        engine_processes.send(pid, number)
        return pid

    def kill(self, role: str) -> int:
        """kill -9; returns once nothing of that process is left to run."""
        pid = self.send(role, signal.SIGKILL)
        self.until_true(lambda: pid not in self.left(), f"{role} {pid} is dead")
        return pid

    def left(self) -> dict[int, str]:
        return engine_processes.left(self.data)

    def end_whatever_is_left(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        engine_processes.kill_all(self.data)

    def until_true(self, condition: Callable[[], bool], what: str, within: float = PATIENCE) -> None:
        deadline = time.monotonic() + within
        while not condition():
            assert time.monotonic() < deadline, f"waited {within:g} s in vain until {what}: {self.words}"
            if self._process is not None and self._process.poll() not in (None, 0, -9):
                raise AssertionError(f"it ended with {self._process.returncode}: {self.words}")
            time.sleep(0.02)

    # As its users see it

    @property
    def keeps_every_event(self) -> bool:
        """In PostgreSQL. Where they come from Kafka, it keeps those that matched, if it was not told otherwise."""
        return not self.reads_kafka or self.environment.get("TRIGGER_ENGINE_KEEP_EVENTS") == "all"

    @property
    def reads_kafka(self) -> bool:
        return "TRIGGER_ENGINE_KAFKA" in self.environment

    @property
    def url(self) -> str:
        url: str = json.loads((self.data / "gateway.json").read_text())["url"]
        return url

    def is_ready(self) -> bool:
        return self.readiness()["ready"] is True

    def readiness(self) -> dict[str, Any]:
        """What /readyz answers; not ready while nobody does."""
        try:
            answer: dict[str, Any] = httpx.get(self.url + "/readyz", trust_env=False, verify=False, timeout=5).json()
        except (OSError, httpx.TransportError) as error:
            return {"ready": False, "parts": [], "error": repr(error)}
        return answer

    async def ask(self, method: str, path: str, document: object = None, *, expected: int = 200, **given: Any) -> Any:
        async with self.client() as client:
            response = await client.request(method, API + path, json=document, **given)
        assert response.status_code == expected, f"{method} {path} answered {response.status_code}: {response.text}"
        return response.json()

    def client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=self.url, trust_env=False, verify=False, timeout=PATIENCE)

    async def project(
        self,
        name: str,
        code: str,
        triggers: Sequence[Mapping[str, Any]] = ({},),
        *,
        functions: Sequence[str] = ("run",),
        **service: Any,
    ) -> Project:
        """A project of its own with one service, whose agents are there, and its triggers: see `Project.trigger`."""
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w") as archive:
            archive.writestr("main.py", code)
        async with self.client() as client:
            codebase = (await client.post(API + "/codebases", content=content.getvalue())).json()["id"]
        package = await self.ask(
            "POST",
            "/packages",
            {
                "name": name,
                "project": name,
                "codebase": {"type": "item", "itemId": codebase},
                "modules": [{"name": "main", "className": None, "functions": [{"name": each} for each in functions]}],
            },
        )
        made = await self.ask("POST", "/services", {"name": name, "packageId": package["id"], **service})
        project = Project(self, name, made["projectId"], made["id"])
        await project.until_agents()
        for trigger in triggers:
            await project.trigger(**trigger)
        return project

    async def sql(self, statement: str, *arguments: Any) -> list[dict[str, Any]]:
        async with self.connection() as connection:
            return [dict(row) for row in await connection.fetch(statement, *arguments)]

    async def value(self, statement: str, *arguments: Any) -> Any:
        """The first column of the first row; None where there is no row."""
        async with self.connection() as connection:
            return await connection.fetchval(statement, *arguments)

    @property
    def dsn(self) -> str:
        dsn: str = json.loads(self.database.read_text())["dsn"]
        return dsn

    def connection(self) -> _Connection:
        return _Connection(self.dsn)

    async def until(self, statement: str, *arguments: Any, within: float = PATIENCE) -> None:
        """Until the statement gives true. The database may be down meanwhile: it is where every part writes."""
        deadline = time.monotonic() + within
        while True:
            try:
                if await self.value(statement, *arguments):
                    return
            except OUTAGE:
                pass
            assert time.monotonic() < deadline, f"waited {within:g} s in vain for {statement} {arguments}: {self.words}"
            await asyncio.sleep(0.02)

    async def until_carried(self) -> None:
        """Everything that was accepted so far went through the engine."""
        if self.reads_kafka:
            async with asyncio.timeout(PATIENCE):
                while await profiles.lag(self.environment):
                    await asyncio.sleep(0.1)
            return
        await self.until(
            "SELECT NOT EXISTS (SELECT FROM event, reader WHERE (event.xid, event.seq) > (reader.xid, reader.seq))"
        )


class _Connection:
    """A connection for a block."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn

    async def __aenter__(self) -> asyncpg.Connection:
        self._connection = await asyncpg.connect(self._dsn)
        return self._connection

    async def __aexit__(self, *error: object) -> None:
        self._connection.terminate()


@dataclass(frozen=True)
class Project:
    engine: Engine
    name: str
    id: str
    service_id: str

    async def trigger(self, **spec: Any) -> str:
        """Once, on new items, without a filter, unless told otherwise."""
        document = {
            "name": spec.pop("name", "a trigger"),
            "project": self.name,
            "spec": {
                "resource": "Item",
                "actions": ["Created"],
                "operation": {"type": "function", "serviceId": self.service_id, "functionName": "run"},
                **spec,
            },
        }
        trigger_id: str = (await self.engine.ask("POST", "/triggers", document))["id"]
        return trigger_id

    def event(self, id: str, *, entity_id: str = "", action: str = "Created", **given: Any) -> dict[str, Any]:
        entity = {"id": entity_id or f"entity-{id}", **given.pop("entity", {})}
        return {"id": id, "resource": "Item", "action": action, "project": self.name, "entity": entity, **given}

    async def publish(self, *events: dict[str, Any]) -> None:
        """Returns when they were answered 2xx."""
        await self.engine.ask("POST", "/events", list(events), expected=202)

    async def executions(self) -> list[dict[str, Any]]:
        return await self.engine.sql(
            "SELECT *, status::text AS status FROM execution WHERE service_id = $1 ORDER BY id", self.service_id
        )

    async def until_ended(self, count: int, within: float = PATIENCE) -> list[dict[str, Any]]:
        """Until so many executions have ended, and no other one is there."""
        await self.engine.until(
            "SELECT count(*) FILTER (WHERE status >= 'success') >= $2 AND count(*) = count(*) FILTER"
            " (WHERE status >= 'success') FROM execution WHERE service_id = $1",
            self.service_id,
            count,
            within=within,
        )
        return await self.executions()

    async def until_carried(self) -> None:
        await self.engine.until_carried()

    async def until_agents(self) -> None:
        await self.engine.until(
            "SELECT EXISTS (SELECT FROM agent_session WHERE service_id = $1 AND lease_until > now())", self.service_id
        )

    async def stop(self) -> None:
        """No more agents: they finish what they hold and go."""
        await self.engine.ask("POST", f"/services/{self.service_id}/stop")
        self.engine.until_true(lambda: self.engine.pids["agent"] == [], "its agents are gone")

    async def lines(self) -> list[tuple[int, str, str | None]]:
        """Attempt, status and message of every line of the status log."""
        rows = await self.engine.sql(
            "SELECT line.attempt, line.status, line.message FROM status_log AS line"
            " JOIN execution ON execution.id = line.execution_id WHERE service_id = $1"
            " ORDER BY execution.id, line.attempt, line.number",
            self.service_id,
        )
        return [(row["attempt"], row["status"], row["message"]) for row in rows]


@contextmanager
def running(data: Path, **environment: str) -> Iterator[Engine]:
    """A whole engine, ready; ended as a person ends it when the test went well, and in any case ended."""
    engine = Engine(data, **environment)
    try:
        engine.start()
        yield engine
        if engine.process.poll() is None:
            engine.stop()
    finally:
        engine.end_whatever_is_left()
