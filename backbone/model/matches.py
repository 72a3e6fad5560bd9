"""Matches: an event and the triggers that want to know of it."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from backbone.model.dql import Filter
from backbone.model.events import RecordedEvent
from backbone.model.loops import LoopProtection

VERSIONS_OF_SERVICES = 1_000_000
"""The version of a live trigger is the trigger's, times this, and its service's: it grows with a change of either."""


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
    loop_protection: LoopProtection = LoopProtection.AVOID_LOOP


class Matches(msgspec.Struct, frozen=True, gc=False):
    """Those of one event: one object for all, as there may be thousands."""

    recorded: RecordedEvent
    triggers: list[LiveTrigger]  #: at least one, each once
    index_version: int  #: of the index that found them
