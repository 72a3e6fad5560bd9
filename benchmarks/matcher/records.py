"""Events and triggers as the engine's matcher takes them, and the batches in which it gets them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from backbone.model import dql
from backbone.model.events import Event, RecordedEvent
from backbone.model.matches import LiveTrigger

PROJECT = "00000000-0000-4000-8000-000000000001"
BATCH = 300
TIME = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)


def trigger(
    id: str, filter: object, *, project: str = PROJECT, resource: str = "Item", action: str = "Created"
) -> LiveTrigger:
    return LiveTrigger(
        id=id,
        name=id,
        version=1,
        project_id=project,
        service_id="service",
        function_name="run",
        resource=resource,
        actions=(action,),
        filter=dql.compile(filter),
        once=True,
        input=None,
        max_attempts=3,
    )


def recorded(
    id: str, entity: bytes, *, project: str = PROJECT, resource: str = "Item", action: str = "Created"
) -> RecordedEvent:
    event = Event(id=id, project_id=project, resource=resource, action=action, entity_id=id, entity=entity, time=TIME)
    return RecordedEvent(event=event, received=TIME)


def batches(records: Sequence[RecordedEvent]) -> list[Sequence[RecordedEvent]]:
    return [records[start : start + BATCH] for start in range(0, len(records), BATCH)]
