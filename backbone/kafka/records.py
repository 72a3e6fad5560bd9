"""An event as a Kafka record, and back.

    key        the entity's id: its changes share a partition, and so stay in their order
    value      our own shape of an event (`schemas/event.schema.json`), or CloudEvents 1.0, structured or binary
    headers    `trigger-engine-event: 1`, from those of us that judged the event before they wrote it; `traceparent`
               and `tracestate`
    timestamp  the broker's

Who writes to the topic directly leaves that header out, and every value of the event is looked at here, in 8 us for
430 bytes. With it only the envelope is, in 2 us; whatever is odd about it is looked at as if the header were not there.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, Protocol

import msgspec

from backbone.model import causation, cloudevents, envelopes, event_fields, traceparent, tracestate
from backbone.model.causation import Causation
from backbone.model.errors import InvalidEvent
from backbone.model.events import MAX_EVENT_BYTES, Event
from backbone.model.resources import Catalog

VERSION_HEADER: Final = "trigger-engine-event"
JUDGED: Final = ((VERSION_HEADER, b"1"),)

MAX_VALUE_BYTES: Final = MAX_EVENT_BYTES + 16_384
"""Of a record of ours: the event, and its ids that were made or taken out of the entity."""

MAX_HEADERS: Final = 64
MAX_HEADER_BYTES: Final = 32_768
"""Of all headers of a record, names and values."""

Headers = Sequence[tuple[str, bytes]]


class Record(Protocol):
    """What is read of aiokafka's ConsumerRecord."""

    @property
    def topic(self) -> str: ...

    @property
    def partition(self) -> int: ...

    @property
    def offset(self) -> int: ...

    @property
    def timestamp(self) -> int: ...

    @property
    def value(self) -> bytes | None: ...

    @property
    def headers(self) -> Headers: ...


_NONE: Final = msgspec.Raw()


class _Judged(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    id: str
    project_id: str
    resource: str
    action: str
    entity_id: str
    entity: msgspec.Raw
    time: datetime
    previous: msgspec.Raw = _NONE
    actor: str | None = None
    causation: Causation | None = None
    traceparent: str | None = None
    tracestate: str | None = None


class _Named(msgspec.Struct, frozen=True, gc=False):
    id: msgspec.Raw = msgspec.field(default_factory=msgspec.Raw)


_judged = msgspec.json.Decoder(_Judged)
_named = msgspec.json.Decoder(_Named)
_RECORDS: Final = uuid.UUID("5b0f7a1e-3c1d-5d0e-9f5e-6a4a1d2c7b90")


def encode(event: Event) -> tuple[bytes, bytes]:
    """Key and value. Raises InvalidEvent when the value is larger than a reader takes."""
    value = envelopes.encode(event)
    if len(value) > MAX_VALUE_BYTES:
        raise InvalidEvent("", f"event {event.id!r} has {len(value):,} bytes; at most {MAX_VALUE_BYTES:,} are taken")
    return event.entity_id.encode(), value


def judged(record: Record) -> Event | None:
    """The event, when one of us judged it before it was written; None when it has to be judged here."""
    value = record.value
    # Compared as a whole: with any other header it takes the longer way. NUL is what no store takes in an id.
    if record.headers != JUDGED or value is None or len(value) > MAX_VALUE_BYTES or rb"\u0000" in value:
        return None
    try:
        found = _judged.decode(value)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    entity, previous = bytes(found.entity), None if found.previous is _NONE else bytes(found.previous)
    longest = event_fields.MAX_ID_LENGTH
    if (
        found.time.tzinfo is not UTC
        or entity[:1] != b"{"
        or (previous is not None and previous[:1] != b"{")
        or not 0 < len(found.id) <= longest
        or not 0 < len(found.entity_id) <= longest
        or (found.actor is not None and len(found.actor) > longest)
        or (found.causation is not None and found.causation.depth > causation.MAX_LINKS)
        or (found.traceparent is not None and not traceparent.is_one(found.traceparent))
        or (found.tracestate is not None and found.tracestate != tracestate.beside(found.traceparent, found.tracestate))
    ):
        return None
    return Event(
        id=found.id,
        project_id=found.project_id,
        resource=found.resource,
        action=found.action,
        entity_id=found.entity_id,
        entity=entity,
        previous=previous,
        actor=found.actor,
        time=found.time,
        causation=found.causation,
        traceparent=found.traceparent,
        tracestate=found.tracestate,
    )


def judge(record: Record, catalog: Catalog, now: datetime) -> event_fields.Submission:
    """Any record, every value of it looked at. Raises InvalidEvent with the field that is wrong."""
    headers = _checked(record.headers)
    version = headers.get(VERSION_HEADER, b"1")
    if version != b"1":
        raise InvalidEvent(f"headers.{VERSION_HEADER}", f"{_shown(version)!r} is not known; expected '1'")
    if record.value is None:
        raise InvalidEvent("", "the record has no value; expected an event")
    if "ce_specversion" in headers:
        submission = event_fields.taken(record.value, cloudevents.from_binary, _attributes(headers), catalog, now)
        made = None
    else:
        submission = envelopes.decode(record.value, catalog, now)
        made = _made_id(record) if bytes(_named.decode(record.value).id) in (b"", b"null") else None
    trace = traceparent.from_header(headers.get(traceparent.HEADER, b""))
    if made is None and trace is None:
        return submission
    event = msgspec.structs.replace(submission.event, id=made or submission.event.id)
    if event.traceparent is None:
        state = tracestate.beside_header(trace, headers.get(tracestate.HEADER, b""))
        event = msgspec.structs.replace(event, traceparent=trace, tracestate=state)
    return msgspec.structs.replace(submission, event=event)


def _made_id(record: Record) -> str:
    """Of an event that brings none: the same whenever the record is read again. With the time, as a topic that was
    made anew counts from zero."""
    place = f"{record.topic}/{record.partition}/{record.offset}/{record.timestamp}"
    return str(uuid.uuid5(_RECORDS, place))


def _checked(headers: Headers) -> Mapping[str, bytes]:
    if len(headers) > MAX_HEADERS:
        raise InvalidEvent("headers", f"there are {len(headers):,}; at most {MAX_HEADERS} are taken")
    size = sum(len(name) + len(value or b"") for name, value in headers)
    if size > MAX_HEADER_BYTES:
        raise InvalidEvent("headers", f"they have {size:,} bytes; at most {MAX_HEADER_BYTES:,} are taken")
    return {name: value or b"" for name, value in headers}


def _attributes(headers: Mapping[str, bytes]) -> dict[str, str]:
    """Of a CloudEvent in binary mode: the header `ce_type` is its `type`."""
    found = {}
    for name, value in headers.items():
        if name.startswith("ce_"):
            try:
                found[name[3:]] = value.decode()
            except UnicodeDecodeError:
                raise InvalidEvent(f"headers.{name}", "is not UTF-8") from None
    return found


def _shown(value: bytes) -> str:
    return value[:40].decode(errors="replace")
