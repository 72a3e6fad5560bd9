"""The drivers under test, and what a conformance suite does behind their backs.

Another technology is another class of this shape, and one line in the `DRIVERS` of the suites it belongs to.
"""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol
from uuid import NAMESPACE_OID, UUID, uuid5

import asyncpg

from backbone.kit.loops import Health
from backbone.model import causation, ids
from backbone.model.events import Event
from backbone.model.messages import WorkItem
from backbone.ports import EventLog, Reports, WorkQueue
from backbone.store import events, executions
from backbone.store.database import Database
from backbone.store.migrations import migrate
from backbone.store.queries import sql
from launcher import embedded, postgres_processes
from launcher.postgres import PostgresServer
from launcher.settings import Settings

PROJECT = "00000000-0000-4000-8000-000000000001"
OTHER_PROJECT = "00000000-0000-4000-8000-000000000002"
SERVICE = "a service"
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
STATE = "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"


class Process(Protocol):
    """What one process of the engine holds of the drivers."""

    @property
    def event_log(self) -> EventLog: ...

    @property
    def work_queue(self) -> WorkQueue: ...

    @property
    def reports(self) -> Reports: ...


class Drivers(Protocol):
    @property
    def outage(self) -> tuple[type[Exception], ...]:
        """What a call may raise while the server is gone."""

    def process(self, name: str = "a process") -> AbstractAsyncContextManager[Process]: ...

    async def cut(self, name: str) -> None:
        """Every connection of the process of that name breaks."""

    async def a_day_passes(self) -> None: ...

    async def append_spoiled(self, event_id: str) -> None:
        """The log gets an event whose causation cannot be read."""

    async def append_report(self, body: bytes) -> None:
        """Whatever it is: somebody wrote it where the reports are."""

    def late_append(self, events_: Sequence[Event]) -> AbstractAsyncContextManager[None]:
        """Appends that began before the body and are finished after it."""

    async def kill_server(self) -> None: ...

    async def start_server(self) -> None: ...


class Postgres:
    outage = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)

    def __init__(self, dsn: str, server: PostgresServer | None = None) -> None:
        self.dsn = dsn
        self._server = server

    @asynccontextmanager
    async def process(self, name: str = "a process") -> AsyncIterator[Process]:
        async with embedded.parts(Settings(database=self.dsn), name, Health()) as parts:
            yield parts

    async def cut(self, name: str) -> None:
        await self.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1",
            f"trigger-engine {name}",
        )

    async def a_day_passes(self) -> None:
        await self.execute("UPDATE event SET day = day - 1")

    async def append_spoiled(self, event_id: str) -> None:
        async with Database(self.dsn).lane() as connection:
            await events.append(connection, [an_event(event_id)])
        await self.execute("UPDATE event SET causation = 'nonsense' WHERE id = $1", event_id)

    async def append_report(self, body: bytes) -> None:
        await self.execute(sql("work/send reports"), body)

    @asynccontextmanager
    async def late_append(self, events_: Sequence[Event]) -> AsyncIterator[None]:
        async with Database(self.dsn).lane() as connection:
            async with connection.transaction():
                await events.append(connection, events_)
                yield

    async def kill_server(self) -> None:
        assert self._server is not None
        assert self._server.pid is not None
        os.kill(self._server.pid, signal.SIGKILL)
        await self._server.wait()
        # Its children see that a moment later, and may answer one more statement until then.
        await postgres_processes.end(self._server._folder.name, timedelta())

    async def start_server(self) -> None:
        assert self._server is not None
        await self._server.start()

    async def execute(self, statement: str, *arguments: object) -> None:
        connection = await asyncpg.connect(self.dsn)
        try:
            await connection.execute(statement, *arguments)
        finally:
            await connection.close()


@asynccontextmanager
async def postgres(dsn: str) -> AsyncIterator[Drivers]:
    yield Postgres(dsn)


@asynccontextmanager
async def mortal_postgres(folder: Path) -> AsyncIterator[tuple[Drivers, str]]:
    """With a server of its own, as durable as in production; and the store's address."""
    server = PostgresServer(folder, settings={"shared_buffers": "64MB"})
    await server.start()
    try:
        await migrate(server.dsn())
        yield Postgres(server.dsn(), server), server.dsn()
    finally:
        await server.stop()


def an_event(id: str, *, entity_id: str | None = None, project_id: str = PROJECT) -> Event:
    entity_id = entity_id or f"entity {id}"
    return Event(
        id=id,
        project_id=project_id,
        resource="Item",
        action="Created",
        entity_id=entity_id,
        entity=b'{"id": "%b"}' % entity_id.encode(),
        time=datetime.now(UTC),
        traceparent=TRACE,
        tracestate=STATE,
    )


def session_of(service_id: str) -> UUID:
    """The agent's who takes what `queued_items` made."""
    return uuid5(NAMESPACE_OID, service_id)


async def lives(connection: asyncpg.Connection, session: UUID, service_id: str = SERVICE) -> None:
    await connection.execute(sql("work/beat"), session, service_id, timedelta(hours=1))


async def queued_items(dsn: str, count: int, *, service_id: str = SERVICE) -> list[WorkItem]:
    """Executions of the store that wait in no queue yet, and the item for each."""
    now = datetime.now(UTC)
    execution_ids = [ids.manual_execution_id(now + timedelta(microseconds=number)) for number in range(count)]
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(
            "INSERT INTO execution"
            " (id, project_id, service_id, function_name, status, max_attempts, creator, created_at)"
            " SELECT id, $2::uuid, $3, 'run', 'queued', 3, 'test', $4 FROM unnest($1::uuid[]) AS id",
            execution_ids,
            PROJECT,
            service_id,
            now,
        )
        await lives(connection, session_of(service_id), service_id)
        key = await connection.fetchval("SELECT key FROM signing_key")
    finally:
        await connection.close()
    return [
        WorkItem(
            execution_id=execution_id,
            attempt=1,
            max_attempts=3,
            service_id=service_id,
            project_id=PROJECT,
            function_name="run",
            recorded_at=now,
            causation=causation.encode_signed(executions.chain(execution_id, None, None, None), key),
        )
        for execution_id in execution_ids
    ]


async def item_of_an_event(dsn: str, event: Event, *, service_id: str = SERVICE) -> WorkItem:
    """What the dispatcher puts in a queue for an execution that the event led to."""
    [of] = await queued_items(dsn, 1, service_id=service_id)
    connection = await asyncpg.connect(dsn)
    try:
        await events.append(connection, [event])
        await connection.execute(
            "UPDATE execution SET event_id = event.id, event_day = event.day, trigger_id = 'trigger',"
            " resource = event.resource, action = event.action FROM event WHERE execution.id = $1",
            of.execution_id,
        )
        await connection.execute(
            "INSERT INTO pending (execution_id, attempt, service_id, due) VALUES ($1, 1, $2, now())",
            of.execution_id,
            service_id,
        )
        [item] = await executions.due(connection, {service_id: 1})
    finally:
        await connection.close()
    return item
