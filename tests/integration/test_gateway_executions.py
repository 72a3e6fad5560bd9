"""Executions over HTTP: begun by hand or by a trigger, shown, found, run again, ended."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import httpx
import orjson
import pytest

from backbone.model import causation, ids
from backbone.model.causation import Causation, Link
from backbone.model.executions import NewExecution, Settlement
from backbone.model.messages import Logged
from backbone.model.states import ExecutionStatus
from backbone.store import executions
from gateway import carried
from tests.support.gateway import API, Api, gateway


@pytest.fixture
async def api(database: str) -> AsyncIterator[Api]:
    async with gateway(database) as api:
        yield api


async def settle(api: Api, execution_id: str, status: ExecutionStatus, **changes: Any) -> None:
    settlement = Settlement(
        id=UUID(execution_id),
        attempt=1,
        status=status,
        next_attempt=1,
        ended_at=datetime.now(UTC),
        ended_as=status.value,
        **changes,
    )
    async with api.parts.database.pool.acquire() as connection:
        await executions.settle(connection, [settlement])


async def triggered(api: Api, service: Any, resource: str, entity: dict[str, Any]) -> str:
    """An execution as the engine records it."""
    document = {
        "id": "e1",
        "resource": resource,
        "action": "Created",
        "entity": entity,
        "projectId": service["projectId"],
    }
    await api.publish(orjson.dumps(document))
    async with api.parts.database.pool.acquire() as connection:
        now = datetime.now(UTC)
        new = NewExecution(
            id=ids.execution_id(now, "t1", "e1"), project_id=service["projectId"], service_id=service["id"],
            trigger_id="t1", function_name="run", max_attempts=3, event_day=now.date(), event_id="e1",
            resource=resource, action="Created", entity_id=entity["id"], once=True, input=b'{"size":3}',
            came_by=causation.encode(Causation((Link("e0", "t0", "x0"),))),
        )  # fmt: skip
        [(execution_id, _)] = await executions.record(connection, [new], queue_too=True)
    return str(execution_id)


async def query(api: Api, filter_: Any, expected: int = 200, **more: Any) -> Any:
    return await api.post("/query/faas", {"resource": "executions", "filter": filter_, **more}, expected)


async def test_an_execution_by_hand_stands_in_the_queue_and_is_shown_as_created(api: Api) -> None:
    service = await api.service()
    made = await api.post(f"/executions/{service['id']}", {"functionName": "run", "input": {"item": {"item_id": "i1"}}})
    assert (made["serviceName"], made["packageRevision"], made["attempts"]) == ("grey", "1.0.0", 1)
    assert made["input"] == {"item": {"item_id": "i1"}}
    assert [line["status"] for line in made["status"]] == ["created"]
    assert made["latestStatus"]["status"] == "queued"
    assert made["triggerId"] is None
    assert await api.get(f"/executions/{made['id']}") == made
    [waiting] = await api.fetch("SELECT * FROM queue")
    assert (str(waiting["execution_id"]), waiting["service_id"]) == (made["id"], service["id"])


async def test_an_execution_that_an_execution_asks_for_goes_on_with_its_chain(api: Api) -> None:
    service = await api.service()
    trigger = await api.cron(service["id"])
    led = Causation((Link("e0", "t0", "x0"), Link("", "", "x1")))
    for path in (f"/executions/{service['id']}", f"/triggers/{trigger['id']}/run"):
        made = (await called(api, path, led)).json()
        of = made["triggerId"] or ""
        assert made["causation"]["chain"] == [
            {"event": "e0", "trigger": "t0", "execution": "x0"},
            {"event": "", "trigger": "", "execution": "x1"},
            {"event": "", "trigger": of, "execution": made["id"]},
        ]
        assert await api.get(f"/executions/{made['id']}") == made
    forged = await api.client.post(
        f"{API}/executions/{service['id']}", json={}, headers={carried.HEADER: causation.to_header(led)}
    )
    assert (forged.status_code, forged.json()["path"]) == (400, f"{carried.HEADER}.signature")


async def test_a_call_at_the_end_of_a_long_chain_is_refused_until_a_person_allows_it(api: Api) -> None:
    service = await api.service()
    led = Causation(tuple(Link(f"e{number}", "t0", f"x{number}") for number in range(10)))
    path = f"/executions/{service['id']}"
    for times in (1, 2):
        refused = await called(api, path, led)
        assert refused.status_code == 409
        [incident] = (await api.get("/incidents"))["items"]
        assert f"the limit is 10 (incident {incident['id']})" in refused.json()["message"]
        assert (incident["kind"], incident["stopped"], incident["triggerId"]) == ("depth", times, "t0")
        assert len(incident["chain"]) == 10
    assert (await called(api, path, Causation(led.chain[1:]))).status_code == 200
    await api.post(f"/incidents/{incident['id']}/release")
    assert (await called(api, path, led)).status_code == 409
    [again, _] = (await api.get("/incidents"))["items"]
    await api.post(f"/incidents/{again['id']}/allow")
    assert (await called(api, path, led)).status_code == 200


async def called(api: Api, path: str, led: Causation) -> httpx.Response:
    """As the function of the chain's last execution does it."""
    signed = causation.signed(led, await api.parts.signing_key.get())
    return await api.client.post(API + path, json={}, headers={carried.HEADER: causation.to_header(signed)})


async def test_an_execution_needs_a_service_and_its_project(api: Api) -> None:
    service = await api.service()
    await api.post("/projects", {"name": "other"})
    await api.post(f"/executions/{'0' * 24}", {}, 404)
    refused = await api.post(f"/executions/{service['id']}", {"projectId": "other"}, 400)
    assert refused["path"] == "projectId"
    refused = await api.post(f"/executions/{service['id']}", {"input": [1]}, 400)
    assert refused["path"] == "input"
    assert await api.fetch("SELECT FROM execution") == []


@pytest.mark.parametrize(
    ("resource", "entity", "name", "value", "context"),
    [
        ("Item", {"id": "i1", "datasetId": "d1"}, "item", {"item_id": "i1", "dataset_id": "d1"}, "items"),
        ("ItemStatus", {"id": "i1"}, "item", {"item_id": "i1"}, "items.status"),
        ("Dataset", {"id": "d1"}, "dataset", {"dataset_id": "d1"}, "datasets"),
        (
            "Annotation",
            {"id": "a1", "itemId": "i1", "datasetId": "d1"},
            "annotation",
            {"annotation_id": "a1", "item_id": "i1", "dataset_id": "d1"},
            "annotations",
        ),
    ],
)
async def test_a_triggered_execution_shows_the_entity_as_its_input(
    api: Api, resource: str, entity: dict[str, Any], name: str, value: dict[str, str], context: str
) -> None:
    service = await api.service()
    execution_id = await triggered(api, service, resource, entity)
    shown = await api.get(f"/executions/{execution_id}")
    assert shown["input"] == {"size": 3, name: value}
    assert shown["eventContext"]["resource"] == context
    assert shown["eventContext"]["resourceId"] == entity["id"]
    assert shown["causation"]["chain"] == [
        {"event": "e0", "trigger": "t0", "execution": "x0"},
        {"event": "e1", "trigger": "t1", "execution": execution_id},
    ]
    assert (shown["triggerId"], shown["creator"]) == ("t1", "piper")


async def test_a_failed_execution_shows_why(api: Api) -> None:
    service = await api.service()
    made = await api.post(f"/executions/{service['id']}", {})
    await settle(api, made["id"], ExecutionStatus.FAILED, message="no", traceback="Traceback: no", duration=1.5)
    shown = await api.get(f"/executions/{made['id']}")
    latest = shown["latestStatus"]
    assert (latest["status"], latest["message"], latest["error"]) == ("failed", "no", "Traceback: no")
    assert [line["status"] for line in shown["statusLog"]] == ["created", "failed"]
    assert shown["duration"] == 1.5


async def test_a_rerun_keeps_the_id_and_waits_to_be_queued(api: Api) -> None:
    service = await api.service()
    made = await api.post(f"/executions/{service['id']}", {})
    refused = await api.post(f"/executions/{made['id']}/rerun", expected=409)
    assert "queued" in refused["message"]
    await settle(api, made["id"], ExecutionStatus.SUCCESS, output=b'"done"')
    again = await api.post(f"/executions/{made['id']}/rerun")
    assert (again["id"], again["latestStatus"]["status"], again["attempts"]) == (made["id"], "created", 2)
    assert again["output"] is None
    assert [line["status"] for line in again["status"]] == ["created", "success"]
    assert len(await api.fetch("SELECT FROM pending")) == 1
    await api.post(f"/executions/{'0' * 8}-0000-0000-0000-{'0' * 12}/rerun", expected=404)


async def test_terminating_what_only_waits_ends_it_now(api: Api) -> None:
    service = await api.service()
    made = await api.post(f"/executions/{service['id']}", {})
    ended = await api.post(f"/executions/{made['id']}/terminate")
    assert (ended["toTerminate"], ended["latestStatus"]["status"]) == (True, "terminated")
    assert ended["status"][-1]["status"] == "terminated"
    await api.post(f"/executions/{made['id']}/terminate", expected=409)


async def test_terminating_what_runs_asks_its_agent(api: Api) -> None:
    service = await api.service()
    made = await api.post(f"/executions/{service['id']}", {})
    await api.fetch("UPDATE execution SET status = 'in-progress'")
    await api.fetch("INSERT INTO lease SELECT id, attempt, gen_random_uuid(), now() FROM execution")
    asked = await api.post(f"/executions/{made['id']}/terminate")
    assert (asked["toTerminate"], asked["latestStatus"]["status"]) == (True, "in-progress")


async def test_progress_is_shown_and_ends_nothing(api: Api) -> None:
    service = await api.service()
    made = await api.post(f"/executions/{service['id']}", {})
    told = {"status": "completed", "percentComplete": 40, "message": "nearly", "output": {"n": 1}}
    shown = await api.post(f"/executions/{made['id']}/progress", told)
    shown = await api.post(f"/executions/{made['id']}/progress", {"percentComplete": 45})
    assert [line["status"] for line in shown["status"]] == ["created", "completed", "queued"]
    latest = shown["latestStatus"]
    assert (latest["status"], latest["percentComplete"], latest["message"]) == ("queued", 45, "nearly")
    assert shown["output"] == {"n": 1}
    refused = await api.post(f"/executions/{made['id']}/progress", {"percentComplete": 101}, 400)
    assert refused["path"] == "percentComplete"
    await settle(api, made["id"], ExecutionStatus.SUCCESS)
    await api.post(f"/executions/{made['id']}/progress", {"percentComplete": 50}, 409)


async def test_the_latest_log_lines_are_shown_oldest_first(api: Api) -> None:
    service = await api.service()
    made = await api.post(f"/executions/{service['id']}", {})
    at = datetime.now(UTC)
    lines = [{"timestamp": at, "level": "INFO", "message": str(number)} for number in range(6)]
    async with api.parts.database.pool.acquire() as connection:
        await executions.append_logs(
            connection,
            [
                Logged(
                    execution_id=UUID(made["id"]), attempt=1, number=number, at=at,
                    lines=orjson.dumps(lines[2 * number : 2 * number + 2]),
                )
                for number in range(3)
            ],
        )  # fmt: skip
    shown = await api.get(f"/executions/{made['id']}/logs?limit=3")
    assert [line["message"] for line in shown["logs"]] == ["3", "4", "5"]
    assert {line["attempt"] for line in shown["logs"]} == {1}
    assert await api.get(f"/executions/{await triggered(api, service, 'Item', {'id': 'i1'})}/logs") == {"logs": []}


async def test_executions_are_found_newest_first_and_page_by_page(api: Api) -> None:
    service, other = await api.service(), await api.service("other")
    made = [(await api.post(f"/executions/{service['id']}", {}))["id"] for _ in range(5)]
    await api.post(f"/executions/{other['id']}", {})
    mine = {"$and": [{"serviceId": service["id"]}, {"projectId": None}]}
    first = await query(api, mine, pageSize=2)
    assert [item["id"] for item in first["items"]] == made[:-3:-1]
    assert (first["totalItemsCount"], first["totalPagesCount"], first["hasNextPage"]) == (5, 3, True)
    last = await query(api, mine, pageSize=2, page=2, sort={"createdAt": "descending"})
    assert ([item["id"] for item in last["items"]], last["hasNextPage"]) == (made[:1], False)
    oldest = await query(api, mine, pageSize=2, sort={"createdAt": "ascending"})
    assert [item["id"] for item in oldest["items"]] == made[:2]


async def test_executions_are_found_by_each_field_that_clients_ask_for(api: Api) -> None:
    service = await api.service()
    hand = (await api.post(f"/executions/{service['id']}", {"functionName": "other"}))["id"]
    event = await triggered(api, service, "Item", {"id": "i1"})
    await settle(api, event, ExecutionStatus.SUCCESS)
    for filter_, expected in (
        ({}, [hand, event]),
        ({"id": {"$in": [hand, "nonsense"]}}, [hand]),
        ({"triggerId": "t1", "projectId": service["projectId"]}, [event]),
        ({"functionName": {"$eq": "other"}}, [hand]),
        ({"latestStatus.status": {"$in": ["success", "inProgress"]}}, [event]),
        ({"latestStatus.status": "succ*"}, [event]),
        ({"resources": {"$match": {"id": "i1", "type": "Item"}}}, [event]),
        ({"$or": [{"resources.id": "i1"}, {"functionName": "other"}]}, [hand, event]),
        ({"projectId": "nonsense"}, []),
        ({"$and": [{"id": hand}, {"id": event}]}, []),
    ):
        found = await query(api, filter_)
        assert sorted(item["id"] for item in found["items"]) == sorted(expected), filter_
        assert found["totalItemsCount"] == len(expected)


async def test_definitions_are_found_as_the_sdk_asks_for_them(api: Api) -> None:
    service = await api.service()
    trigger = await api.trigger(service["id"])
    other = {"global": {"$ne": True}}
    for resource, filter_, expected in (
        ("packages", {"$and": [other, {"name": "grey"}, {"projectId": None}]}, service["packageId"]),
        ("services", {"$and": [other, {"packageId": service["packageId"]}]}, service["id"]),
        ("triggers", {"$and": [{"spec.operation.serviceId": service["id"]}, {"name": "grey"}]}, trigger["id"]),
        ("triggers", {"spec.operation.id": None, "id": {"$gt": "0"}}, trigger["id"]),
    ):
        found = await api.post("/query/faas", {"resource": resource, "filter": filter_, "pageSize": 1000})
        assert [item["id"] for item in found["items"]] == [expected]


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"resource": "items"}, "resource"),
        ({"pageSize": 1001}, "pageSize"),
        ({"page": -1}, "page"),
        ({"page": 10**12}, "page"),
        ({"filter": {"a": {"$regex": "x"}}}, "filter.a.$regex"),
        ({"filter": {"$or": [{"a": 1}] * 10_000}}, "filter"),
        ({"sort": {"id": "up"}}, "sort.id"),
        ({"sort": {"id": "ascending", "name": "ascending"}}, "sort"),
    ],
)
async def test_a_query_that_cannot_be_is_refused_by_the_field(api: Api, changes: dict[str, Any], path: str) -> None:
    refused = await api.post("/query/faas", {"resource": "executions", **changes}, 400)
    assert refused["path"] == path


async def test_a_query_that_would_look_at_too_many_is_refused(api: Api) -> None:
    service = await api.service()
    await api.fetch(
        "INSERT INTO execution (id, project_id, service_id, function_name, status, max_attempts, creator)"
        " SELECT (lpad(to_hex((extract(epoch FROM now()) * 1000)::bigint), 12, '0') || lpad(to_hex(n), 20, '0'))::uuid,"
        " $1, $2, 'run', 'success', 1, 'test' FROM generate_series(1, 5001) AS n",
        UUID(service["projectId"]),
        service["id"],
    )
    refused = await query(api, {"functionName": "r*"}, 400)
    assert "more than 5,000 executions" in refused["message"]
    assert (await query(api, {"functionName": "run"}))["totalItemsCount"] == 5001
