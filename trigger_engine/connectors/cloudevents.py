"""CloudEvents 1.0 in Kafka records: binary, with the attributes in headers `ce_…`, or structured as one document."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from backbone.model import cloudevents, written_form
from backbone.model.cloudevents import CloudEvent
from backbone.model.errors import InvalidEvent
from backbone.model.event_fields import Submission, taken
from backbone.model.resources import Catalog
from trigger_engine.connectors.record import Record

_STRUCTURED = "application/cloudevents"
_ATTRIBUTES = {field.encode_name for field in msgspec.structs.fields(CloudEvent)} - {"data", "datacontenttype"}


class CloudEvents(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    def check(self, catalog: Catalog) -> None:
        pass  # each event says itself what it is of

    def event(self, record: Record, catalog: Catalog) -> Submission | None:
        if record.value is None:
            return None
        content_type = _text(record.headers, "content-type").partition(";")[0].strip().lower()
        if content_type.startswith(_STRUCTURED) or "ce_specversion" not in record.headers:
            if content_type.startswith(_STRUCTURED) and content_type != _STRUCTURED + "+json":
                raise InvalidEvent("content-type", f"{content_type!r} is not read; expected '{_STRUCTURED}+json'")
            return taken(record.value, cloudevents.from_structured, catalog, record.time)
        if content_type and content_type != "application/json" and not content_type.endswith("+json"):
            shown = written_form.clipped(content_type)
            raise InvalidEvent("content-type", f"{shown!r} is not read; expected 'application/json'")
        attributes = {
            name: _text(record.headers, f"ce_{name}") for name in _ATTRIBUTES if f"ce_{name}" in record.headers
        }
        try:
            return taken(record.value, cloudevents.from_binary, attributes, catalog, record.time)
        except InvalidEvent as error:
            if error.path.partition(".")[0] in _ATTRIBUTES:
                raise InvalidEvent(f"ce_{error.path}", error.reason) from None
            raise


def _text(headers: Mapping[str, bytes], name: str) -> str:
    value = headers.get(name, b"")
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise InvalidEvent(name, f"{value[:40]!r} is not UTF-8") from None
