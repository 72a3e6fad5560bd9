"""Whether the process lives, whether the whole engine works, and what it counted."""

from __future__ import annotations

import asyncio
import os
from typing import Any

import prometheus_client
from prometheus_client import multiprocess

from backbone.store import incidents
from gateway import answers, shapes
from gateway.answers import Answer
from gateway.operations import Call, Operation

NEEDED = ("engine", "dispatcher", "gateway")
"""Of each of these roles one part must be ready; without any of them nothing comes through."""

PATIENCE = 2.0  # seconds for PostgreSQL to answer


async def alive(call: Call) -> Any:
    return shapes.Alive(alive=True)


async def ready(call: Call) -> Any:
    try:
        async with asyncio.timeout(PATIENCE):
            found = await incidents.parts(call.parts.database.pool)
    except Exception as error:  # any: whatever keeps us from asking is why we are not ready
        reason = str(error) or type(error).__name__
        found = [incidents.Part(name="postgresql", role="postgresql", ready=False, detail=reason)]
    at_work = {part.role for part in found if part.ready}
    parts = [shapes.PartShape(name=one.name, role=one.role, ready=one.ready, detail=one.detail) for one in found]
    there = {part.role for part in found}
    parts += [
        shapes.PartShape(name=role, role=role, ready=False, detail="is not there")
        for role in NEEDED
        if role not in there
    ]
    is_ready = at_work.issuperset(NEEDED)
    return answers.document(shapes.Readiness(ready=is_ready, parts=parts), 200 if is_ready else 503)


async def count(call: Call) -> Any:
    text = await asyncio.to_thread(_counted)
    return Answer(200, text, prometheus_client.CONTENT_TYPE_LATEST.encode())


def _counted() -> bytes:
    """Of all processes of this machine when they count into one folder, otherwise of this one."""
    registry = prometheus_client.REGISTRY
    if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        registry = prometheus_client.CollectorRegistry()
        multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return prometheus_client.generate_latest(registry)


OPERATIONS = (
    Operation(method="GET", path="/healthz", summary="The process lives", handler=alive, answers=shapes.Alive),
    Operation(
        method="GET", path="/readyz", summary="Every part that events need is at work", handler=ready,
        answers=shapes.Readiness, also={503: shapes.Readiness},
    ),
    Operation(
        method="GET", path="/metrics", summary="What is counted, for Prometheus", handler=count, gives="text/plain",
    ),
)  # fmt: skip
