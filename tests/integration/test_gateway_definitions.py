"""Projects, packages, services and triggers over HTTP."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from backbone.model import causation
from backbone.model.causation import Causation, Link
from tests.support.gateway import API, Api, codebase_zip, gateway


@pytest.fixture
async def api(database: str) -> AsyncIterator[Api]:
    async with gateway(database) as api:
        yield api


async def test_a_project_is_made_once_and_found_by_id_and_by_name(api: Api) -> None:
    made = await api.post("/projects", {"name": "demo"})
    form = await api.client.post(f"{API}/projects", data={"name": "demo"})
    assert form.json() == made
    assert await api.get(f"/projects/{made['id']}") == made
    assert await api.get("/projects/demo/name") == [made]
    assert await api.get("/projects") == [made]


async def test_a_codebase_comes_back_as_it_was_and_must_be_a_zip(api: Api) -> None:
    kept = await api.client.post(f"{API}/codebases", content=codebase_zip())
    again = await api.client.post(f"{API}/codebases", content=codebase_zip())
    assert kept.json() == again.json()
    shown = await api.client.get(f"{API}/codebases/{kept.json()['id']}")
    assert shown.content == codebase_zip()
    assert shown.headers["content-type"] == "application/zip"
    refused = await api.client.post(f"{API}/codebases", content=b"print()")
    assert (refused.status_code, refused.json()["message"]) == (400, "the body is no zip archive")


async def test_every_change_of_a_package_is_one_more_revision(api: Api) -> None:
    first = await api.package()
    assert (first["version"], first["revision"]) == ("1.0.0", 0)
    pushed = await api.package()
    assert (pushed["id"], pushed["version"]) == (first["id"], "1.0.1")
    functions = [{"name": "main", "entryPoint": "other.py", "functions": []}]
    patched = await api.patch(f"/packages/{first['id']}", {**pushed, "modules": functions})
    assert patched["modules"][0]["entryPoint"] == "other.py"
    versions = [one["version"] for one in await api.get(f"/packages/{first['id']}/revisions")]
    assert versions == ["1.0.2", "1.0.1", "1.0.0"]
    assert (await api.get(f"/packages/{first['id']}?revision=0"))["modules"] == first["modules"]
    await api.get(f"/packages/{first['id']}?revision=7", expected=404)


async def test_a_package_needs_a_codebase_that_is_here(api: Api) -> None:
    document = {"name": "grey", "modules": [{}], "codebase": {"type": "item", "itemId": "0" * 24}}
    refused = await api.post("/packages", document, 400)
    assert refused["path"] == "codebase.itemId"
    assert await api.get("/projects") == []


async def test_a_package_that_is_used_is_not_deleted(api: Api) -> None:
    service = await api.service()
    assert "in use" in (await api.delete(f"/packages/{service['packageId']}", 409))["message"]
    await api.delete(f"/services/{service['id']}")
    await api.delete(f"/packages/{service['packageId']}")
    await api.get(f"/packages/{service['packageId']}", expected=404)


async def test_a_service_is_made_with_what_it_does_not_say_filled_in(api: Api) -> None:
    package = await api.package()
    document = {"name": "grey", "packageName": "grey", "project": "demo", "runtime": {"replicas": 2, "concurrency": 6}}
    service = await api.post("/services", document)
    assert service["packageId"] == package["id"]
    assert (service["moduleName"], service["packageRevision"], service["active"]) == ("main", "1.0.0", True)
    assert service["runtime"] == {"concurrency": 6, "numReplicas": 2}
    assert await api.get(f"/services/{service['id']}") == service
    assert "already" in (await api.post("/services", document, 409))["message"]


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"moduleName": "nothing"}, "moduleName"),
        ({"packageRevision": "1.0.9"}, "packageRevision"),
        ({"packageId": "0" * 24}, "packageId"),
        ({"packageId": None, "packageName": "none", "project": "demo"}, "packageName"),
        ({"packageId": None}, "packageId"),
        ({"maxAttempts": 0}, "maxAttempts"),
        ({"runtime": {"concurrency": 0}}, "runtime.concurrency"),
        ({"triggers": [{}]}, "triggers"),
        ({"name": "a\x00b"}, ""),
    ],
)
async def test_a_service_that_cannot_be_is_refused_by_the_field(api: Api, changes: dict[str, Any], path: str) -> None:
    package = await api.package()
    document = {"name": "grey", "packageId": package["id"], **changes}
    refused = await api.post("/services", document, 400)
    assert refused.get("path", "") == path
    assert await api.fetch("SELECT FROM service") == []


async def test_a_service_sent_back_whole_changes_only_what_was_changed(api: Api) -> None:
    service = await api.service()
    changed = await api.patch(f"/services/{service['id']}", {**service, "maxAttempts": 7})
    assert {name for name in service if service[name] != changed[name]} == {"maxAttempts", "version", "updatedAt"}
    refused = await api.patch(f"/services/{service['id']}", {"name": "other"}, 400)
    assert refused["path"] == "name"


async def test_a_service_stops_and_resumes_and_tells_how_it_stands(api: Api) -> None:
    service = await api.service()
    assert (await api.post(f"/services/{service['id']}/stop"))["active"] is False
    assert (await api.post(f"/services/{service['id']}/resume"))["active"] is True
    await api.post(f"/executions/{service['id']}", {"functionName": "run"})
    assert await api.get(f"/services/{service['id']}/status") == {"numMessagesInQueue": 1, "runtimeStatus": []}


async def test_a_trigger_takes_its_name_and_project_from_its_service(api: Api) -> None:
    service = await api.service()
    trigger = await api.trigger(service["id"], filter={"dir": "/in"})
    assert (trigger["name"], trigger["projectId"]) == ("grey", service["projectId"])
    assert trigger["spec"]["executionMode"] == "Once"
    assert await api.get(f"/triggers/{trigger['id']}") == trigger


async def test_a_flat_trigger_names_its_project_and_service(api: Api) -> None:
    service = await api.service()
    flat = {"resource": "item", "actions": "created", "project": "demo", "service": "grey", "function": "run"}
    trigger = await api.post("/triggers", flat)
    assert trigger["spec"]["operation"]["serviceId"] == service["id"]
    changed = await api.patch(f"/triggers/{trigger['id']}", {"filter": {"name": "x"}, "function": "other"})
    assert changed["spec"]["filter"] == {"name": "x"}
    assert changed["spec"]["operation"]["functionName"] == "other"


async def test_a_trigger_sent_back_whole_changes_only_what_was_changed(api: Api) -> None:
    """As the official SDK does: the whole entity, with what it was given beside it."""
    service = await api.service()
    trigger = await api.trigger(service["id"], filter={"dir": "/in"}, input={"size": 3})
    entity = {**trigger, "active": False, "url": None, "special": False, "updatedBy": None, "scope": "project"}
    changed = await api.patch(f"/triggers/{trigger['id']}", entity)
    assert {name for name in trigger if trigger[name] != changed[name]} == {"active", "version", "updatedAt"}


async def test_a_trigger_keeps_what_a_change_does_not_name(api: Api) -> None:
    service = await api.service()
    trigger = await api.trigger(service["id"], filter={"dir": "/in"})
    changed = await api.patch(f"/triggers/{trigger['id']}", {"spec": {"actions": ["Updated"]}})
    assert changed["spec"] == {**trigger["spec"], "actions": ["Updated"]}


async def test_a_trigger_stays_in_its_project(api: Api) -> None:
    here, there = await api.service(), await api.service("other", "elsewhere")
    trigger = await api.trigger(here["id"])
    refused = await api.patch(
        f"/triggers/{trigger['id']}",
        {"projectId": there["projectId"], "spec": {"operation": {"serviceId": there["id"]}}},
        400,
    )
    assert refused["path"] == "projectId"
    refused = await api.post(
        "/triggers", {"project": "elsewhere", "resource": "Item", "actions": ["Created"], "service": here["id"]}, 400
    )
    assert refused["path"] == "spec.operation.serviceId"


async def test_an_unknown_resource_is_answered_with_the_nearest_name(api: Api) -> None:
    service = await api.service()
    operation = {"serviceId": service["id"]}
    spec = {"resource": "Itm", "actions": ["Created"], "operation": operation}
    refused = await api.post("/triggers", {"spec": spec}, 400)
    assert refused["path"] == "spec.resource"
    assert "did you mean 'Item'?" in refused["message"]


async def test_a_filter_with_ten_thousand_members_is_refused(api: Api) -> None:
    service = await api.service()
    members = [{"name": {"$in": [f"n{index}" for index in range(10_000)]}}, {"$or": [{"a": 1}] * 10_000}]
    for member in members:
        spec = {"resource": "Item", "actions": ["Created"], "filter": member, "operation": {"serviceId": service["id"]}}
        refused = await api.post("/triggers", {"spec": spec}, 400)
        assert refused["path"].startswith("spec.filter")
    assert await api.fetch("SELECT FROM trigger") == []


async def test_a_join_is_refused_when_a_trigger_is_made_and_when_its_filter_is_replaced(api: Api) -> None:
    service = await api.service()
    joined = {"filter": {"hidden": False}, "join": {"on": {"resource": "annotations"}}}
    spec = {"resource": "Item", "actions": ["Created"], "filter": joined, "operation": {"serviceId": service["id"]}}
    trigger = await api.trigger(service["id"], filter={"dir": "/in"})
    for refused in (
        await api.post("/triggers", {"spec": spec}, 400),
        await api.patch(f"/triggers/{trigger['id']}", {"filter": joined}, 400),
    ):
        assert refused["path"] == "spec.filter.join"
        assert "datasetId" in refused["message"]
    assert (await api.get(f"/triggers/{trigger['id']}"))["spec"]["filter"] == {"dir": "/in"}


async def test_a_deleted_service_takes_its_triggers_with_it(api: Api) -> None:
    service = await api.service()
    trigger = await api.trigger(service["id"])
    await api.delete(f"/services/{service['id']}")
    await api.get(f"/triggers/{trigger['id']}", expected=404)


async def test_changes_wake_those_who_follow(api: Api) -> None:
    running = asyncio.create_task(api.parts.wakeups.run())
    triggers, services = api.parts.wakeups.watch("triggers"), api.parts.wakeups.watch("services")
    async with asyncio.timeout(10):
        await asyncio.gather(triggers.wait(), services.wait())  # both are listened to now
        triggers.clear()
        services.clear()
        service = await api.service()
        await asyncio.gather(triggers.wait(), services.wait())
        triggers.clear()
        await api.trigger(service["id"])
        await triggers.wait()
    running.cancel()
    await asyncio.wait([running])


@pytest.mark.parametrize(
    "path",
    [
        "/triggers/x", "/services/%00", "/packages/0", "/codebases/..%2f", "/executions/x", "/executions/x/logs",
        "/projects/x", "/projects/%00/name", "/events/%00", "/dead-letters/x", "/dead-letters/99999999999999999999",
        f"/triggers/{'0' * 24}", "/nowhere",
    ],
)  # fmt: skip
async def test_an_id_that_is_none_is_the_id_of_nothing(api: Api, path: str) -> None:
    assert (await api.get(path, expected=404))["status"] == 404


async def test_a_method_that_a_path_does_not_have_is_told(api: Api) -> None:
    response = await api.client.put(f"{API}/triggers")
    assert (response.status_code, response.headers["allow"]) == (405, "POST")


NO_DOCUMENTS = (
    b"",
    b"[]",
    b"5",
    b"{",
    b'{"a":1',
    b'{"name":"\xff"}',
    b'{"name":"\\u0000"}',
    b'{"name":"\\ud800"}',
    b'{"name":' + b"9" * 400 + b"}",
    b'{"name":18446744073709551616}',
    b'{"name":1e999}',
    b'{"a":' * 2000 + b"1" + b"}" * 2000,
    b"[" * 100_000,
)


@pytest.mark.parametrize("path", ["/projects", "/packages", "/services", "/triggers", "/query/faas"])
async def test_a_body_that_is_no_document_is_refused_and_changes_nothing(api: Api, path: str) -> None:
    for body in NO_DOCUMENTS:
        response = await api.client.post(API + path, content=body, headers={"content-type": "application/json"})
        assert (response.status_code, body[:20]) == (400, body[:20])
        assert response.json()["message"]
    assert await api.get("/projects") == []


@pytest.mark.parametrize("how", ["actor", "chain"])
async def test_a_trigger_on_what_its_own_service_wrote_lately_is_made_with_a_warning(api: Api, how: str) -> None:
    service = await api.service()
    first = await api.trigger(service["id"], filter={"kind": "photo"})
    assert "warnings" not in first
    led = causation.signed(Causation((Link("e0", first["id"], "x0"),)), await api.parts.signing_key.get())
    by = {"actor": service["botUserName"]} if how == "actor" else {"causation": msgspec.to_builtins(led)}
    for number, written in enumerate((by, {"actor": "ann@example.com"})):
        event = {"id": f"e{number}", "resource": "Item", "action": "Created", "project": "demo", **written}
        answer = await api.publish(json.dumps({**event, "entity": {"id": "i", "kind": "gray"}}).encode())
        assert answer.status_code == 202, answer.text
    for filter, count in (({"kind": "gray"}, 1), ({"kind": "photo"}, 0), ({}, 1)):
        made = await api.trigger(service["id"], filter=filter)
        warnings = made.get("warnings", [])
        assert len(warnings) == count
        assert all("wrote 1 of the latest events" in one and "'e0'" in one for one in warnings)
    changed = await api.patch(f"/triggers/{first['id']}", {"spec": {"filter": {"kind": "gray"}}})
    assert len(changed["warnings"]) == 1
    assert "warnings" not in await api.get(f"/triggers/{first['id']}")


async def test_loop_protection_is_kept_and_checked(api: Api) -> None:
    service = await api.service()
    made = await api.trigger(service["id"])
    assert made["spec"]["loopProtection"] == "avoid-loop"
    changed = await api.patch(f"/triggers/{made['id']}", {"loopProtection": "allow-all"})
    assert changed["spec"]["loopProtection"] == "allow-all"
    refused = await api.patch(f"/triggers/{made['id']}", {"spec": {"loopProtection": "none"}}, expected=400)
    assert refused["path"] == "spec.loopProtection"
