"""Every version of a trigger is kept: what it was, who changed it, when; whoever changes it, and however it goes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.support.gateway import API, Api, gateway


@pytest.fixture
async def api(database: str) -> AsyncIterator[Api]:
    async with gateway(database) as api:
        yield api


async def history(api: Api, trigger_id: str, query: str = "") -> list[dict[str, Any]]:
    answer = await api.get(f"/triggers/{trigger_id}/history{query}")
    items: list[dict[str, Any]] = answer["items"]
    return items


async def changed_by(api: Api, name: str, method: str, path: str, document: Any = None) -> None:
    answer = await api.client.request(method, API + path, json=document, headers={"x-actor": name})
    assert answer.status_code == 200, answer.text


async def test_a_history_tells_who_changed_what_newest_first(api: Api) -> None:
    service = await api.service()
    trigger = await api.trigger(service["id"], filter={"size": 1}, input={"a": 1})
    path = f"/triggers/{trigger['id']}"
    await changed_by(api, "ann", "PATCH", path, {"spec": {"filter": {"size": True}, "input": {}}})
    await changed_by(api, "J%C3%BCrgen", "PATCH", path, {"active": False})
    await changed_by(api, "ann", "PATCH", path, {"active": True})
    told = await history(api, trigger["id"])
    assert [(one["version"], one["change"], one["actor"]) for one in told] == [
        (4, "resumed", "ann"),
        (3, "paused", "Jürgen"),
        (2, "changed", "ann"),
        (1, "made", "api"),
    ]
    assert told[2]["differences"] == [
        {"field": "spec.filter", "before": {"size": 1}, "after": {"size": True}},
        {"field": "spec.input", "before": {"a": 1}, "after": {}},
    ]
    assert told[3]["trigger"] == trigger
    assert [one["until"] for one in told] == [None, *(one["at"] for one in told[:-1])]


async def test_a_history_is_turned_page_by_page_and_each_page_knows_its_differences(api: Api) -> None:
    trigger = await api.trigger((await api.service())["id"])
    for number in range(4):
        await api.patch(f"/triggers/{trigger['id']}", {"name": f"name {number}"})
    answer = await api.get(f"/triggers/{trigger['id']}/history?limit=2")
    assert ([one["version"] for one in answer["items"]], answer["hasNextPage"]) == ([5, 4], True)
    rest = await api.get(f"/triggers/{trigger['id']}/history?limit=3&before=4")
    assert ([one["version"] for one in rest["items"]], rest["hasNextPage"]) == ([3, 2, 1], False)
    assert rest["items"][0]["differences"] == [{"field": "name", "before": "name 0", "after": "name 1"}]


async def test_a_deleted_trigger_keeps_its_history_also_when_its_service_took_it_along(api: Api) -> None:
    service = await api.service()
    alone, with_service = await api.trigger(service["id"]), await api.trigger(service["id"])
    await changed_by(api, "ann", "DELETE", f"/triggers/{alone['id']}")
    await changed_by(api, "bob", "DELETE", f"/services/{service['id']}")
    for trigger, actor in ((alone, "ann"), (with_service, "bob")):
        deleted, made = await history(api, trigger["id"])
        assert (deleted["change"], deleted["actor"], deleted["version"]) == ("deleted", actor, 2)
        assert made["trigger"] == trigger


async def test_a_change_by_hand_is_the_roles_and_one_that_the_engine_does_not_follow_is_none(api: Api) -> None:
    trigger = await api.trigger((await api.service())["id"])
    await api.fetch("UPDATE trigger SET active = false, version = version + 1")
    await api.fetch("UPDATE trigger SET active = true")
    paused, _ = await history(api, trigger["id"])
    [role] = await api.fetch("SELECT session_user::text AS name")
    assert (paused["change"], paused["actor"]) == ("paused", role["name"])


async def test_a_change_that_is_refused_leaves_no_version(api: Api) -> None:
    trigger = await api.trigger((await api.service())["id"])
    await api.patch(f"/triggers/{trigger['id']}", {"spec": {"filter": {"$no": 1}}}, expected=400)
    assert len(await history(api, trigger["id"])) == 1


async def test_there_is_no_history_of_what_never_was(api: Api) -> None:
    await api.get(f"/triggers/{'0' * 24}/history", expected=404)


async def test_what_services_were_active_when_is_kept(api: Api) -> None:
    service = await api.service()
    await changed_by(api, "ann", "POST", f"/services/{service['id']}/stop")
    await changed_by(api, "ann", "POST", f"/services/{service['id']}/stop")
    await changed_by(api, "bob", "POST", f"/services/{service['id']}/resume")
    rows = await api.fetch("SELECT active, actor FROM service_activity ORDER BY at")
    assert [tuple(row) for row in rows] == [(True, "api"), (False, "ann"), (True, "bob")]
