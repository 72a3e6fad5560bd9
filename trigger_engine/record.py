"""Stage 4: what was let through becomes rows, in one transaction; what was stopped becomes an incident, once."""

from __future__ import annotations

from collections.abc import Sequence

import asyncpg

from backbone.model.executions import NewExecution, StoppedMatch
from backbone.store import executions


async def record(
    connection: asyncpg.Connection,
    admitted: Sequence[NewExecution],
    stopped: Sequence[StoppedMatch],
    *,
    queue_too: bool,
    notify: Sequence[str] = (),
) -> tuple[list[str], int]:
    """Return the service of each execution that was not there before, and the number of new incidents."""
    services: list[str] = []
    incidents = 0
    if stopped:
        incidents = await executions.record_stopped(connection, stopped)
    if admitted:
        services = [
            service_id
            for _, service_id in await executions.record(connection, admitted, queue_too=queue_too, notify=notify)
        ]
    return services, incidents
