"""Events over HTTP: published, and one of them shown again."""

from __future__ import annotations

from typing import Any

import msgspec

from backbone.model import envelopes
from backbone.model.errors import NotFound
from backbone.store import events
from gateway import event_requests, intake, shapes
from gateway.answers import Answer
from gateway.operations import PREFIX, Call, Operation, Parameter

PUBLISH = f"{PREFIX}/events"

_MEDIA_TYPES = (
    "application/json",
    "application/cloudevents+json",
    "application/cloudevents-batch+json",
    "application/x-ndjson",
)


async def publish(call: Call) -> Any:
    return await event_requests.answer(
        call.parts, call.body, call.content_type, call.query.get("project"), call.carried
    )


async def show(call: Call) -> Any:
    event_id = call.path["id"]
    if "\x00" in event_id or len(event_id) > envelopes.MAX_ID_LENGTH:
        raise NotFound("event", event_id[:40])
    project = call.query.get("project")
    project_id = await call.parts.projects.found(project) if project else None
    found = await events.get(call.parts.database.pool, event_id, project_id)
    if found is None:
        raise NotFound("event", event_id)
    received = b',"received":' + msgspec.json.encode(found.received) + b"}"
    shown = found.event
    if shown.causation is not None:  # who reads it is not the function that was given it
        shown = msgspec.structs.replace(shown, causation=shown.causation.unsigned)
    return Answer(200, envelopes.encode(shown)[:-1] + received)


OPERATIONS = (
    Operation(
        method="POST", path=PUBLISH, summary="Publish events: one, or many in any of the accepted shapes",
        handler=publish, takes=(shapes.EventDocument, list[shapes.EventDocument], shapes.Events),
        media_types=_MEDIA_TYPES, largest=intake.EVENTS,
        parameters=(Parameter("project", "The project of events that name none, by name or id"),),
        answers=shapes.Accepted, status=202, also={400: shapes.PartlyAccepted},
    ),
    Operation(
        method="GET", path=f"{PREFIX}/events/{{id:path}}", summary="An event as it was taken", handler=show,
        parameters=(Parameter("project", "The project it is of, by name or id"),),
        answers=shapes.EventShape, refusals=(404,),
    ),
)  # fmt: skip
