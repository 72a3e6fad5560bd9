"""What the guard stopped, with the chain that shows why."""

from __future__ import annotations

from typing import Any

from backbone.store import incidents
from gateway import shapes
from gateway.operations import PREFIX, Call, Operation, Parameter

_MOST = 1_000


async def some(call: Call) -> Any:
    project, limit = call.query.get("project"), call.whole_number("limit", 100, 1, _MOST)
    project_id = await call.parts.projects.found(project) if project else None
    pool = call.parts.database.pool
    found = await incidents.newest(pool, project_id, limit)
    names = await incidents.trigger_names(pool, list({link.trigger for one in found for link in one.chain}))
    items = [
        shapes.IncidentShape(
            at=one.at,
            reason=one.reason,
            trigger_id=one.trigger_id,
            trigger_name=one.trigger_name,
            event_id=one.event_id,
            entity_id=one.entity_id,
            project_id=one.project_id,
            chain=[shapes.link(link, names) for link in one.chain],
        )
        for one in found
    ]
    return shapes.Incidents(items=items)


OPERATIONS = (
    Operation(
        method="GET",
        path=f"{PREFIX}/incidents",
        summary="Matches that the guard stopped, newest first",
        handler=some,
        parameters=(
            Parameter("project", "Only those of this project, by name or id"),
            Parameter("limit", "At most so many; 100 when not given", 1, _MOST),
        ),
        answers=shapes.Incidents,
        refusals=(404,),
    ),
)
