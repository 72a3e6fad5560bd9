"""An engine inside a test's own loop: every role but the gateway, on the test's database, with a real child process."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson

from agent import service as agent_service
from agent.functions import Loaded
from agent.process import ModuleSpec
from agent.run import Rules
from backbone.kit.loops import Health
from backbone.model import ids
from backbone.model.definitions import Module, Runtime, Service
from backbone.model.events import Event
from backbone.model.resources import ExecutionMode
from backbone.model.triggers import Trigger
from backbone.store import definitions
from dispatcher import service as dispatcher_service
from dispatcher.retry import RetryPolicy
from launcher import embedded
from launcher.settings import Settings
from trigger_engine import guard
from trigger_engine import service as engine_service

log = logging.getLogger(__name__)

LEASE = timedelta(seconds=2)
QUICK = RetryPolicy(first=timedelta(milliseconds=20), longest=timedelta(milliseconds=50))


@asynccontextmanager
async def kept_at_work(*bodies: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Loops that work for as long as the block lasts, all of them."""
    tasks = [asyncio.create_task(body) for body in bodies]
    try:
        yield
        assert not any(task.done() for task in tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


@dataclass
class Running:
    """A project with one service, whose module is `main.py` in `folder`."""

    parts: embedded.Parts
    project_id: str
    service: Service
    folder: Path
    concurrency: int
    stop: agent_service.Stop
    tasks: dict[str, asyncio.Task[None]] = field(default_factory=dict)

    def start(self, role: str) -> None:
        self.tasks[role] = asyncio.ensure_future(_body(self, role))

    async def end(self, role: str) -> None:
        """In order, as SIGTERM does; what a kill does is the acceptance tests' business."""
        task = self.tasks.pop(role)
        if role == "agent":
            self.stop.soon.set()
        else:
            task.cancel()
        await asyncio.wait([task], timeout=10)

    async def trigger(
        self,
        *,
        resource: str = "Item",
        actions: Sequence[str] = ("Created",),
        filter: Any = None,
        mode: ExecutionMode = ExecutionMode.ONCE,
        function_name: str = "run",
        name: str = "a trigger",
        org_wide: bool = False,
    ) -> str:
        now = datetime.now(UTC)
        made = await definitions.make_trigger(
            self.parts.database.pool,
            Trigger(
                id=ids.definition_id(),
                name=name,
                project_id=None if org_wide else self.project_id,
                service_id=self.service.id,
                function_name=function_name,
                resource=resource,
                actions=tuple(actions),
                filter=filter or {},
                mode=mode,
                input={},
                active=True,
                version=1,
                created_at=now,
                updated_at=now,
                creator="test",
            ),
        )
        return made.id

    def event(self, id: str, *, entity_id: str | None = None, action: str = "Created", **entity: Any) -> Event:
        entity_id = entity_id or f"entity-{id}"
        return Event(
            id=id,
            project_id=self.project_id,
            resource="Item",
            action=action,
            entity_id=entity_id,
            entity=orjson.dumps({"id": entity_id, **entity}),
            time=datetime.now(UTC),
        )

    async def publish(self, *events: Event) -> None:
        await self.parts.event_log.append(events)

    async def rows(self, statement: str, *arguments: Any) -> list[dict[str, Any]]:
        return [dict(row) for row in await self.parts.database.pool.fetch(statement, *arguments)]

    async def until(self, statement: str, *arguments: Any, timeout: float = 20) -> None:
        """Wait until the statement gives true. The database is asked: it is where every part writes what it did."""
        async with asyncio.timeout(timeout):
            while not await self.parts.database.pool.fetchval(statement, *arguments):
                await asyncio.sleep(0.005)

    async def until_ended(self, count: int, timeout: float = 20) -> list[dict[str, Any]]:
        await self.until("SELECT count(*) >= $1 FROM execution WHERE status >= 'success'", count, timeout=timeout)
        return await self.rows("SELECT * FROM execution ORDER BY id")


@asynccontextmanager
async def running(
    dsn: str,
    folder: Path,
    code: str,
    *,
    triggers: Sequence[Mapping[str, Any]] = ({},),
    concurrency: int = 4,
    max_attempts: int = 1,
    roles: Sequence[str] = ("engine", "dispatcher", "agent"),
) -> AsyncIterator[Running]:
    """The triggers are there before the engine starts, so that no event of the test comes before them."""
    (folder / "main.py").write_text(code)
    async with embedded.parts(Settings(database=dsn), "test", Health()) as parts:
        here = await _define(parts, folder, concurrency, max_attempts)
        for trigger in triggers:
            await here.trigger(**trigger)
        for role in roles:
            here.start(role)
        try:
            yield here
        finally:
            for role in ("agent", "engine", "dispatcher"):
                if role in here.tasks:
                    await here.end(role)


async def _body(here: Running, role: str) -> None:
    parts = here.parts
    if role == "engine":
        await engine_service.run(
            parts.database, parts.wakeups, parts.event_log, parts.work_queue, Health(), guard.Limits()
        )
    elif role == "dispatcher":
        rules = dispatcher_service.DispatcherSettings(lease=LEASE, retention=timedelta(days=7), retry=QUICK)
        await dispatcher_service.run(parts.database, parts.wakeups, parts.work_queue, parts.reports, Health(), rules)
    else:
        here.stop.soon.clear()
        await agent_service.run(
            here.service.id,
            loaded(here.folder, here.concurrency),
            parts.work_queue,
            parts.reports,
            LEASE,
            here.stop,
            lambda: log.info("agent ready"),
        )


def loaded(folder: Path, concurrency: int) -> Loaded:
    return Loaded(
        name="service",
        concurrency=concurrency,
        rules=Rules(execution_timeout=timedelta(seconds=60), drain_time=timedelta(seconds=5), on_reset="failed"),
        module=ModuleSpec(folder=folder, class_name=None, concurrency=concurrency, environment={}),
    )


async def _define(parts: embedded.Parts, folder: Path, concurrency: int, max_attempts: int) -> Running:
    pool = parts.database.pool
    project = await definitions.make_project(pool, "test")
    codebase = await definitions.put_codebase(pool, b"zip")
    package = await definitions.put_package(pool, project.id, "package", [Module()], codebase, "test")
    now = datetime.now(UTC)
    service = await definitions.make_service(
        pool,
        Service(
            id=ids.definition_id(),
            project_id=project.id,
            name="service",
            package_id=package.id,
            package_revision=package.revision,
            module_name="default_module",
            runtime=Runtime(concurrency=concurrency),
            init_params={},
            execution_timeout=timedelta(seconds=60),
            drain_time=timedelta(seconds=5),
            max_attempts=max_attempts,
            on_reset="failed",
            active=True,
            version=1,
            created_at=now,
            updated_at=now,
            creator="test",
        ),
    )
    stop = agent_service.Stop(drain=asyncio.Event(), soon=asyncio.Event(), grace=timedelta(seconds=1))
    return Running(parts, project.id, service, folder, concurrency, stop)
