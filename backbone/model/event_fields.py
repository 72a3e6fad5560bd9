"""What holds for a field of an event whatever shape it came in, and what every one of the shapes becomes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Concatenate, ParamSpec, TypeVar

import msgspec
import orjson

from backbone.model import definitions, json_text, written_form
from backbone.model.errors import Invalid, InvalidDefinition, InvalidEvent
from backbone.model.events import MAX_EVENT_BYTES, Event

MAX_ID_LENGTH = 512

_Read = TypeVar("_Read")
_More = ParamSpec("_More")


class Submission(msgspec.Struct, frozen=True, gc=False):
    """An event before its project's name was resolved: `project` is a name or an id, or None for the default."""

    project: str | None
    event: Event


class _Head(msgspec.Struct, frozen=True, gc=False):
    id: str | int | None = None


_head = msgspec.json.Decoder(_Head)


def taken(
    document: bytes, read: Callable[Concatenate[bytes, _More], _Read], *more: _More.args, **named: _More.kwargs
) -> _Read:
    """What `read` makes of the document's bytes. Raises InvalidEvent for all that no part behind could carry."""
    if len(document) > MAX_EVENT_BYTES:
        raise InvalidEvent("", f"the event has {len(document):,} bytes; at most {MAX_EVENT_BYTES:,} are taken")
    try:
        document.decode()
        made = read(document, *more, **named)
    except UnicodeDecodeError as error:
        raise InvalidEvent("", f"byte {error.start} is not UTF-8") from None
    except (msgspec.MsgspecError, RecursionError) as error:
        raise unreadable(document, error) from None
    json_text.read(document, InvalidEvent)
    return made


def unreadable(document: bytes, error: Exception) -> Invalid:
    """What is no JSON is explained by orjson, which names the place, and half a surrogate pair for what it is."""
    if not isinstance(error, msgspec.ValidationError | RecursionError):
        try:
            orjson.loads(document)
        except orjson.JSONDecodeError as found:
            return InvalidEvent("", f"is not JSON: {found}")
    return written_form.explained(error, InvalidEvent)


def object_at(path: str, document: bytes) -> bytes:
    if document[:1] != b"{":
        raise InvalidEvent(path, f"expected an object, got {document[:40].decode(errors='ignore')}")
    return document


def entity_id(said: str | None, said_path: str, entity: bytes, entity_path: str) -> str:
    """What was said to be it, else the `id` of the entity."""
    if said is not None:
        return identity(said, said_path)
    path = written_form.joined(entity_path, "id")
    try:
        found = _head.decode(entity).id
    except msgspec.ValidationError as error:
        raise InvalidEvent(path, written_form.explained(error, InvalidEvent).reason) from None
    if found is None:
        raise InvalidEvent(path, "is missing: an event needs to say which entity changed")
    return identity(str(found), path)


def identity(value: str, path: str) -> str:
    if not value or len(value) > MAX_ID_LENGTH or "\x00" in value:
        shown = written_form.clipped(value)
        raise InvalidEvent(path, f"{shown!r} is not an id: expected 1 to {MAX_ID_LENGTH} characters without NUL")
    return value


def actor(value: str | None, path: str = "actor") -> str | None:
    return identity(value, path) if value else None


def project(value: str | None, path: str) -> str | None:
    if not value:
        return None
    try:
        definitions.check_name(value, path)
    except InvalidDefinition as error:
        raise InvalidEvent(error.path, error.reason) from None
    return value


def utc(time: datetime | None, now: datetime) -> datetime:
    if time is None:
        return now
    if time.tzinfo is None:
        return time.replace(tzinfo=UTC)
    try:
        return time.astimezone(UTC)
    except OverflowError:
        raise InvalidEvent("time", f"{time.isoformat()} is outside the years 1 to 9999 in UTC") from None
