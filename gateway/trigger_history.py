"""The versions of a trigger: who changed what, and when."""

from __future__ import annotations

from typing import Any

from backbone.model import triggers
from backbone.model.trigger_versions import Change
from backbone.store import trigger_versions
from gateway import shapes
from gateway.operations import PREFIX, Call, Operation, Parameter

_MOST = 1_000


async def history(call: Call) -> Any:
    before = call.whole_number("before", trigger_versions.NEWEST, 1, trigger_versions.NEWEST)
    limit = call.whole_number("limit", 100, 1, _MOST)
    trigger_id, pool = call.definition_id("trigger"), call.parts.database.pool
    found = await trigger_versions.history(pool, trigger_id, before, limit + 1)
    return shapes.TriggerHistory(items=[_shape(one) for one in found[:limit]], has_next_page=len(found) > limit)


def _shape(of: Change) -> shapes.TriggerChangeShape:
    made = of.made
    return shapes.TriggerChangeShape(
        version=made.trigger.version,
        at=made.at,
        until=made.until,
        actor=made.actor,
        change=of.kind,
        differences=[
            shapes.DifferenceShape(field=one.field, before=one.before, after=one.after) for one in of.differences
        ],
        trigger=triggers.document(made.trigger),
    )


OPERATIONS = (
    Operation(
        method="GET", path=f"{PREFIX}/triggers/{{id}}/history",
        summary="Its versions, newest first; of a deleted one, too",
        handler=history,
        parameters=(
            Parameter("before", "Only versions before this one", 1, trigger_versions.NEWEST),
            Parameter("limit", "At most so many; 100 when not given", 1, _MOST),
        ),
        answers=shapes.TriggerHistory, refusals=(404,),
    ),
)  # fmt: skip
