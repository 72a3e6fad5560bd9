"""Publish: the accepted shapes of an event, all of them to and from one `Event`.

    our own        {"resource", "action", "entity", "id"?, "project"?|"projectId"?, "entityId"?, "previous"?, "actor"?, "time"?, "causation"?}
    CloudEvents    1.0 structured: `type` ends in <resource>.<action>, `subject` is the entity's id, `data` the entity;
                   extensions `project`, `actor`, `causation` (base64url)

A request holds one, an array, {"events": [...]}, or one a line (NDJSON). Each is judged alone.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec

from backbone.model import causation, written_form
from backbone.model.errors import InvalidEvent
from backbone.model.events import MAX_EVENT_BYTES, Event
from backbone.model.resources import Catalog

MAX_ID_LENGTH = 512
MAX_DEPTH = 128


@dataclass(frozen=True, slots=True)
class Submission:
    """An event before its project's name was resolved: `project` is a name or an id, or None for the default."""

    project: str | None
    event: Event


class _Own(msgspec.Struct, frozen=True, rename="camel"):
    resource: str
    action: str
    entity: msgspec.Raw
    id: str | None = None
    project: str | None = None
    project_id: str | None = None
    entity_id: str | None = None
    previous: msgspec.Raw | None = None
    actor: str | None = None
    time: datetime | None = None
    causation: msgspec.Raw | None = None
    schema: str | None = msgspec.field(name="$schema", default=None)


class _Cloud(msgspec.Struct, frozen=True):
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
    specversion: msgspec.Raw | None = None


class _Many(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    events: list[msgspec.Raw]


class _Head(msgspec.Struct, frozen=True):
    id: str | int | None = None


_own = msgspec.json.Decoder(_Own)
_cloud = msgspec.json.Decoder(_Cloud)
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
    except (msgspec.MsgspecError, RecursionError) as error:
        raise written_form.explained(error, InvalidEvent) from None
    return [body]


def _events_of(body: bytes) -> list[bytes]:
    """{"events": [...]} is a batch; an event of ours that merely mentions "events" somewhere is itself."""
    try:
        return [bytes(raw) for raw in _many.decode(body).events]
    except msgspec.ValidationError:
        return [body]


def decode(document: bytes, catalog: Catalog, now: datetime) -> Submission:
    """One event from the bytes it came in. Raises InvalidEvent with the field that is wrong."""
    if len(document) > MAX_EVENT_BYTES:
        raise InvalidEvent("", f"the event has {len(document):,} bytes; at most {MAX_EVENT_BYTES:,} are taken")
    try:
        document.decode()
    except UnicodeDecodeError as error:
        raise InvalidEvent("", f"byte {error.start} is not UTF-8") from None
    _refuse_depth(document)
    try:
        if b'"specversion"' in document and _shape.decode(document).specversion is not None:
            return _from_cloud(_cloud.decode(document), catalog, now)
        return _from_own(_own.decode(document), catalog, now)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise written_form.explained(error, InvalidEvent) from None


def _from_own(own: _Own, catalog: Catalog, now: datetime) -> Submission:
    resource, action = catalog.check_event(own.resource, own.action)
    entity = _object(own.entity, "entity")
    event = Event(
        id=_identity(own.id, "id") if own.id is not None else str(uuid.uuid4()),
        project_id="",
        resource=resource,
        action=action,
        entity_id=_entity_id(own.entity_id, entity, "entity"),
        entity=entity,
        previous=_object(own.previous, "previous") if own.previous is not None and own.previous != b"null" else None,
        actor=own.actor,
        time=_utc(own.time, now),
        causation=causation.decode(bytes(own.causation)) if own.causation not in (None, b"null") else None,
    )
    return Submission(own.project_id or own.project, event)


def _from_cloud(cloud: _Cloud, catalog: Catalog, now: datetime) -> Submission:
    if cloud.specversion != "1.0":
        raise InvalidEvent("specversion", f"{cloud.specversion!r} is not known; expected '1.0'")
    words = cloud.type.split(".")
    if len(words) < 2:
        raise InvalidEvent("type", f"{cloud.type!r} does not end in <resource>.<action>, for instance com.example.Item.Created")
    resource, action = catalog.check_event(words[-2], words[-1], path=("type", "type"))
    entity = _object(cloud.data, "data")
    event = Event(
        id=_identity(cloud.id, "id"),
        project_id="",
        resource=resource,
        action=action,
        entity_id=_entity_id(cloud.subject, entity, "data"),
        entity=entity,
        actor=cloud.actor,
        time=_utc(cloud.time, now),
        causation=causation.from_header(cloud.causation) if cloud.causation else None,
    )
    return Submission(cloud.project, event)


def _object(raw: msgspec.Raw, path: str) -> bytes:
    document = bytes(raw)
    if document[:1] != b"{":
        raise InvalidEvent(path, f"expected a JSON object, got {document[:20].decode()!r}")
    return document


def _entity_id(given: str | None, entity: bytes, path: str) -> str:
    if given is not None:
        return _identity(given, "entityId" if path == "entity" else "subject")
    try:
        found = _head.decode(entity).id
    except msgspec.ValidationError:
        raise InvalidEvent(f"{path}.id", "expected a string or a whole number") from None
    if found is None:
        raise InvalidEvent(f"{path}.id", "is missing: an event needs to say which entity changed")
    return _identity(str(found), f"{path}.id")


def _identity(value: str, path: str) -> str:
    if not value or len(value) > MAX_ID_LENGTH or "\x00" in value:
        shown = value if len(value) <= 40 else value[:40] + "…"
        raise InvalidEvent(path, f"{shown!r} is not an id: expected 1 to {MAX_ID_LENGTH} characters without NUL")
    return value


def _utc(time: datetime | None, now: datetime) -> datetime:
    if time is None:
        return now
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


def _refuse_depth(document: bytes) -> None:
    """Counts brackets only when there are enough of them to matter: a shallow event costs two C-speed counts."""
    if document.count(b"{") + document.count(b"[") <= MAX_DEPTH:
        return
    depth = 0
    for step in _steps(document):
        depth += step
        if depth > MAX_DEPTH:
            raise InvalidEvent("", f"the event nests deeper than {MAX_DEPTH} levels")


_strings_and_brackets = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[{]|[\]}]', re.DOTALL)


def _steps(document: bytes) -> Iterator[int]:
    for found in _strings_and_brackets.finditer(document):
        token = found.group()
        if token in b"[{":
            yield 1
        elif token in b"]}":
            yield -1


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
