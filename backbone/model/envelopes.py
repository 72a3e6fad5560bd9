"""Publish: the accepted shapes of an event, all of them to and from one `Event`.

    our own        {"resource", "action", "entity", "id"?, "project"?|"projectId"?, "entityId"?, "previous"?, "actor"?,
                   "time"?, "causation"?, "traceparent"?, "tracestate"?}
    CloudEvents    1.0 structured: see `cloudevents.py`

A request holds one, an array, {"events": [...]}, or one a line (NDJSON). Each is judged alone. `docs/events.md`
teaches both. This page is on the hot path: an event of 1.3 KB takes about 16 us, 10 of them to look at every value.
"""

from __future__ import annotations

import uuid
from datetime import datetime

import msgspec

from backbone.model import causation, cloudevents, event_fields, traceparent, tracestate
from backbone.model.causation import Causation
from backbone.model.errors import InvalidEvent
from backbone.model.event_fields import MAX_ID_LENGTH as MAX_ID_LENGTH
from backbone.model.event_fields import Submission as Submission
from backbone.model.events import Event
from backbone.model.resources import Catalog


class OwnEvent(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    resource: str
    action: str
    entity: msgspec.Raw
    id: str | None = None
    project: str | None = None
    project_id: str | None = None
    entity_id: str | None = None
    previous: msgspec.Raw = msgspec.field(default_factory=msgspec.Raw)
    actor: str | None = None
    time: datetime | None = None
    causation: Causation | None = None
    traceparent: str | None = None
    tracestate: str | None = None
    specversion: str | None = None  #: never ours: whoever says it means CloudEvents


class _Shape(msgspec.Struct, frozen=True):
    specversion: msgspec.Raw = msgspec.field(default_factory=msgspec.Raw)


class _Many(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    events: list[msgspec.Raw]
    schema: msgspec.Raw = msgspec.field(name="$schema", default_factory=msgspec.Raw)


_own = msgspec.json.Decoder(OwnEvent)
_shape = msgspec.json.Decoder(_Shape)
_many = msgspec.json.Decoder(_Many)
_array = msgspec.json.Decoder(list[msgspec.Raw])


def split(body: bytes, content_type: str = "application/json") -> list[bytes]:
    """The single events of a request's body. Raises InvalidEvent when the body as a whole cannot be read."""
    if not body.strip():
        raise InvalidEvent("", "the body is empty; expected one event, an array of events, or one event a line")
    if "ndjson" in content_type or "jsonl" in content_type:
        return [line for line in body.splitlines() if line.strip()]
    start = body.lstrip()[:1]
    try:
        if start == b"[":
            return [bytes(raw) for raw in _array.decode(body)]
        if start == b"{" and b'"events"' in body:
            return _events_of(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise event_fields.unreadable(body, error) from None
    return [body]


def _events_of(body: bytes) -> list[bytes]:
    """{"events": [...]} is a batch; an event of ours that merely mentions "events" somewhere is itself."""
    try:
        many = _many.decode(body)
    except msgspec.ValidationError:
        return [body]
    # Of "events" twice the decoder keeps the last, and the colons of the others are missing.
    if body.count(b":") != _colons(many):
        raise InvalidEvent("", 'a key comes twice beside "events"; which of them was meant?')
    return [bytes(raw) for raw in many.events]


def _colons(many: _Many) -> int:
    schema = bytes(many.schema)
    return 1 + b"".join(many.events).count(b":") + (1 + schema.count(b":") if schema else 0)


def decode(document: bytes, catalog: Catalog, now: datetime) -> Submission:
    """One event from the bytes it came in. Raises InvalidEvent with the field that is wrong."""
    return event_fields.taken(document, _from_any, catalog, now)


def _from_any(document: bytes, catalog: Catalog, now: datetime) -> Submission:
    try:
        own = _own.decode(document)
    except msgspec.ValidationError:
        if not bytes(_shape.decode(document).specversion):
            raise
    else:
        if own.specversion is None:
            return _from_own(own, catalog, now)
    return cloudevents.from_structured(document, catalog, now)


def _from_own(own: OwnEvent, catalog: Catalog, now: datetime) -> Submission:
    resource, action = catalog.check_event(own.resource, own.action)
    entity = event_fields.object_at("entity", bytes(own.entity))
    previous = bytes(own.previous)
    event = Event(
        id=str(uuid.uuid4()) if own.id is None else event_fields.identity(own.id, "id"),
        project_id="",
        resource=resource,
        action=action,
        entity_id=event_fields.entity_id(own.entity_id, "entityId", entity, "entity"),
        entity=entity,
        previous=None if previous in (b"", b"null") else event_fields.object_at("previous", previous),
        actor=event_fields.actor(own.actor),
        time=event_fields.utc(own.time, now),
        causation=None if own.causation is None else causation.checked(own.causation),
        traceparent=traceparent.checked(own.traceparent),
        tracestate=tracestate.beside(own.traceparent, own.tracestate),
    )
    project = own.project_id or own.project
    return Submission(event_fields.project(project, "projectId" if own.project_id else "project"), event)


def encode(event: Event) -> bytes:
    """Our own shape again: what `GET /events/{id}` and the benchmarks send."""
    return msgspec.json.encode(
        {
            "id": event.id,
            "projectId": event.project_id,
            "resource": event.resource,
            "action": event.action,
            "entityId": event.entity_id,
            "entity": msgspec.Raw(event.entity),
            **({"previous": msgspec.Raw(event.previous)} if event.previous is not None else {}),
            **({"actor": event.actor} if event.actor is not None else {}),
            "time": event.time,
            **({"causation": event.causation} if event.causation is not None else {}),
            **({"traceparent": event.traceparent} if event.traceparent is not None else {}),
            **({"tracestate": event.tracestate} if event.tracestate is not None else {}),
        }
    )
