"""A trigger of no project listens in every one; what it runs belongs to the project of the event."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest

from backbone.model.resources import ExecutionMode
from backbone.store import definitions
from tests.support.gateway import Api, gateway
from tests.support.running import Running, running


@pytest.fixture
async def api(database: str) -> AsyncIterator[Api]:
    async with gateway(database) as api:
        yield api


def written(service: str, **changed: Any) -> dict[str, Any]:
    spec = {"resource": "Item", "actions": ["Created"], "operation": {"service": service}}
    return {"name": "everywhere", "global": True, "spec": spec, **changed}


async def test_it_is_made_without_a_project_and_its_service_found_in_any(api: Api) -> None:
    service = await api.service()
    made = await api.post("/triggers", written("grey"))
    assert (made["projectId"], made["global"]) == (None, True)
    assert made["spec"]["operation"]["serviceId"] == service["id"]
    assert await api.get(f"/triggers/{made['id']}") == made
    assert (await api.trigger(service["id"]))["global"] is False


async def test_a_service_of_its_name_in_several_projects_must_be_given_by_id(api: Api) -> None:
    await api.service()
    other = await api.service("grey", "elsewhere")
    refused = await api.post("/triggers", written("grey"), 400)
    assert (refused["path"], "several projects" in refused["message"]) == ("spec.operation.service", True)
    assert "in any project" in (await api.post("/triggers", written("none"), 400))["message"]
    made = await api.post("/triggers", written(other["id"]))
    assert made["spec"]["operation"]["serviceId"] == other["id"]


async def test_it_names_no_project_beside(api: Api) -> None:
    await api.service()
    for named in ({"project": "demo"}, {"projectId": "demo"}):
        refused = await api.post("/triggers", written("grey", **named), 400)
        assert refused["path"] == "global"


async def test_without_a_project_and_without_global_the_service_decides_as_ever(api: Api) -> None:
    service = await api.service()
    made = await api.post("/triggers", written(service["id"], **{"global": None}))
    assert made["projectId"] == service["projectId"]
    refused = await api.post("/triggers", written("grey", **{"global": False}), 400)
    assert refused["path"] == "projectId"


async def test_it_is_changed_sent_back_whole_and_stays_of_every_project(api: Api) -> None:
    service = await api.service()
    made = await api.post("/triggers", written("grey"))
    changed = await api.patch(f"/triggers/{made['id']}", {**made, "active": False})
    assert {name for name in made if made[name] != changed[name]} == {"active", "version", "updatedAt"}
    for elsewhere in ({"global": False}, {"projectId": service["projectId"]}):
        await api.patch(f"/triggers/{made['id']}", elsewhere, 400)
    of_a_project = await api.trigger(service["id"])
    await api.patch(f"/triggers/{of_a_project['id']}", {"global": True}, 400)


async def test_it_is_found_among_all_by_global_and_not_in_a_project(api: Api) -> None:
    service = await api.service()
    wide, narrow = await api.post("/triggers", written("grey")), await api.trigger(service["id"])

    async def found(filter: dict[str, Any]) -> list[str]:
        page = await api.post("/query/faas", {"resource": "triggers", "filter": filter})
        assert page["totalItemsCount"] == len(page["items"])
        return [item["id"] for item in page["items"]]

    assert sorted(await found({})) == sorted([wide["id"], narrow["id"]])
    assert await found({"global": True}) == [wide["id"]]
    assert await found({"global": {"$in": [False]}, "name": "grey"}) == [narrow["id"]]
    assert await found({"global": {"$ne": True}}) == [narrow["id"]]
    assert await found({"global": "true"}) == []
    assert await found({"projectId": service["projectId"]}) == [narrow["id"]]


async def other_project(here: Running) -> str:
    return (await definitions.make_project(here.parts.database.pool, "other")).id


@pytest.mark.parametrize("mode", ExecutionMode)
async def test_events_of_any_project_fire_it_each_in_its_own(
    database: str, tmp_path: Path, mode: ExecutionMode
) -> None:
    """The same ids in two projects are two entities and two events."""
    code = "def run(item):\n    return item['id']\n"
    async with running(database, tmp_path, code, triggers=[]) as here:
        await here.trigger(actions=["Updated"], mode=mode, org_wide=True)
        event = here.event("1", action="Updated")
        elsewhere = msgspec.structs.replace(event, project_id=await other_project(here))
        await here.publish(event, elsewhere)
        executions = await here.until_ended(2)
        await here.publish(event, elsewhere)
        again = msgspec.structs.replace(event, id="2")
        await here.publish(again)
        if mode is ExecutionMode.ALWAYS:
            executions = await here.until_ended(3)
        await here.until(
            "SELECT NOT EXISTS (SELECT FROM event, reader WHERE (event.xid, event.seq) > (reader.xid, reader.seq))"
        )
        of_both = [UUID(event.project_id), UUID(elsewhere.project_id)]
        expected = [*of_both, of_both[0]] if mode is ExecutionMode.ALWAYS else of_both
        found = await here.rows("SELECT * FROM execution")
        assert sorted(one["project_id"] for one in found) == sorted(expected)
        assert {one["status"] for one in executions} == {"success"}
