"""One engine and one project whose events a test stops at the boundary between two stages, to kill somebody there.

Nothing in the engine knows of this. Who is to be held there waits in PostgreSQL: for a table that the test has locked,
or after its commit for a standby that does not exist; or it stands still (SIGSTOP). The victim `connection` is the one
that waits, cut at that moment; a part that is killed takes its waiting connection along.
"""

from __future__ import annotations

import asyncio
import signal
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from tests.support import load
from tests.support.engine import OUTAGE, PATIENCE, Engine, Project

CODE = """
import os, time

def run(item, context):
    starts = os.open({folder!r} + "/" + context.event.id, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(starts, b"started ")
    os.close(starts)
    while not os.path.exists({folder!r} + "/" + item["gate"]):
        time.sleep(0.01)
"""

HELD = (
    "application_name LIKE 'trigger-engine %' AND query LIKE $1"
    " AND (wait_event_type = 'Lock' OR wait_event = 'SyncRep')"
)
RECORDING = "%WITH match AS%"  #: claims and executions, one statement

STATUS = "SELECT status::text FROM execution WHERE event_id = $1"


@dataclass(frozen=True)
class Ended:
    status: str
    attempt: int
    starts: int
    ends: list[tuple[int, str]]
    messages: list[str]


@dataclass(frozen=True)
class Boundary:
    """One engine and one project for all tests; an event of its own for each."""

    engine: Engine
    project: Project
    folder: Path

    @classmethod
    async def of(cls, engine: Engine, folder: Path) -> Self:
        code = CODE.format(folder=str(folder))
        trigger = {"actions": ["Updated"], "executionMode": "Always"}
        project = await engine.project("boundaries", code, [trigger], onReset="rerun", maxAttempts=3)
        (folder / "open").touch()
        return cls(engine, project, folder)

    def event(self, gate: str = "open") -> dict[str, Any]:
        return self.project.event(uuid.uuid4().hex, action="Updated", entity={"gate": gate})

    async def publish(self, event: dict[str, Any]) -> int:
        """Until it is answered 2xx; returns how often it had to be repeated."""
        return await load.publish(self.engine, [event], rate=1000)

    async def running(self) -> dict[str, Any]:
        """An event whose function runs, and waits for a gate of the event's own name."""
        event = self.event()
        event["entity"]["gate"] = f"gate-{event['id']}"
        await self.publish(event)
        await self.engine.until(f"SELECT ({STATUS}) = 'in-progress'", event["id"])
        return event

    def open(self, gate: str) -> None:
        (self.folder / gate).touch()

    def until_started(self, event: dict[str, Any]) -> None:
        self.engine.until_true((self.folder / event["id"]).exists, "the function began")

    # Held where it is

    @asynccontextmanager
    async def stopped(self, role: str) -> AsyncIterator[None]:
        pid = self.engine.send(role, signal.SIGSTOP)
        try:
            yield
        finally:
            if pid in self.engine.pids[role]:
                self.engine.send(role, signal.SIGCONT)

    @asynccontextmanager
    async def locked(self, table: str) -> AsyncIterator[None]:
        """Who writes to the table waits; who reads does not."""
        async with self.engine.connection() as connection:
            await connection.execute(f"BEGIN; LOCK TABLE {table} IN EXCLUSIVE MODE")
            yield

    @asynccontextmanager
    async def unanswered(self) -> AsyncIterator[None]:
        """Durable commits reach the disk, and nobody is told."""
        await self.set_standby("nobody")
        try:
            yield
        finally:
            await self.set_standby("")

    async def set_standby(self, name: str) -> None:
        """Durable commits reach the disk and wait for this standby before anybody is told; '' lets them go. The server
        takes the setting over in its own time: it is in force when a commit of ours has met it."""
        async with asyncio.timeout(PATIENCE):
            while True:
                try:
                    async with self.engine.connection() as connection:
                        await connection.execute(f"ALTER SYSTEM SET synchronous_standby_names = '{name}'")
                        await connection.execute("SELECT pg_reload_conf()")
                    while await self._commit_waits() != bool(name):
                        await asyncio.sleep(0.02)
                    return
                except OUTAGE:
                    await asyncio.sleep(0.02)

    async def _commit_waits(self) -> bool:
        """Whether a durable commit waits for a standby now."""
        async with self.engine.connection() as connection:
            pid = connection.get_server_pid()
            committing = asyncio.create_task(connection.execute("SELECT pg_logical_emit_message(true, '', '')"))
            try:
                while not committing.done():
                    waits = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $1 AND wait_event = 'SyncRep')"
                    if await self.engine.value(waits, pid):
                        # Terminated and not cancelled: a backend that is gone from the client's side waits on.
                        await self.engine.sql("SELECT pg_terminate_backend($1, 5000)", pid)
                        return True
                    await asyncio.sleep(0.01)
                await committing
                return False
            finally:
                committing.cancel()
                await asyncio.gather(committing, return_exceptions=True)

    async def until_held(self, statement: str) -> None:
        await self.engine.until(f"SELECT EXISTS (SELECT FROM pg_stat_activity WHERE {HELD})", statement)

    async def kill(self, victim: str, *, held: str) -> None:
        """What waits in PostgreSQL for somebody who is dead would go on when it may: it goes with its client."""
        await self.until_held(held)
        if victim != "connection":
            self.engine.kill(victim)
        if victim != "postgres":
            await self.engine.sql(f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE {HELD}", held)

    # What became of it

    async def ended(self, event: dict[str, Any]) -> Ended:
        """Its one execution, of which nothing is left to do."""
        engine, event_id = self.engine, event["id"]
        await engine.until("SELECT status >= 'success' FROM execution WHERE event_id = $1", event_id)
        await self.project.until_carried()
        await engine.until("SELECT NOT EXISTS (SELECT FROM report)")
        assert await engine.value("SELECT count(*) FROM event WHERE id = $1", event_id) == 1
        (execution,) = await engine.sql("SELECT id, attempt, status::text FROM execution WHERE event_id = $1", event_id)
        for what in ("lease", "queue", "pending"):
            assert not await engine.sql(f"SELECT * FROM {what} WHERE execution_id = $1", execution["id"]), what
        lines = await engine.sql(
            "SELECT attempt, status, message FROM status_log WHERE execution_id = $1 ORDER BY attempt, number",
            execution["id"],
        )
        return Ended(
            status=execution["status"],
            attempt=execution["attempt"],
            starts=(self.folder / event_id).read_text().count("started"),
            ends=[(line["attempt"], line["status"]) for line in lines if line["status"] != "in-progress"],
            messages=[line["message"] for line in lines if line["message"]],
        )

    async def ran_once(self, event: dict[str, Any]) -> None:
        assert await self.ended(event) == Ended("success", 1, 1, [(1, "success")], [])
