"""Cron triggers over HTTP: made, changed, asked for their next fires, run now, and asked what they missed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from backbone.store import cron
from dispatcher import cron as clock
from tests.support.gateway import Api, gateway


@pytest.fixture
async def api(database: str) -> AsyncIterator[Api]:
    async with gateway(database) as api:
        yield api


async def next_fire(api: Api, trigger_id: str) -> Any:
    [row] = await api.fetch("SELECT next_fire FROM cron_state WHERE trigger_id = $1", trigger_id)
    return row["next_fire"]


async def test_the_document_of_the_platforms_client_makes_a_trigger(api: Api) -> None:
    service = await api.service()
    made = await api.cron(service["id"], startAt="2020-08-23T00:00:00", endAt=None, input={})
    assert (made["type"], made["projectId"], made["global"]) == ("Cron", service["projectId"], False)
    assert made["spec"] == {
        "cron": "0 5 * * *",
        "startAt": "2020-08-23T00:00:00Z",
        "endAt": None,
        "timezone": "UTC",
        "misfire": "one",
        "overlap": "allow",
        "jitter": 0,
        "input": {},
        "operation": {"type": "function", "serviceId": service["id"], "functionName": "run"},
    }
    assert await api.get(f"/triggers/{made['id']}") == made
    found = await api.post("/query/faas", {"resource": "triggers", "filter": {"type": "Cron", "spec.misfire": "one"}})
    assert found["items"] == [made]


async def test_a_client_that_sends_back_the_whole_entity_changes_nothing_else(api: Api) -> None:
    made = await api.cron((await api.service())["id"], timezone="Asia/Tokyo")
    before = await next_fire(api, made["id"])
    changed = await api.patch(f"/triggers/{made['id']}", {**made, "active": False, "url": "x"})
    assert (changed["active"], changed["spec"], changed["version"]) == (False, made["spec"], 2)
    assert await next_fire(api, made["id"]) == before  # a pause keeps the schedule


async def test_another_schedule_counts_from_now_on(api: Api) -> None:
    made = await api.cron((await api.service())["id"])
    changed = await api.patch(f"/triggers/{made['id']}", {"spec": {"cron": "* * * * *"}})
    assert changed["spec"] == {**made["spec"], "cron": "* * * * *"}
    assert await next_fire(api, made["id"]) - datetime.now(UTC) <= timedelta(minutes=1)
    ended = await api.patch(f"/triggers/{made['id']}", {"spec": {"endAt": "2020-01-01T00:00:00Z"}})
    assert ended["spec"]["endAt"] == "2020-01-01T00:00:00Z"
    assert await next_fire(api, made["id"]) is None


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"type": "Event", "spec": {"resource": "Item", "actions": ["Created"]}}, "type"),
        ({"spec": {"cron": "61 * * * *"}}, "spec.cron"),
        ({"spec": {"timezone": "Mars/Olympus"}}, "spec.timezone"),
        ({"spec": {"misfire": None}}, "spec.misfire"),
    ],
)
async def test_a_wrong_change_is_refused_by_its_path(api: Api, change: dict[str, Any], path: str) -> None:
    made = await api.cron((await api.service())["id"])
    refused = await api.patch(f"/triggers/{made['id']}", change, expected=400)
    assert refused["path"] == path
    assert await api.get(f"/triggers/{made['id']}") == made


async def test_a_trigger_of_events_does_not_become_one_of_the_clock(api: Api) -> None:
    made = await api.trigger((await api.service())["id"])
    change = {"type": "Cron", "spec": {"cron": "@daily"}}
    refused = await api.patch(f"/triggers/{made['id']}", change, expected=400)
    assert (refused["path"], "stays of type 'Event'" in refused["message"]) == ("type", True)


async def test_the_next_fires_are_told_with_the_schedule_in_words(api: Api) -> None:
    made = await api.cron((await api.service())["id"], timezone="Europe/Berlin", cron="30 9 * * 1-5")
    told = await api.get(f"/triggers/{made['id']}/next?count=3")
    assert (told["words"], told["timezone"]) == ("at 09:30 on weekdays, Europe/Berlin", "Europe/Berlin")
    assert told["lastFire"] is None
    fires = [datetime.fromisoformat(fire) for fire in told["fires"]]
    assert len(fires) == 3
    assert fires == sorted(fires)
    assert fires[0] == await next_fire(api, made["id"])
    assert len((await api.get(f"/triggers/{made['id']}/next"))["fires"]) == 10
    await api.get(f"/triggers/{made['id']}/next?count=0", expected=400)


async def test_a_run_now_is_an_execution_of_the_trigger(api: Api) -> None:
    service = await api.service()
    made = await api.cron(service["id"], input={"size": 3})
    execution = await api.post(f"/triggers/{made['id']}/run")
    assert (execution["triggerId"], execution["input"], execution["creator"]) == (made["id"], {"size": 3}, "api")
    assert (execution["serviceId"], execution["functionName"]) == (service["id"], "run")
    assert (execution["eventContext"], execution["resources"]) == (None, [])
    assert execution["causation"]["chain"] == [{"event": "", "trigger": made["id"], "execution": execution["id"]}]


async def test_a_trigger_of_events_has_no_schedule(api: Api) -> None:
    made = await api.trigger((await api.service())["id"])
    for ask in (api.get(f"/triggers/{made['id']}/next", 409), api.post(f"/triggers/{made['id']}/run", expected=409)):
        assert "only a Cron trigger has a schedule" in (await ask)["message"]
    await api.get(f"/triggers/{'0' * 24}/next", 404)


async def test_what_was_missed_is_listed_also_when_the_trigger_is_gone(api: Api) -> None:
    service = await api.service()
    made, other = await api.cron(service["id"]), await api.cron(service["id"])
    for trigger in (made, other):
        await api.patch(f"/triggers/{trigger['id']}", {"active": False})
    due = await next_fire(api, made["id"])
    async with api.parts.database.lane(durable=False) as connection:
        await clock.tick(connection, api.parts.work_queue, api.parts.wakeups, due)
    assert len((await api.get("/missed-fires"))["items"]) == 2
    [missed] = (await api.get(f"/missed-fires?trigger={made['id']}&project=demo"))["items"]
    written = due.isoformat().replace("+00:00", "Z")
    assert missed == {
        "triggerId": made["id"],
        "triggerName": "grey",
        "projectId": service["projectId"],
        "first": written,
        "last": written,
        "fires": 1,
        "reason": "paused",
    }
    await api.delete(f"/triggers/{made['id']}")
    [kept] = (await api.get(f"/missed-fires?trigger={made['id']}"))["items"]
    assert (kept["triggerName"], kept["fires"]) == (None, 1)
    await cron.prune_missed(api.parts.database.pool, timedelta(0))
    assert (await api.get("/missed-fires"))["items"] == []


async def test_a_service_that_is_deleted_takes_its_schedules_along(api: Api) -> None:
    service = await api.service()
    await api.cron(service["id"])
    await api.delete(f"/services/{service['id']}")
    assert await api.fetch("SELECT FROM cron_state") == []
