"""Triggers and events as the engine's stages see them, made for a test."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import orjson

from backbone.model import dql
from backbone.model.causation import Causation, Link
from backbone.model.events import Event, RecordedEvent
from backbone.model.matches import LiveTrigger, Matches

PROJECT = "00000000-0000-4000-8000-000000000001"
RECEIVED = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)


def live_trigger(id: str = "trigger", filter: Any = None, **changes: Any) -> LiveTrigger:
    given: dict[str, Any] = {
        "id": id,
        "name": f"name of {id}",
        "version": 1,
        "project_id": PROJECT,
        "service_id": "service",
        "function_name": "run",
        "resource": "Item",
        "actions": ("Created",),
        "filter": dql.compile(filter),
        "once": True,
        "input": None,
        "max_attempts": 3,
    }
    return LiveTrigger(**{**given, **changes})


def recorded(
    id: str = "event",
    entity: Any = None,
    *,
    written: bytes | None = None,
    received: datetime = RECEIVED,
    **changes: Any,
) -> RecordedEvent:
    """`written`: the entity as it arrived, when it is no JSON."""
    given: dict[str, Any] = {
        "id": id,
        "project_id": PROJECT,
        "resource": "Item",
        "action": "Created",
        "entity_id": "entity",
        "entity": orjson.dumps(entity or {"id": "entity"}) if written is None else written,
        "time": RECEIVED,
    }
    return RecordedEvent(event=Event(**{**given, **changes}), received=received)


def match(trigger: LiveTrigger, recorded: RecordedEvent) -> Matches:
    return Matches(recorded, [trigger], index_version=1)


def chain(triggers: Sequence[str]) -> Causation:
    return Causation(
        tuple(Link(event=f"e{n}", trigger=trigger, execution=f"x{n}") for n, trigger in enumerate(triggers))
    )
