"""A value inside a JSON document by its path, `order.customer.id`; documents stay bytes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec

from backbone.model import event_fields, written_form
from backbone.model.errors import InvalidEvent

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_members = msgspec.json.Decoder(dict[str, msgspec.Raw])
_scalar = msgspec.json.Decoder(str | int | bool | None)
_moment = msgspec.json.Decoder(datetime | int | None)


def at(document: bytes, path: str) -> bytes:
    """What stands there as it was written; empty where nothing does, or null."""
    for name in path.split("."):
        if document[:1] != b"{":
            return b""
        document = bytes(_members.decode(document).get(name, b""))
    return b"" if document == b"null" else document


def text(document: bytes, path: str, below: str = "") -> str | None:
    """A string, or a whole number or truth as it is written. None where nothing stands."""
    written = at(document, path)
    if not written:
        return None
    try:
        value = _scalar.decode(written)
    except msgspec.ValidationError:
        shown = written_form.clipped(written.decode())
        raise InvalidEvent(
            written_form.joined(below, path), f"expected a string or a whole number, got {shown}"
        ) from None
    return value if isinstance(value, str) else written.decode()


def identity(document: bytes, path: str, below: str = "") -> str:
    """Likewise, and it has to be there and to be an id."""
    found = text(document, path, below)
    path = written_form.joined(below, path)
    if found is None:
        raise InvalidEvent(path, "is missing")
    return event_fields.identity(found, path)


def time(document: bytes, path: str) -> datetime | None:
    """RFC 3339, or milliseconds since 1970."""
    written = at(document, path)
    if not written:
        return None
    try:
        value = _moment.decode(written)
    except msgspec.ValidationError:
        shown = written_form.clipped(written.decode())
        raise InvalidEvent(path, f"{shown} is not a time such as 2024-05-01T12:00:00Z, or milliseconds") from None
    return time_of(value, path) if isinstance(value, int) else value


def time_of(milliseconds: int, path: str) -> datetime:
    try:
        return _EPOCH + timedelta(milliseconds=milliseconds)
    except OverflowError:
        raise InvalidEvent(path, f"{milliseconds} is outside the years 1 to 9999") from None
