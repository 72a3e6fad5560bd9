"""Cron triggers and their clock, in a test's hand: what is due is made when the test says what time it is."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg

from backbone.model import ids, schedules
from backbone.model.resources import ExecutionMode
from backbone.model.schedules import Schedule
from backbone.model.triggers import Trigger
from backbone.store import cron as store
from backbone.store import definitions, partitions
from dispatcher import cron
from tests.support.running import Running, running

NOON = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)


@dataclass(frozen=True)
class Clockwork:
    here: Running
    connection: asyncpg.Connection  #: the leader's

    async def trigger(self, expression: str, since: datetime = NOON, **schedule: Any) -> str:
        """Goes by the clock from `since` on."""
        now = datetime.now(UTC)
        trigger = Trigger(
            id=ids.definition_id(),
            name="a trigger",
            project_id=self.here.project_id,
            service_id=self.here.service.id,
            function_name="run",
            resource="",
            actions=(),
            filter={},
            mode=ExecutionMode.ALWAYS,
            input={"size": 3},
            active=True,
            version=1,
            created_at=now,
            updated_at=now,
            creator="test",
            schedule=Schedule(cron=expression, **schedule),
        )
        pool = self.here.parts.database.pool
        await definitions.make_trigger(pool, trigger)
        assert trigger.schedule is not None
        await store.set_schedule(pool, trigger.id, trigger.schedule, since)
        return trigger.id

    async def many(self, count: int, expression: str, since: datetime) -> None:
        """So many that are alike."""
        pool = self.here.parts.database.pool
        schedule = Schedule(cron=expression)
        await pool.execute(
            "INSERT INTO trigger (id, project_id, service_id, name, function_name, resource, actions, filter, mode,"
            " input, creator, schedule) SELECT lpad(to_hex(number), 24, '0'), $1, $2, 'one of many', 'run', '', '{}',"
            " '{}', 'Always', '{}', 'test', $3 FROM generate_series(1, $4::int) AS number",
            self.here.project_id,
            self.here.service.id,
            schedules.stored(schedule),
            count,
        )
        fire = schedules.next_fire(schedule, since)
        await pool.execute(
            "INSERT INTO cron_state (trigger_id, next_fire, due) SELECT id, $1, $1 FROM trigger"
            " WHERE name = 'one of many'",
            fire,
        )

    async def pause(self, trigger_id: str, active: bool = False) -> None:
        pool = self.here.parts.database.pool
        stored = await definitions.trigger(pool, trigger_id)
        await definitions.change_trigger(pool, replace(stored, active=active))

    async def tick(self, now: datetime, connection: asyncpg.Connection | None = None) -> int:
        parts = self.here.parts
        return await cron.tick(connection or self.connection, parts.work_queue, parts.wakeups, now)

    async def ticks(self, since: datetime, until: datetime, step: timedelta) -> None:
        while since <= until:
            await self.tick(since)
            since += step

    async def executions(self) -> list[dict[str, Any]]:
        return await self.here.rows("SELECT *, status::text AS status FROM execution ORDER BY id")

    async def end(self, *statuses: str) -> None:
        """All executions that are in one of these states succeed."""
        await self.here.rows(
            "UPDATE execution SET status = 'success' WHERE status::text = ANY ($1) AND NOT EXISTS"
            " (SELECT FROM cron_waiting WHERE execution_id = id)",
            list(statuses) or ["queued"],
        )

    async def missed(self) -> list[tuple[datetime, datetime, int, str]]:
        return [
            (one.first, one.last, one.fires, one.reason)
            for one in reversed(await store.missed(self.here.parts.database.pool, None, None, 100))
        ]


@asynccontextmanager
async def clockwork(dsn: str, folder: Path) -> AsyncIterator[Clockwork]:
    async with running(dsn, folder, "", triggers=(), roles=()) as here:
        async with here.parts.database.lane(durable=False) as connection:
            await partitions.ensure(connection, NOON.date() + timedelta(days=1))
            yield Clockwork(here, connection)


def scheduled(execution: dict[str, Any]) -> datetime:
    """The fire that it is of: its id begins with that."""
    return datetime.fromtimestamp((execution["id"].int >> 80) / 1000, UTC)
