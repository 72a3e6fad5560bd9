"""Events over HTTP: published, and one of them shown again."""

from __future__ import annotations

from typing import Any

import asyncpg
import msgspec

from backbone.model import envelopes
from backbone.model.errors import NotFound
from backbone.model.events import RecordedEvent
from backbone.store import events, ledger
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
    async with call.parts.database.pool.acquire() as connection:
        recorded = await found(call, connection)
    received = b',"received":' + msgspec.json.encode(recorded.received) + b"}"
    shown = recorded.event
    if shown.causation is not None:  # who reads it is not the function that was given it
        shown = msgspec.structs.replace(shown, causation=shown.causation.unsigned)
    return Answer(200, envelopes.encode(shown)[:-1] + received)


async def found(call: Call, connection: asyncpg.Connection) -> RecordedEvent:
    """The event that is asked for. Raises NotFound, which says why it may not be there."""
    event_id, project = call.path["id"], call.query.get("project")
    if "\x00" in event_id or len(event_id) > envelopes.MAX_ID_LENGTH:
        raise NotFound("event", event_id[:40])
    project_id = await call.parts.projects.found(project, connection) if project else None
    recorded = await events.get(connection, event_id, project_id)
    if recorded is None:
        raise NotFound("event", event_id, await _why_not(call, connection, event_id))
    return recorded


async def _why_not(call: Call, connection: asyncpg.Connection, event_id: str) -> str:
    day = await ledger.removed_on(connection, event_id)
    if day is not None:
        return f"it was received on {day}, and retention has removed that day"
    if not call.parts.settings.every_event_kept:
        return (
            "none of this id came, or it matched no trigger: of the events in Kafka only those that matched are kept."
            " trigger-engine match --event FILE says of an event in a file why it matches or not;"
            " TRIGGER_ENGINE_KEEP_EVENTS=all keeps every event that comes from then on"
        )
    oldest = await ledger.oldest_day(connection)
    received = "nothing was received yet" if oldest is None else f"none of this id was received since {oldest}"
    return received if call.parts.event_log.in_store else f"{received}, or it is in Kafka and was not read yet"


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
