"""Executions as people look at them: the row with what it hangs on, its status lines, the lines it logged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
import orjson

from backbone.model.executions import StatusLine
from backbone.model.states import ExecutionStatus
from backbone.store.queries import sql

LOG_CHUNKS = 2_000
STATUS_LINES = 200  # of one execution; those before are left out


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredExecution:
    """Service and package are the ones of today; None when the service was deleted."""

    id: UUID
    project_id: str
    service_id: str
    trigger_id: str | None
    function_name: str
    status: ExecutionStatus
    attempt: int
    max_attempts: int
    to_terminate: bool
    percent: int
    event_id: str | None
    resource: str | None
    action: str | None
    entity_id: str | None
    creator: str
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    duration: float | None
    came_by: bytes | None
    input: bytes | None
    output: bytes | None
    message: str | None
    traceback: str | None
    service_name: str | None
    module_name: str | None
    package_id: str | None
    package_revision: int | None
    entity: bytes | None


def from_row(row: asyncpg.Record) -> StoredExecution:
    fields: dict[str, Any] = {name: row[name] for name in StoredExecution.__dataclass_fields__}
    return StoredExecution(**{**fields, "project_id": str(row["project_id"]), "status": ExecutionStatus(row["status"])})


async def status_lines(
    connection: asyncpg.Connection, execution_ids: Sequence[UUID]
) -> Mapping[UUID, list[StatusLine]]:
    """Oldest first; executions without any are absent."""
    lines: dict[UUID, list[StatusLine]] = {}
    for row in await connection.fetch(sql("finding/status lines"), execution_ids, STATUS_LINES):
        lines.setdefault(row["execution_id"], []).append(StatusLine(**dict(row)))
    return lines


async def logged_lines(
    connection: asyncpg.Connection | asyncpg.Pool, execution_id: UUID, limit: int
) -> list[dict[str, Any]]:
    """The latest lines, oldest first, each with the attempt that wrote it."""
    found: list[dict[str, Any]] = []
    for row in await connection.fetch(sql("finding/log chunks"), execution_id, LOG_CHUNKS):
        lines = [{**line, "attempt": row["attempt"]} for line in orjson.loads(row["lines"])]
        found[:0] = lines
        if len(found) >= limit:
            break
    return found[-limit:]
