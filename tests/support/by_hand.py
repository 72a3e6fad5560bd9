"""An agent that is a test's hand: it takes through the port and says what the test tells it to."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from backbone.model.messages import Finished, Logged, Progressed, Report, Started, WorkItem
from tests.support.drivers import queued_items
from tests.support.running import Running


@dataclass
class Hand:
    here: Running
    session: UUID = field(default_factory=uuid4)

    async def take(self, limit: int = 100) -> list[WorkItem]:
        async with asyncio.timeout(10):
            return list(await self.here.parts.work_queue.take(self.here.service.id, self.session, limit))

    async def begin(self, count: int = 1, *, max_attempts: int = 3) -> list[WorkItem]:
        """New executions, taken by this hand."""
        items = await queued_items(self.here.parts.database.dsn, count, service_id=self.here.service.id)
        ids = [item.execution_id for item in items]
        await self.here.rows("UPDATE execution SET max_attempts = $2 WHERE id = ANY ($1)", ids, max_attempts)
        await self.here.parts.work_queue.put(items)
        return await self.take(count)

    async def send(self, *reports: Report) -> None:
        await self.here.parts.reports.send(reports)

    async def beat(self, lease: timedelta) -> list[UUID]:
        return list(await self.here.parts.reports.beat(self.session, self.here.service.id, lease))

    async def settled(self) -> None:
        """Everything that was said is settled."""
        await self.here.until("SELECT NOT EXISTS (SELECT FROM report)")


def started(item: WorkItem, **changes: Any) -> Started:
    return Started(**{"execution_id": item.execution_id, "attempt": item.attempt, "at": _now(), **changes})


def progressed(item: WorkItem, number: int = 1, **told: Any) -> Progressed:
    given = {"execution_id": item.execution_id, "attempt": item.attempt, "number": number, "at": _now()}
    return Progressed(**{**given, **told})


def printed(item: WorkItem, number: int = 1, **changes: Any) -> Logged:
    given = {"execution_id": item.execution_id, "attempt": item.attempt, "number": number, "at": _now(), "lines": b"[]"}
    return Logged(**{**given, **changes})


def finished(item: WorkItem, status: str = "success", **told: Any) -> Finished:
    given = {
        "execution_id": item.execution_id,
        "attempt": item.attempt,
        "max_attempts": item.max_attempts,
        "at": _now(),
        "started_at": _now() - timedelta(seconds=1),
        "status": status,
        "duration": 1.0,
    }
    return Finished(**{**given, **told})


def _now() -> datetime:
    return datetime.now(UTC)


async def everything(here: Running) -> Sequence[dict[str, Any]]:
    """Whatever a report can change."""
    return [
        *(await here.rows("SELECT * FROM execution ORDER BY id")),
        *(await here.rows("SELECT * FROM status_log ORDER BY execution_id, attempt, number")),
        *(await here.rows("SELECT * FROM pending ORDER BY execution_id")),
        *(await here.rows("SELECT * FROM lease ORDER BY execution_id")),
    ]
