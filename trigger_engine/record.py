"""Stage 4: what was let through becomes rows, in one transaction; what was stopped is written down, once."""

from __future__ import annotations

from collections.abc import Sequence

import asyncpg

from backbone.model.executions import NewExecution, StoppedMatch
from backbone.store import executions, incidents
from backbone.store.incidents import Stopped


async def record(
    connection: asyncpg.Connection,
    admitted: Sequence[NewExecution],
    stopped: Sequence[StoppedMatch],
    *,
    queue_too: bool,
    notify: Sequence[str] = (),
) -> tuple[list[NewExecution], Stopped]:
    """Return the executions that were not there before, and what is new of the others."""
    of_stopped = await incidents.record_stopped(connection, stopped) if stopped else Stopped()
    if not admitted:
        return [], of_stopped
    recorded = await executions.record(connection, admitted, queue_too=queue_too, notify=notify)
    by_id = {new.id: new for new in admitted}
    return [by_id[execution_id] for execution_id, _ in recorded], of_stopped
