"""Every operation of the API, once: the router and the OpenAPI document are made from this list."""

from __future__ import annotations

import functools
from typing import Any

import orjson

from gateway import (
    agents,
    claims,
    cron,
    dead_letters,
    events,
    executions,
    explanations,
    health,
    incidents,
    openapi,
    packages,
    projects,
    query,
    services,
    trigger_history,
    trigger_reasons,
    triggers,
)
from gateway.answers import Answer
from gateway.operations import Call, Operation


async def _show(call: Call) -> Any:
    return Answer(200, _written())


@functools.cache
def _written() -> bytes:
    return orjson.dumps(openapi.document(OPERATIONS))


OPERATIONS: tuple[Operation, ...] = (
    *explanations.OPERATIONS,  # its path is longer, and an event's id may hold slashes
    *events.OPERATIONS,
    *projects.OPERATIONS,
    *packages.OPERATIONS,
    *services.OPERATIONS,
    *agents.OPERATIONS,
    *triggers.OPERATIONS,
    *cron.OPERATIONS,
    *trigger_history.OPERATIONS,
    *trigger_reasons.OPERATIONS,
    *claims.OPERATIONS,
    *executions.OPERATIONS,
    *query.OPERATIONS,
    *dead_letters.OPERATIONS,
    *incidents.OPERATIONS,
    *health.OPERATIONS,
    Operation(method="GET", path="/openapi.json", summary="This document", handler=_show, answers=dict[str, Any]),
)
