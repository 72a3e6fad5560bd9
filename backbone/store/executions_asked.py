"""What people ask of executions: begin one, run it again, end it, note how far it is."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import asyncpg

from backbone.model import ids
from backbone.model.definitions import Service
from backbone.model.errors import NotFound, NotInState
from backbone.model.executions import StatusLine
from backbone.model.states import ENDED, ExecutionStatus
from backbone.store import claims, executions
from backbone.store.queries import sql


async def create(
    pool: asyncpg.Pool,
    service: Service,
    function_name: str,
    input_: bytes | None,
    creator: str,
    *,
    came_by: bytes | None,
    queue_too: bool,
) -> UUID:
    execution_id = ids.manual_execution_id(datetime.now(UTC))
    await pool.execute(
        sql("execution/create"),
        execution_id,
        service.project_id,
        service.id,
        function_name,
        service.max_attempts,
        input_,
        creator,
        queue_too,
        came_by,
    )
    return execution_id


async def rerun(pool: asyncpg.Pool, execution_id: UUID) -> None:
    """The same id goes round again. Raises NotFound, and NotInState when it has not ended or its service is gone."""
    async with pool.acquire() as connection, connection.transaction():
        status, max_attempts, has_service = await _locked(connection, execution_id)
        if status not in ENDED:
            raise NotInState(f"execution {execution_id}", status.value, "only one that has ended can be run again")
        if not has_service:
            raise NotInState(f"the service of execution {execution_id}", "deleted", "there is nothing to run it")
        await connection.execute(sql("execution/rerun"), execution_id, max_attempts)
        await claims.take_back(connection, execution_id)


async def terminate(pool: asyncpg.Pool, execution_id: UUID, reason: str) -> None:
    """What runs is told to end; what only waits ends now. Raises NotFound, and NotInState when it has ended."""
    async with pool.acquire() as connection, connection.transaction():
        status, _, _ = await _locked(connection, execution_id)
        if status in ENDED:
            raise NotInState(f"execution {execution_id}", status.value, "it has ended already")
        await connection.execute(sql("execution/ask to terminate"), execution_id)
        if await connection.fetchval(sql("execution/cancel waiting"), execution_id, reason):
            await claims.free_unsuccessful(connection, [execution_id])


async def note_progress(
    pool: asyncpg.Pool,
    execution_id: UUID,
    status: str | None,
    percent: int | None,
    message: str | None,
    output: bytes | None,
) -> None:
    """Raises NotFound, and NotInState when it has ended."""
    async with pool.acquire() as connection, connection.transaction():
        now, _, _ = await _locked(connection, execution_id)
        if now in ENDED:
            raise NotInState(f"execution {execution_id}", now.value, "its progress is over")
        attempt = await connection.fetchval(sql("execution/progress"), execution_id, percent, message, output)
        number = await connection.fetchval(sql("execution/next log number"), execution_id, attempt)
        line = StatusLine(
            execution_id=execution_id,
            attempt=attempt,
            number=number,
            at=datetime.now(UTC),
            status=status or now.value,
            percent=percent,
            message=message,
            output=output,
        )
        await executions.append_status(connection, [line])


async def _locked(connection: asyncpg.Connection, execution_id: UUID) -> tuple[ExecutionStatus, int, bool]:
    """The status, which stays until the transaction ends, how often its service tries, and whether it has one."""
    row = await connection.fetchrow(sql("asked/lock"), execution_id)
    if row is None:
        raise NotFound("execution", str(execution_id))
    return ExecutionStatus(row["status"]), row["max_attempts"], row["has_service"]
