"""Debezium's change envelopes: {before, after, source, op, ts_ms}, with the schema beside it or without.

The row is the entity, and the record's key names it, as Debezium makes the key of the table's primary key. A change
has no id of its own, so its place in the topic is its id. Tombstones, truncations and messages are no entity's change.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
import orjson

from backbone.model import event_fields, json_text, written_form
from backbone.model.errors import InvalidEvent
from backbone.model.event_fields import Submission
from backbone.model.events import Event
from backbone.model.resources import Catalog
from trigger_engine.connectors import paths
from trigger_engine.connectors.record import Record

_ACTIONS = {"c": "Created", "r": "Created", "u": "Updated", "d": "Deleted"}
_OF_NO_ENTITY = ("t", "m")


class _Source(msgspec.Struct, frozen=True, gc=False):
    ts_ms: int | None = None


class _Change(msgspec.Struct, frozen=True, gc=False):
    op: str
    before: msgspec.Raw = msgspec.field(default_factory=msgspec.Raw)
    after: msgspec.Raw = msgspec.field(default_factory=msgspec.Raw)
    source: _Source | None = None
    ts_ms: int | None = None


class _WithSchema(msgspec.Struct, frozen=True, gc=False):
    schema: msgspec.Raw = msgspec.field(default_factory=msgspec.Raw)
    payload: msgspec.Raw = msgspec.field(default_factory=msgspec.Raw)


_change = msgspec.json.Decoder(_Change)
_with_schema = msgspec.json.Decoder(_WithSchema)


class Debezium(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    resource: str
    entity_id: str | None = None  #: a column, for tables without a primary key

    def check(self, catalog: Catalog) -> None:
        for action in sorted(set(_ACTIONS.values())):
            catalog.spelling(self.resource, action, ("resource", "resource"))

    def event(self, record: Record, catalog: Catalog) -> Submission | None:
        if record.value is None:
            return None
        return event_fields.taken(record.value, self._read, record, catalog)

    def _read(self, document: bytes, record: Record, catalog: Catalog) -> Submission | None:
        payload = _payload(document)
        if payload == b"null":
            return None
        change = _change.decode(payload)
        if change.op in _OF_NO_ENTITY:
            return None
        if change.op not in _ACTIONS:
            raise InvalidEvent("op", f"{written_form.clipped(change.op)!r} is not known; expected c, r, u, d, t or m")
        resource, action = catalog.check_event(self.resource, _ACTIONS[change.op])
        entity, previous = self._rows(change, record)
        event = Event(
            id=record.position,
            project_id="",
            resource=resource,
            action=action,
            entity_id=self._entity_id(entity, record),
            entity=entity,
            previous=previous,
            time=_time(change, record),
        )
        return Submission(None, event)

    def _rows(self, change: _Change, record: Record) -> tuple[bytes, bytes | None]:
        """The row and what it was before. Of a deleted row the last that is known: all of it, or its key alone."""
        before, after = bytes(change.before), bytes(change.after)
        previous = None if before in (b"", b"null") else event_fields.object_at("before", before)
        if change.op == "d":
            return previous or _key_as_row(record.key), None
        return event_fields.object_at("after", after or b"null"), previous if change.op == "u" else None

    def _entity_id(self, entity: bytes, record: Record) -> str:
        if self.entity_id is None:
            return event_fields.identity(_id_of(_key(record.key)), "key")
        return paths.identity(entity, self.entity_id, "row")


def _payload(document: bytes) -> bytes:
    """What stands beside a schema, or the document itself."""
    if document == b"null":
        return document
    both = _with_schema.decode(document)
    return bytes(both.payload) if bytes(both.schema) and bytes(both.payload) else document


def _key(key: bytes | None) -> Any:
    if key is None:
        raise InvalidEvent("key", "is missing: say which column is the id with 'entity_id', or give the table a key")
    try:
        value = json_text.read(key, InvalidEvent)
    except InvalidEvent as error:
        raise InvalidEvent("key", error.reason) from None
    if isinstance(value, dict) and value.keys() == {"schema", "payload"}:
        return value["payload"]
    return value


def _id_of(key: Any) -> str:
    """Of several columns all of them, apart by `/`, and written so that no two keys read the same."""
    if not isinstance(key, dict):
        return _column("key", key)
    columns = [_column(f"key.{name}", value) for name, value in key.items()]
    if len(columns) == 1:
        return columns[0]
    return "/".join(column.replace("%", "%25").replace("/", "%2F") for column in columns)


def _column(path: str, value: Any) -> str:
    if not isinstance(value, str | int) or isinstance(value, bool):
        shown = written_form.clipped(orjson.dumps(value).decode())
        raise InvalidEvent(path, f"{shown} is not an id: expected a string or a whole number")
    return str(value)


def _key_as_row(key: bytes | None) -> bytes:
    columns = _key(key)
    return orjson.dumps(columns if isinstance(columns, dict) else {"id": columns})


def _time(change: _Change, record: Record) -> datetime:
    """When the row changed, by the database's clock; else when it was seen to have changed."""
    milliseconds = change.source.ts_ms if change.source and change.source.ts_ms else change.ts_ms
    return record.time if milliseconds is None else paths.time_of(milliseconds, "ts_ms")
