"""An event: what happened to one entity, in the one shape that everything behind the edge sees.

Documents stay bytes: `entity` and `previous` are the JSON text as it arrived, and only the matcher looks inside.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import msgspec

from backbone.model.causation import Causation

MAX_EVENT_BYTES = 1_000_000


# A struct, as thousands are made in a second: a frozen dataclass of ten fields takes fourteen times as long.
class Event(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    id: str  #: the publisher's; the same id twice in a project is one event
    project_id: str
    resource: str
    action: str
    entity_id: str
    entity: bytes  #: a JSON object
    previous: bytes | None = None  #: the entity before the change, a JSON object
    actor: str | None = None
    time: datetime  #: when it happened, by the publisher's clock
    causation: Causation | None = None
    traceparent: str | None = None  #: W3C's; see `traceparent.py`
    tracestate: str | None = None  #: only beside a traceparent; see `tracestate.py`


class RecordedEvent(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An event as the log gives it back."""

    event: Event
    received: datetime  #: by the log's clock; ids and partitions go by it, never by the publisher's


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """What could not be taken: kept with the reason, so that nothing vanishes and nothing blocks."""

    source: str  #: `http`, `log`, `cli`: where it was met
    position: str  #: the index in the request, or the offset in the log
    path: str  #: the field that is wrong
    reason: str
    body: bytes
    project_id: str | None = None
