"""Filters that only asking finds are asked of every event, so a project has a limited number of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.support.gateway import API, Api, gateway

QUOTA = 3
SCAN, INDEXED = {"name": "*abc*"}, {"name": "*abcd*"}


@pytest.fixture
async def api(database: str) -> AsyncIterator[Api]:
    async with gateway(database, scan_quota=QUOTA) as api:
        yield api


async def full(api: Api, service_id: str) -> list[Any]:
    return [await api.trigger(service_id, filter=SCAN) for _ in range(QUOTA)]


def written(service_id: str, **spec: Any) -> dict[str, Any]:
    return {"spec": {"resource": "Item", "actions": ["Created"], "operation": {"serviceId": service_id}, **spec}}


async def test_a_scan_beyond_the_quota_is_refused_with_the_count_and_what_would_help(api: Api) -> None:
    service = await api.service()
    await full(api, service["id"])
    refused = await api.post("/triggers", written(service["id"], filter=SCAN), 400)
    assert refused["path"] == "spec.filter"
    assert "of the class scan" in refused["message"]
    assert f"3 active triggers of project {service['projectId']!r} are of this class already" in refused["message"]
    assert "at most 3" in refused["message"]
    for help in ("an equality", "literal start or end", "piece of 4 characters between two stars", "range of numbers"):
        assert help in refused["message"]
    flat = {"resource": "Item", "actions": ["Created"], "service": service["id"], "filter": SCAN}
    assert (await api.post("/triggers", flat, 400))["path"] == "filter"
    assert len(await api.fetch("SELECT FROM trigger WHERE scans")) == QUOTA


async def test_a_hundred_are_the_quota_when_nobody_says_otherwise(database: str) -> None:
    async with gateway(database) as api:
        service = await api.service()
        trigger = await api.trigger(service["id"], filter=SCAN)
        await api.fetch(
            "INSERT INTO trigger SELECT (jsonb_populate_record(trigger, jsonb_build_object('id', 'copy ' || number))).*"
            " FROM trigger, generate_series(2, 100) AS number WHERE id = $1",
            trigger["id"],
        )
        refused = await api.post("/triggers", written(service["id"], filter=SCAN), 400)
        assert "100 active triggers" in refused["message"]
        assert len(await api.fetch("SELECT FROM trigger")) == 100


async def test_filters_that_can_be_looked_up_are_not_counted(api: Api) -> None:
    service = await api.service()
    await full(api, service["id"])
    for filter in (INDEXED, {}, {"a": 1}, {"a": "x*"}, {"a": {"$gt": 5}}, {"a": {"$ne": 1}}):
        await api.trigger(service["id"], filter=filter)


async def test_deleting_one_lets_one_in(api: Api) -> None:
    service = await api.service()
    first, *_ = await full(api, service["id"])
    await api.delete(f"/triggers/{first['id']}")
    await api.trigger(service["id"], filter=SCAN)
    await api.post("/triggers", written(service["id"], filter=SCAN), 400)


async def test_an_indexed_filter_in_place_of_a_scan_frees_its_place(api: Api) -> None:
    service = await api.service()
    first, *_ = await full(api, service["id"])
    await api.patch(f"/triggers/{first['id']}", {"filter": INDEXED})
    await api.trigger(service["id"], filter=SCAN)
    refused = await api.patch(f"/triggers/{first['id']}", {"filter": SCAN}, 400)
    assert refused["path"] == "spec.filter"
    assert (await api.get(f"/triggers/{first['id']}"))["spec"]["filter"] == INDEXED


async def test_a_paused_one_is_not_counted_until_it_is_resumed(api: Api) -> None:
    service = await api.service()
    first, *_ = await full(api, service["id"])
    await api.patch(f"/triggers/{first['id']}", {"active": False})
    await api.trigger(service["id"], filter=SCAN)
    assert (await api.patch(f"/triggers/{first['id']}", {"active": True}, 400))["path"] == "spec.filter"
    assert (await api.get(f"/triggers/{first['id']}"))["active"] is False
    await api.post("/triggers", {**written(service["id"], filter=SCAN), "active": False})


async def test_a_lowered_quota_does_not_keep_what_is_there_from_being_changed(database: str) -> None:
    async with gateway(database) as api:
        service = await api.service()
        first, *_ = await full(api, service["id"])
    async with gateway(database, scan_quota=1) as api:
        await api.patch(f"/triggers/{first['id']}", {**first, "name": "renamed"})
        await api.patch(f"/triggers/{first['id']}", {"active": False})


async def test_other_projects_have_a_quota_of_their_own_and_every_project_too(api: Api) -> None:
    here, there = await api.service(), await api.service("other", "elsewhere")
    await full(api, here["id"])
    await full(api, there["id"])
    for _ in range(QUOTA):
        await api.post("/triggers", {**written(here["id"], filter=SCAN), "global": True})
    refused = await api.post("/triggers", {**written(here["id"], filter=SCAN), "global": True}, 400)
    assert "3 active triggers of every project" in refused["message"]


async def test_creations_at_the_same_time_do_not_pass_the_quota(api: Api) -> None:
    service = await api.service()
    document = written(service["id"], filter=SCAN)
    answers = await asyncio.gather(*(api.client.post(f"{API}/triggers", json=document) for _ in range(4 * QUOTA)))
    assert sorted(answer.status_code for answer in answers) == [200] * QUOTA + [400] * 3 * QUOTA
    assert len(await api.fetch("SELECT FROM trigger WHERE scans AND active")) == QUOTA


async def test_resuming_at_the_same_time_does_not_pass_the_quota(api: Api) -> None:
    service = await api.service()
    paused = [
        await api.post("/triggers", {**written(service["id"], filter=SCAN), "active": False}) for _ in range(4 * QUOTA)
    ]
    await asyncio.gather(
        *(api.client.patch(f"{API}/triggers/{trigger['id']}", json={"active": True}) for trigger in paused)
    )
    assert len(await api.fetch("SELECT FROM trigger WHERE active")) == QUOTA
