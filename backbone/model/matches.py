"""A match: an event and a trigger that wants to know of it."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from backbone.model.dql import Filter
from backbone.model.events import RecordedEvent


# Compared by identity: an index holds each once, and looks for it among thousands.
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LiveTrigger:
    """A trigger as the engine holds it: active, its service too, its filter compiled."""

    id: str
    name: str
    version: int
    project_id: str | None  #: None: of every project
    service_id: str
    function_name: str
    resource: str
    actions: tuple[str, ...]
    filter: Filter
    once: bool
    input: bytes | None  #: JSON object of constant arguments, None when there are none
    max_attempts: int


class Match(msgspec.Struct, frozen=True, gc=False):
    trigger: LiveTrigger
    recorded: RecordedEvent
    index_version: int = 0  #: of the index that found it
