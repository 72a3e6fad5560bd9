"""Publish: the accepted shapes of an event, all of them to and from one `Event`.

    our own        {"resource", "action", "entity", "id"?, "project"?|"projectId"?, "entityId"?, "previous"?, "actor"?,
                   "time"?, "causation"?}
    CloudEvents    1.0 structured: `type` ends in <resource>.<action>, `subject` is the entity's id, `data` the entity;
                   extensions `project`, `actor`, `causation` (base64url)

A request holds one, an array, {"events": [...]}, or one a line (NDJSON). Each is judged alone. `docs/events.md`
teaches both. This page is on the hot path: an event of 1.3 KB takes about 16 us, 10 of them to look at every value.
"""

from __future__ import annotations

import uuid
from datetime import UTC, datetime

import msgspec
import orjson

from backbone.model import causation, definitions, json_text, written_form
from backbone.model.causation import Causation
from backbone.model.errors import Invalid, InvalidDefinition, InvalidEvent
from backbone.model.events import MAX_EVENT_BYTES, Event
from backbone.model.resources import Catalog

MAX_ID_LENGTH = 512


class Submission(msgspec.Struct, frozen=True, gc=False):
    """An event before its project's name was resolved: `project` is a name or an id, or None for the default."""

    project: str | None
    event: Event


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
    specversion: str | None = None  #: never ours: whoever says it means CloudEvents


class CloudEvent(msgspec.Struct, frozen=True, gc=False):
    specversion: str
    id: str
    source: str
    type: str
    data: msgspec.Raw
    subject: str | None = None
    time: datetime | None = None
    datacontenttype: str | None = None
    project: str | None = None
    actor: str | None = None
    causation: str | None = None


class _Shape(msgspec.Struct, frozen=True):
    specversion: msgspec.Raw = msgspec.field(default_factory=msgspec.Raw)


class _Many(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    events: list[msgspec.Raw]
    schema: msgspec.Raw = msgspec.field(name="$schema", default_factory=msgspec.Raw)


class _Head(msgspec.Struct, frozen=True, gc=False):
    id: str | int | None = None


_own = msgspec.json.Decoder(OwnEvent)
_cloud = msgspec.json.Decoder(CloudEvent)
_shape = msgspec.json.Decoder(_Shape)
_many = msgspec.json.Decoder(_Many)
_array = msgspec.json.Decoder(list[msgspec.Raw])
_head = msgspec.json.Decoder(_Head)


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
        raise _unreadable(body, error) from None
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
    if len(document) > MAX_EVENT_BYTES:
        raise InvalidEvent("", f"the event has {len(document):,} bytes; at most {MAX_EVENT_BYTES:,} are taken")
    try:
        document.decode()
        submission = _from_any(document, catalog, now)
    except UnicodeDecodeError as error:
        raise InvalidEvent("", f"byte {error.start} is not UTF-8") from None
    except (msgspec.MsgspecError, RecursionError) as error:
        raise _unreadable(document, error) from None
    json_text.read(document, InvalidEvent)
    return submission


def _unreadable(document: bytes, error: Exception) -> Invalid:
    """What is no JSON is explained by orjson, which names the place, and half a surrogate pair for what it is."""
    if not isinstance(error, msgspec.ValidationError | RecursionError):
        try:
            orjson.loads(document)
        except orjson.JSONDecodeError as found:
            return InvalidEvent("", f"is not JSON: {found}")
    return written_form.explained(error, InvalidEvent)


def _from_any(document: bytes, catalog: Catalog, now: datetime) -> Submission:
    try:
        own = _own.decode(document)
    except msgspec.ValidationError:
        if not bytes(_shape.decode(document).specversion):
            raise
    else:
        if own.specversion is None:
            return _from_own(own, catalog, now)
    return _from_cloud(_cloud.decode(document), catalog, now)


def _from_own(own: OwnEvent, catalog: Catalog, now: datetime) -> Submission:
    resource, action = catalog.check_event(own.resource, own.action)
    entity = _object(bytes(own.entity), "entity")
    previous = bytes(own.previous)
    event = Event(
        id=str(uuid.uuid4()) if own.id is None else _identity(own.id, "id"),
        project_id="",
        resource=resource,
        action=action,
        entity_id=_entity_id(entity, "entity") if own.entity_id is None else _identity(own.entity_id, "entityId"),
        entity=entity,
        previous=None if previous in (b"", b"null") else _object(previous, "previous"),
        actor=_actor(own.actor),
        time=_utc(own.time, now),
        causation=None if own.causation is None else causation.checked(own.causation),
    )
    project = own.project_id or own.project
    return Submission(_project(project, "projectId" if own.project_id else "project"), event)


def _from_cloud(cloud: CloudEvent, catalog: Catalog, now: datetime) -> Submission:
    if cloud.specversion != "1.0":
        raise InvalidEvent("specversion", f"{written_form.clipped(cloud.specversion)!r} is not known; expected '1.0'")
    words = cloud.type.split(".")
    if len(words) < 2:
        shown = written_form.clipped(cloud.type)
        raise InvalidEvent("type", f"{shown!r} does not end in <resource>.<action>, such as com.example.Item.Created")
    resource, action = catalog.check_event(words[-2], words[-1], path=("type", "type"))
    entity = _object(bytes(cloud.data), "data")
    event = Event(
        id=_identity(cloud.id, "id"),
        project_id="",
        resource=resource,
        action=action,
        entity_id=_entity_id(entity, "data") if cloud.subject is None else _identity(cloud.subject, "subject"),
        entity=entity,
        actor=_actor(cloud.actor),
        time=_utc(cloud.time, now),
        causation=causation.from_header(cloud.causation) if cloud.causation else None,
    )
    return Submission(_project(cloud.project, "project"), event)


def _object(document: bytes, path: str) -> bytes:
    if document[:1] != b"{":
        raise InvalidEvent(path, f"expected an object, got {document[:40].decode(errors='ignore')}")
    return document


def _entity_id(entity: bytes, path: str) -> str:
    path = f"{path}.id"
    try:
        found = _head.decode(entity).id
    except msgspec.ValidationError as error:
        raise InvalidEvent(path, written_form.explained(error, InvalidEvent).reason) from None
    if found is None:
        raise InvalidEvent(path, "is missing: an event needs to say which entity changed")
    return _identity(str(found), path)


def _identity(value: str, path: str) -> str:
    if not value or len(value) > MAX_ID_LENGTH or "\x00" in value:
        shown = written_form.clipped(value)
        raise InvalidEvent(path, f"{shown!r} is not an id: expected 1 to {MAX_ID_LENGTH} characters without NUL")
    return value


def _actor(actor: str | None) -> str | None:
    return _identity(actor, "actor") if actor else None


def _project(project: str | None, path: str) -> str | None:
    if not project:
        return None
    try:
        definitions.check_name(project, path)
    except InvalidDefinition as error:
        raise InvalidEvent(error.path, error.reason) from None
    return project


def _utc(time: datetime | None, now: datetime) -> datetime:
    if time is None:
        return now
    if time.tzinfo is None:
        return time.replace(tzinfo=UTC)
    try:
        return time.astimezone(UTC)
    except OverflowError:
        raise InvalidEvent("time", f"{time.isoformat()} is outside the years 1 to 9999 in UTC") from None


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
        }
    )
