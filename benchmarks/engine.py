"""A real engine for a benchmark: started as a user starts it, in a folder of its own, ended with the block."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import httpx

from benchmarks import processes
from launcher import become

HERE = Path(__file__).parent
PROJECT = "benchmark"
PATIENCE = 60.0
SETTLED = 'trigger_engine_executions_settled_total{status="success"}'

# What PostgreSQL's processes do, for those who look at them from outside.
BACKENDS = """
    SELECT pid, 'postgres: ' || coalesce(nullif(replace(application_name, 'trigger-engine ', ''), ''), backend_type)
    FROM pg_stat_activity
"""


@dataclass(frozen=True, slots=True)
class Engine:
    pid: int
    url: str
    dsn: str
    service_id: str
    http: httpx.AsyncClient
    database: asyncpg.Connection
    beside: Mapping[str, int]
    """Servers that are no processes of the engine, and work for it: their process ids by name."""

    async def processes(self) -> dict[str, processes.Use]:
        backends = {row[0]: row[1] for row in await self.database.fetch(BACKENDS)}
        servers = {name: processes.whole(pid) for name, pid in self.beside.items()}
        return {**processes.below(self.pid, backends), **servers}

    async def settled(self) -> int:
        """Executions that came to success, by the engine's own count."""
        for line in (await self.http.get("/metrics")).text.splitlines():
            if line.startswith(SETTLED):
                return int(float(line.rpartition(" ")[2]))
        return 0

    async def calls(self) -> int:
        """How often the function ran, asked of the process it runs in."""
        answer = await self.http.post(f"/api/v1/executions/{self.service_id}", json={"functionName": "calls"})
        answer.raise_for_status()
        execution_id = answer.json()["id"]

        async def output() -> Any:
            execution = (await self.http.get(f"/api/v1/executions/{execution_id}")).json()
            status = execution["latestStatus"]["status"]
            if status not in ("created", "queued", "in-progress", "success"):
                raise RuntimeError(f"the function's process could not be asked: {execution}")
            return (execution["output"],) if status == "success" else None

        (count,) = await wait_for("the function's process", output)
        return int(count)

    async def quiet(self) -> None:
        """The state each timing starts from: the planner knows the tables, and no checkpoint is due."""
        await self.database.execute("ANALYZE")
        await self.database.execute("CHECKPOINT")


@asynccontextmanager
async def running(
    concurrency: int, environment: Mapping[str, str] | None = None, beside: Mapping[str, int] | None = None
) -> AsyncIterator[Engine]:
    """The environment reaches every process of the engine, PostgreSQL too. TMPDIR says on which disk all is."""
    with tempfile.TemporaryDirectory(prefix="trigger-engine-benchmark-") as name:
        folder = Path(name)
        log = folder / "up.log"
        up = await _spawn("up", "--port", "0", folder=folder, environment=environment or {})
        try:
            await wait_for("the gateway's address", lambda: _is_there(folder / "data" / "gateway.json"), up)
            gateway = json.loads((folder / "data" / "gateway.json").read_text())
            async with httpx.AsyncClient(base_url=gateway["url"], timeout=30, trust_env=False) as http:
                await wait_for("the engine", lambda: _ready(http), up)
                await _deploy(folder, concurrency)
                dsn = json.loads((folder / "data" / "postgres.json").read_text())["dsn"]
                database = await asyncpg.connect(dsn, server_settings={"application_name": "benchmark"})
                try:
                    query = {"resource": "services", "filter": {}}
                    services = (await http.post("/api/v1/query/faas", json=query)).json()["items"]
                    engine = Engine(up.pid, gateway["url"], dsn, services[0]["id"], http, database, beside or {})
                    await engine.calls()
                    yield engine
                finally:
                    await database.close()
        except Exception:
            print(f"{log}:\n{log.read_text()[-4000:]}", file=sys.stderr)
            raise
        finally:
            if up.returncode is None:
                up.send_signal(signal.SIGTERM)
            await up.wait()


async def wait_for(what: str, asked: Callable[[], Awaitable[Any]], up: asyncio.subprocess.Process | None = None) -> Any:
    """The first answer that says something."""
    async with asyncio.timeout(PATIENCE):
        while not (answer := await asked()):
            if up is not None and up.returncode is not None:
                raise RuntimeError(f"the engine ended with {up.returncode} while {what} was waited for")
            await asyncio.sleep(0.05)
    return answer


async def _spawn(*words: str, folder: Path, environment: Mapping[str, str]) -> asyncio.subprocess.Process:
    # Whatever becomes of this process, the engine ends with it.
    until_we_end = [become.__file__, str(os.getpid()), str(signal.SIGTERM.value), str(os.geteuid())]
    command = [sys.executable, "-m", "launcher.cli", *words, "--data", str(folder / "data")]
    with (folder / "up.log").open("ab") as log:
        return await asyncio.create_subprocess_exec(
            *[sys.executable, "-I", "-S", *until_we_end, *command],
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=HERE.parent,
            env={**os.environ, **environment},
            start_new_session=True,  # Ctrl-C is for us, who end it in order
        )


async def _is_there(file: Path) -> bool:
    return await asyncio.to_thread(file.exists)


async def _ready(http: httpx.AsyncClient) -> bool:
    try:
        return (await http.get("/readyz")).status_code == 200
    except httpx.TransportError:
        return False


async def _deploy(folder: Path, concurrency: int) -> None:
    code = folder / "service"
    shutil.copytree(HERE / "service", code, ignore=shutil.ignore_patterns("__pycache__"))
    service = {"name": "benchmark", "runtime": {"concurrency": concurrency}, "maxAttempts": 1}
    (code / "service.json").write_text(json.dumps(service))
    deploy = await _spawn("deploy", str(code), "--project", PROJECT, folder=folder, environment={})
    if await deploy.wait() != 0:
        raise RuntimeError("the benchmark's service could not be deployed")
