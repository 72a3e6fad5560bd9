"""Loops that the guard stopped, with the chain that shows why; and what a person says of them."""

from __future__ import annotations

from typing import Any

from backbone.store import incidents
from backbone.store.incidents import Incident
from gateway import shapes
from gateway.operations import PREFIX, Call, Operation, Parameter

_MOST = 1_000
_SHOWN = 20
"""Of the matches that an incident stopped."""


async def some(call: Call) -> Any:
    project, limit = call.query.get("project"), call.whole_number("limit", 100, 1, _MOST)
    project_id = await call.parts.projects.found(project) if project else None
    return shapes.Incidents(items=await _shapes(call, await incidents.newest(_pool(call), project_id, limit)))


async def show(call: Call) -> Any:
    found = await incidents.get(_pool(call), call.row_id("incident"))
    [shape] = await _shapes(call, [found])
    stopped = await incidents.latest(_pool(call), found, _SHOWN)
    return shapes.IncidentInFull(
        **shapes.fields(shape),
        latest=[
            shapes.StoppedShape(event_id=one.event_id, entity_id=one.entity_id, at=one.at, released_at=one.released_at)
            for one in stopped
        ],
    )


async def release(call: Call) -> Any:
    return await _settled(call, "released")


async def allow(call: Call) -> Any:
    return await _settled(call, "allowed")


async def _settled(call: Call, state: str) -> Any:
    incident_id = call.row_id("incident")
    going_on = await incidents.settle(_pool(call), incident_id, state)
    call.parts.wakeups.wake([incidents.CHANNEL])
    [shape] = await _shapes(call, [await incidents.get(_pool(call), incident_id)])
    return shapes.SettledIncident(**shapes.fields(shape), going_on=going_on)


def _pool(call: Call) -> Any:
    return call.parts.database.pool


async def _shapes(call: Call, found: list[Incident]) -> list[shapes.IncidentShape]:
    names = await incidents.trigger_names(_pool(call), list({link.trigger for one in found for link in one.chain}))
    return [
        shapes.IncidentShape(
            id=one.id,
            state=one.state,
            kind=one.kind,
            at=one.last_at,
            first_at=one.first_at,
            reason=one.reason,
            trigger_id=one.trigger_id,
            trigger_name=one.trigger_name,
            event_id=one.event_id,
            entity_id=one.entity_id,
            project_id=one.project_id,
            chain=[shapes.link(link, names) for link in one.chain],
            stopped=one.stopped,
            waiting=one.waiting,
            circuit=one.circuit,
            until=one.until,
        )
        for one in found
    ]


_ONE = f"{PREFIX}/incidents/{{id}}"

OPERATIONS = (
    Operation(
        method="GET", path=f"{PREFIX}/incidents", summary="Loops that the guard stopped, the latest first",
        handler=some,
        parameters=(
            Parameter("project", "Only those of this project, by name or id"),
            Parameter("limit", "At most so many; 100 when not given", 1, _MOST),
        ),
        answers=shapes.Incidents, refusals=(404,),
    ),
    Operation(
        method="GET", path=_ONE, summary="A loop, and the latest matches that it stopped", handler=show,
        answers=shapes.IncidentInFull, refusals=(404,),
    ),
    Operation(
        method="POST", path=f"{_ONE}/release", summary="Let what was stopped go on; the same loop is stopped again",
        handler=release, answers=shapes.SettledIncident, refusals=(404,),
    ),
    Operation(
        method="POST", path=f"{_ONE}/allow", summary="Let what was stopped go on, and do not stop it again",
        handler=allow, answers=shapes.SettledIncident, refusals=(404,),
    ),
)  # fmt: skip
