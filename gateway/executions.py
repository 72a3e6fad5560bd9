"""Executions: begun by hand, looked at, run again, ended, told of."""

from __future__ import annotations

from typing import Any

import orjson

from backbone.kit import metrics
from backbone.model.errors import Invalid, InvalidDefinition, NotFound
from backbone.store import definitions, executions_asked, executions_read, finding
from backbone.store.wakeups import PENDING
from gateway import called, execution_documents, shapes
from gateway.operations import PREFIX, Call, Operation, Parameter
from gateway.parts import CREATOR

TERMINATE_CHANNEL = "terminate"

_MOST_LINES = 10_000


async def make(call: Call) -> Any:
    service = await definitions.service(call.parts.database.pool, call.definition_id("service"))
    asked = call.written(shapes.NewExecution)
    if asked.project_id and await call.parts.projects.found(asked.project_id) != service.project_id:
        raise InvalidDefinition("projectId", f"service {service.id!r} is not of project {asked.project_id!r}")
    function_name = _text(asked.function_name or "run", "functionName")
    came_by = await called.led_by(call, service.project_id, service.id, function_name)
    queue = call.parts.work_queue
    execution_id = await executions_asked.create(
        call.parts.database.pool,
        service,
        function_name,
        None if asked.input is None else orjson.dumps(asked.input),
        CREATOR,
        came_by=came_by,
        queue_too=queue.in_store,
    )
    metrics.executions_created.inc()
    if queue.in_store:
        queue.announce([service.id])
    else:
        call.parts.wakeups.wake([PENDING])
    return await document(call, str(execution_id))


async def show(call: Call) -> Any:
    return await document(call, str(call.uuid("execution")))


async def rerun(call: Call) -> Any:
    execution_id = call.uuid("execution")
    await executions_asked.rerun(call.parts.database.pool, execution_id)
    call.parts.wakeups.wake([PENDING])
    return await document(call, str(execution_id))


async def terminate(call: Call) -> Any:
    execution_id = call.uuid("execution")
    await executions_asked.terminate(call.parts.database.pool, execution_id, "terminated before it was started")
    call.parts.wakeups.wake([TERMINATE_CHANNEL])
    return await document(call, str(execution_id))


async def progress(call: Call) -> Any:
    execution_id, told = call.uuid("execution"), call.written(shapes.Progress)
    if told.percent_complete is not None and not 0 <= told.percent_complete <= 100:
        raise Invalid("percentComplete", f"{told.percent_complete} is out of range; expected 0 to 100")
    await executions_asked.note_progress(
        call.parts.database.pool,
        execution_id,
        None if told.status is None else _text(told.status, "status"),
        told.percent_complete,
        told.message,
        None if told.output is None else orjson.dumps(told.output),
    )
    return await document(call, str(execution_id))


async def logs(call: Call) -> Any:
    execution_id, limit = call.uuid("execution"), call.whole_number("limit", _MOST_LINES, 1, _MOST_LINES)
    async with finding.patiently(call.parts.database.pool) as connection:
        if not await finding.EXECUTIONS.page(connection, {"id": [str(execution_id)]}, 1, 0):
            raise NotFound("execution", str(execution_id))
        lines = await executions_read.logged_lines(connection, execution_id, limit)
    return {"logs": lines}


async def document(call: Call, execution_id: str) -> shapes.ExecutionShape:
    async with finding.patiently(call.parts.database.pool) as connection:
        found = await finding.EXECUTIONS.page(connection, {"id": [execution_id]}, 1, 0)
        if not found:
            raise NotFound("execution", execution_id)
        return (await execution_documents.of(connection, found))[0]


def _text(value: str, path: str) -> str:
    if not 0 < len(value) <= 255:
        raise Invalid(path, f"has {len(value):,} characters; expected 1 to 255")
    return value


_ONE = f"{PREFIX}/executions/{{id}}"

OPERATIONS = (
    Operation(
        method="POST", path=_ONE, summary="Run a function of the service of this id", handler=make,
        takes=shapes.NewExecution, answers=shapes.ExecutionShape, refusals=(404, 409),
    ),
    Operation(
        method="GET", path=_ONE, summary="An execution", handler=show,
        answers=shapes.ExecutionShape, refusals=(404,),
    ),
    Operation(
        method="POST", path=f"{_ONE}/rerun", summary="Run one that has ended again, under the same id", handler=rerun,
        answers=shapes.ExecutionShape, refusals=(404, 409),
    ),
    Operation(
        method="POST", path=f"{_ONE}/terminate", summary="End it, now or as soon as its function lets us",
        handler=terminate, answers=shapes.ExecutionShape, refusals=(404, 409),
    ),
    Operation(
        method="POST", path=f"{_ONE}/progress", summary="Say how far it is; one more line of its status log",
        handler=progress, takes=shapes.Progress, answers=shapes.ExecutionShape, refusals=(404, 409),
    ),
    Operation(
        method="GET", path=f"{_ONE}/logs", summary="What its function logged, the latest lines", handler=logs,
        parameters=(Parameter("limit", "At most so many lines", 1, _MOST_LINES),),
        answers=shapes.Logs, refusals=(404,),
    ),
)  # fmt: skip
