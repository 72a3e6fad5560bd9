"""A document that PostgreSQL makes to look at is the one that clients get, for every resource."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import orjson
import pytest

from backbone.model import causation, ids
from backbone.model.causation import Causation, Link
from backbone.model.executions import NewExecution, Settlement, StatusLine
from backbone.model.states import ExecutionStatus
from backbone.store import executions, executions_read, finding
from backbone.store.queries import sql
from gateway.query import RESOURCES
from tests.support.gateway import Api, gateway

NOW = datetime(2024, 5, 2, 12, 0, 0, 100_000, tzinfo=UTC)
ENTITIES: list[tuple[str, str, dict[str, Any]]] = [
    ("Item", "Created", {"id": "i1", "datasetId": "d1", "name": "é"}),
    ("ItemStatus", "taskAssigned", {"id": "i2", "datasetId": None}),
    ("Annotation", "Deleted", {"id": "a1", "itemId": {"odd": None}, "datasetId": 5}),
    ("Dataset", "Updated", {"id": "d1", "datasetId": "d0"}),
    ("Task", "Created", {"id": "t1"}),
]


@pytest.fixture
async def api(database: str) -> AsyncIterator[Api]:
    async with gateway(database) as api:
        yield api


async def compare(api: Api, resource: str) -> list[Any]:
    """The documents of the resource, which are those of both."""
    asked = RESOURCES[resource]
    collection = asked.collection
    nothing = [None] * len(collection.fields)
    async with finding.patiently(api.parts.database.pool) as connection:
        rows = await connection.fetch(sql(collection.documents), *nothing, 1_000, *collection.more)
        found = await collection.page(connection, {}, 1_000, 0)
        documents = [orjson.loads(msgspec.json.encode(one)) for one in await asked.documents(connection, found)]
    in_sql = {str(row["id"]): orjson.loads(row["document"]) for row in rows}
    assert in_sql == {document["id"]: document for document in documents}
    return documents


async def test_definitions(api: Api) -> None:
    inputs = [{"name": "item", "type": "Item", "value": {"é": [1, 2.5, None, "\\"]}}]
    modules = [
        {"name": "main", "entryPoint": "main.py", "className": None, "functions": [{"name": "run", "input": inputs}]},
        {"name": "more", "initInputs": inputs, "functions": [{"name": "run", "description": 'a "b"'}]},
    ]
    package = await api.package("other", modules=modules)
    odd = {"initParams": {"a": 1e25, "b": [0.1, "\\u0041"]}, "runtime": {"concurrency": 3}, "active": False}
    await api.post("/services", {"name": "s", "packageId": package["id"], "executionTimeout": 604800, **odd})
    service = await api.service()
    trigger = await api.trigger(service["id"], filter={"a.b": {"$in": [1, "x*", None]}}, input={"k": {"v": 1.0}})
    await api.trigger(service["id"], filter='{"a":"\\u00e9\\""}', actions=["Created", "Updated"], executionMode="Once")
    await api.patch(f"/triggers/{trigger['id']}", {"active": False})
    await api.cron(service["id"], startAt="2025-01-01T00:00:00.5", timezone="Asia/Tokyo", input={"k": 1.0}, jitter=5)
    assert len(await compare(api, "packages")) == 2
    assert len(await compare(api, "services")) == 2
    assert len(await compare(api, "triggers")) == 3


async def test_executions_of_every_kind_and_in_every_state(api: Api) -> None:
    service, gone = await api.service(), await api.service("gone")
    recorded = await triggered(api, service)
    by_hand = await api.post(f"/executions/{service['id']}", {"input": {"x": [1, {"y": None}]}})
    await api.post(f"/executions/{service['id']}", {})
    await api.post(f"/executions/{gone['id']}", {"functionName": "run"})
    lines = [
        StatusLine(
            execution_id=execution_id, attempt=1, number=1 + number, status=f"s{number}", percent=number % 100,
            at=NOW + timedelta(seconds=number % 7), output=None if number % 3 else b'"o"',
        )
        for execution_id in (recorded[0], UUID(by_hand["id"]))
        for number in range(executions_read.STATUS_LINES + 5)
    ]  # fmt: skip
    async with api.parts.database.pool.acquire() as connection:
        await executions.settle(connection, [ended(recorded[0], ExecutionStatus.SUCCESS, None)])
        await executions.settle(connection, [ended(recorded[1], ExecutionStatus.FAILED, b'{"a":[1.0,"\\u00e9"]}')])
        await executions.append_status(connection, lines)
    await api.delete(f"/services/{gone['id']}")
    assert len(await compare(api, "executions")) == len(recorded) + 3


async def test_an_output_that_no_jsonb_holds_is_looked_at_as_far_as_it_goes(api: Api) -> None:
    service = await api.service()
    recorded = await triggered(api, service)
    outputs = [b'{"a":"x\\u0000\\u0000\\\\u0000","b":5}', b'{"b":', b"\xff", b'{"b":"\\ud800"}', b"[" * 100_000]
    async with api.parts.database.pool.acquire() as connection:
        for execution_id, output in zip(recorded, outputs, strict=True):
            await executions.settle(connection, [ended(execution_id, ExecutionStatus.SUCCESS, output)])
        [found] = await connection.fetch("SELECT stored_json($1) ->> 'a' AS a", outputs[0])
    assert found["a"] == "x\ufffd\ufffd\\u0000"
    for filter_, total in (({"output.b": {"$gt": 0}}, 1), ({"output": {"$exists": True}, "creator": "*"}, 1)):
        asked = {"resource": "executions", "filter": {"id": str(recorded[0]), **filter_}}
        assert (await api.post("/query/faas", asked))["totalItemsCount"] == total
    async with finding.patiently(api.parts.database.pool) as connection:
        rows = await connection.fetch(sql("document/executions"), *[None] * 6, 10, 10)
    assert sorted(orjson.loads(row["document"])["output"] is None for row in rows) == [False, True, True, True, True]


async def triggered(api: Api, service: Any) -> list[UUID]:
    """An execution of each resource, as the engine records them."""
    today = datetime.now(UTC)
    new = []
    for number, (resource, action, entity) in enumerate(ENTITIES):
        event = {"id": f"e{number}", "resource": resource, "action": action, "entity": entity}
        published = await api.publish(orjson.dumps({**event, "projectId": service["projectId"]}))
        assert published.status_code < 300, published.text
        led = causation.encode(Causation((Link("e0", "t0", "x0"),))) if number % 2 else None
        new.append(
            NewExecution(
                id=ids.execution_id(today, "t1", f"e{number}"), project_id=service["projectId"],
                service_id=service["id"], trigger_id="t1", function_name="run", max_attempts=3,
                event_day=today.date(), event_id=f"e{number}", resource=resource, action=action,
                entity_id=entity["id"], once=True, came_by=led,
                input=b'{"item":1,"size":1.50}' if number % 2 else None,
            )
        )  # fmt: skip
    async with api.parts.database.pool.acquire() as connection:
        return [execution_id for execution_id, _ in await executions.record(connection, new, queue_too=True)]


def ended(execution_id: UUID, status: ExecutionStatus, output: bytes | None) -> Settlement:
    now = datetime.now(UTC)
    return Settlement(
        id=execution_id, attempt=1, next_attempt=1, status=status, ended_as=status.value, started_at=now,
        ended_at=now + timedelta(seconds=1), duration=0.1, percent=40, output=output, message="m", traceback="t\n  x",
    )  # fmt: skip
