"""An execution in the API's shape: the row, its status log and its event told as the platform tells them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import asyncpg
import msgspec
import orjson

from backbone.model.executions import StatusLine
from backbone.store import executions, executions_read
from backbone.store.executions_read import StoredExecution
from gateway import shapes

_PARENTS = {"item_id": "itemId", "dataset_id": "datasetId"}
"""Ids of what the entity belongs to: how inputs spell them, and how entities do."""

_ENTITY_OF = {"ItemStatus": "Item"}
_CONTEXT_OF = {"ItemStatus": "items.status"}


async def of(connection: asyncpg.Connection, stored: Sequence[StoredExecution]) -> list[shapes.ExecutionShape]:
    lines = await executions_read.status_lines(connection, [one.id for one in stored])
    return [document(one, lines.get(one.id, [])) for one in stored]


def document(of: StoredExecution, lines: Sequence[StatusLine]) -> shapes.ExecutionShape:
    entity = orjson.loads(of.entity) if of.entity is not None else {}
    status = [_created(of), *map(_line, lines)]
    latest = _latest(of, status)
    return shapes.ExecutionShape(
        id=str(of.id),
        project_id=of.project_id,
        service_id=of.service_id,
        service_name=of.service_name,
        module_name=of.module_name,
        package_id=of.package_id,
        package_revision=None if of.package_revision is None else f"1.0.{of.package_revision}",
        function_name=of.function_name,
        trigger_id=of.trigger_id,
        input=_input(of, entity),
        output=_json(of.output),
        status=status,
        status_log=status,
        latest_status=latest,
        attempts=of.attempt,
        max_attempts=of.max_attempts,
        to_terminate=of.to_terminate,
        duration=of.duration,
        resources=_resources(of),
        event_context=_event_context(of, entity),
        causation=executions.chain(of.id, of.trigger_id, of.event_id, of.came_by),
        created_at=of.created_at,
        updated_at=latest.timestamp,
        creator=of.creator,
    )


def _created(of: StoredExecution) -> shapes.StatusShape:
    return shapes.StatusShape(timestamp=of.created_at, status="created", percent_complete=0)


def _line(line: StatusLine) -> shapes.StatusShape:
    return shapes.StatusShape(
        timestamp=line.at,
        status=line.status,
        percent_complete=line.percent,
        message=line.message,
        output=_json(line.output),
    )


def _latest(of: StoredExecution, status: Sequence[shapes.StatusShape]) -> shapes.StatusShape:
    """The execution's own status: what a function says of itself (`completed`) stands in the list and ends nothing."""
    return shapes.StatusShape(
        timestamp=max(status[-1].timestamp, of.finished_at or of.started_at or of.created_at),
        status=of.status.value,
        percent_complete=of.percent,
        message=of.message,
        error=of.traceback,
        output=_json(of.output),
    )


def _input(of: StoredExecution, entity: dict[str, Any]) -> Any:
    """What the function is called with: the entity by its ids, and the trigger's constant arguments beside it."""
    if of.resource is None or of.entity_id is None:
        return _json(of.input or b"{}")
    name = _ENTITY_OF.get(of.resource, of.resource).lower()
    parents = {ours: entity[theirs] for ours, theirs in _PARENTS.items() if entity.get(theirs) is not None}
    constants = orjson.loads(of.input) if of.input is not None else {}
    return {**constants, name: {**parents, f"{name}_id": of.entity_id}}


def _resources(of: StoredExecution) -> list[shapes.ResourceShape]:
    if of.resource is None or of.entity_id is None:
        return []
    return [shapes.ResourceShape(id=of.entity_id, type=_ENTITY_OF.get(of.resource, of.resource))]


def _event_context(of: StoredExecution, entity: dict[str, Any]) -> shapes.EventContext | None:
    if of.resource is None or of.entity_id is None or of.event_id is None or of.action is None:
        return None
    dataset = entity.get("datasetId")
    return shapes.EventContext(
        resource=_CONTEXT_OF.get(of.resource, f"{of.resource.lower()}s"),
        action=of.action[:1].lower() + of.action[1:],
        source="unknown",
        resource_id=of.entity_id,
        dataset_id=dataset if isinstance(dataset, str) else None,
        project_id=of.project_id,
        event_id=of.event_id,
    )


def _json(text: bytes | None) -> Any:
    """Passed on as it is kept."""
    return None if text is None else msgspec.Raw(text)
