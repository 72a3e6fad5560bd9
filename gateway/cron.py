"""Triggers by the clock: when they fire next, what they missed, and a run now."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from backbone.kit import metrics
from backbone.model import schedules
from backbone.model.errors import NotInState
from backbone.model.schedules import Schedule
from backbone.model.triggers import Trigger
from backbone.store import cron, definitions
from backbone.store.wakeups import PENDING
from gateway import called, executions, shapes
from gateway.operations import PREFIX, Call, Operation, Parameter
from gateway.parts import CREATOR

_MOST_FIRES = 1_000
_MOST_MISSED = 1_000


async def next_(call: Call) -> Any:
    count = call.whole_number("count", 10, 1, _MOST_FIRES)
    trigger, schedule = await _scheduled(call)
    return shapes.NextFires(
        words=schedules.in_words(schedule),
        timezone=schedule.timezone,
        last_fire=await cron.last_fire(call.parts.database.pool, trigger.id),
        fires=schedules.next_fires(schedule, datetime.now(UTC), count),
    )


async def run(call: Call) -> Any:
    trigger, _ = await _scheduled(call)
    service = await definitions.service(call.parts.database.pool, trigger.service_id)
    came_by = await called.led_by(call, service.project_id, service.id, trigger.function_name)
    queue = call.parts.work_queue
    execution_id = await cron.run_now(
        call.parts.database.pool,
        trigger.id,
        datetime.now(UTC),
        CREATOR,
        came_by=came_by,
        queue_too=queue.in_store,
    )
    metrics.executions_created.inc()
    if queue.in_store:
        queue.announce([trigger.service_id])
    else:
        call.parts.wakeups.wake([PENDING])
    return await executions.document(call, str(execution_id))


async def missed(call: Call) -> Any:
    project, limit = call.query.get("project"), call.whole_number("limit", 100, 1, _MOST_MISSED)
    project_id = await call.parts.projects.found(project) if project else None
    found = await cron.missed(call.parts.database.pool, call.query.get("trigger"), project_id, limit)
    items = [
        shapes.MissedFiresShape(
            trigger_id=one.trigger_id,
            trigger_name=one.trigger_name,
            project_id=one.project_id,
            first=one.first,
            last=one.last,
            fires=one.fires,
            reason=one.reason,
        )
        for one in found
    ]
    return shapes.MissedFires(items=items)


async def _scheduled(call: Call) -> tuple[Trigger, Schedule]:
    trigger = await definitions.trigger(call.parts.database.pool, call.definition_id("trigger"))
    if trigger.schedule is None:
        raise NotInState(f"trigger {trigger.id!r}", f"of type {trigger.type!r}", "only a Cron trigger has a schedule")
    return trigger, trigger.schedule


_ONE = f"{PREFIX}/triggers/{{id}}"

OPERATIONS = (
    Operation(
        method="GET", path=f"{_ONE}/next", summary="The next fires of a Cron trigger, and its schedule in words",
        handler=next_, parameters=(Parameter("count", "At most so many; 10 when not given", 1, _MOST_FIRES),),
        answers=shapes.NextFires, refusals=(404, 409),
    ),
    Operation(
        method="POST", path=f"{_ONE}/run", summary="Run a Cron trigger's function now, as a fire would", handler=run,
        answers=shapes.ExecutionShape, refusals=(404, 409),
    ),
    Operation(
        method="GET", path=f"{PREFIX}/missed-fires", summary="Fires of Cron triggers that did not come, latest first",
        handler=missed,
        parameters=(
            Parameter("trigger", "Only those of the trigger of this id"),
            Parameter("project", "Only those of this project, by name or id"),
            Parameter("limit", "At most so many; 100 when not given", 1, _MOST_MISSED),
        ),
        answers=shapes.MissedFires, refusals=(404,),
    ),
)  # fmt: skip
