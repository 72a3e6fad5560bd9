"""CloudEvents 1.0, however they travel: structured as one JSON document, or binary, as attributes beside their data.

`type` ends in <resource>.<action>, `subject` is the entity's id, the data is the entity; `project`, `actor`,
`causation` or `causationid` (base64url), `traceparent` and `tracestate` are extensions. Over HTTP, in Kafka records and
in files they mean the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import msgspec

from backbone.model import causation, event_fields, traceparent, tracestate, written_form
from backbone.model.errors import InvalidEvent
from backbone.model.event_fields import Submission
from backbone.model.events import Event
from backbone.model.resources import Catalog


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
    causationid: str | None = None
    traceparent: str | None = None
    tracestate: str | None = None


_structured = msgspec.json.Decoder(CloudEvent)


def from_structured(document: bytes, catalog: Catalog, now: datetime) -> Submission:
    """To be called by `event_fields.taken`. `now` is the time of an event that tells none."""
    return _submission(_structured.decode(document), catalog, now)


def from_binary(data: bytes, attributes: Mapping[str, str], catalog: Catalog, now: datetime) -> Submission:
    """Likewise."""
    return _submission(msgspec.convert({**attributes, "data": msgspec.Raw(data)}, CloudEvent), catalog, now)


def _submission(cloud: CloudEvent, catalog: Catalog, now: datetime) -> Submission:
    if cloud.specversion != "1.0":
        raise InvalidEvent("specversion", f"{written_form.clipped(cloud.specversion)!r} is not known; expected '1.0'")
    words = cloud.type.split(".")
    if len(words) < 2:
        shown = written_form.clipped(cloud.type)
        raise InvalidEvent("type", f"{shown!r} does not end in <resource>.<action>, such as com.example.Item.Created")
    resource, action = catalog.check_event(words[-2], words[-1], path=("type", "type"))
    entity = event_fields.object_at("data", bytes(cloud.data))
    event = Event(
        id=event_fields.identity(cloud.id, "id"),
        project_id="",
        resource=resource,
        action=action,
        entity_id=event_fields.entity_id(cloud.subject, "subject", entity, "data"),
        entity=entity,
        actor=event_fields.actor(cloud.actor),
        time=event_fields.utc(cloud.time, now),
        causation=(
            causation.from_header(cloud.causation) if cloud.causation else causation.from_foreign(cloud.causationid)
        ),
        traceparent=traceparent.checked(cloud.traceparent),
        tracestate=tracestate.beside(cloud.traceparent, cloud.tracestate),
    )
    return Submission(event_fields.project(cloud.project, "project"), event)
