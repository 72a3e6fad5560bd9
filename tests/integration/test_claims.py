"""The claims of Once are a ledger: found, freed for a reason that is kept, and exactly one whoever writes them."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from backbone.model.executions import NewExecution, Settlement
from backbone.model.states import ExecutionStatus
from backbone.store import executions
from backbone.store.database import Database
from dispatcher import settle
from gateway import claims
from tests.support.gateway import API, Api, gateway
from tests.support.matching import live_trigger, match, recorded
from trigger_engine import guard

ROOT = Path(__file__).parents[2]
ENTITIES, BATCH, PROCESSES = 5_000, 250, 4
NUMBERS = itertools.count()


@pytest.fixture
async def api(database: str) -> AsyncIterator[Api]:
    async with gateway(database) as api:
        yield api


async def claimed(api: Api, trigger: dict[str, Any], *entities: dict[str, Any]) -> list[str]:
    """Events of these entities, matched by the trigger and recorded; returns the ids of the executions."""
    await api.publish(
        b"\n".join(
            json.dumps({"resource": "Item", "action": "Created", "project": "demo", "entity": entity}).encode()
            for entity in entities
        ),
        "application/x-ndjson",
    )
    wanted = [entity["id"] for entity in entities]
    rows = await api.fetch(
        "SELECT DISTINCT ON (entity_id) * FROM event WHERE entity_id = ANY ($1) ORDER BY entity_id, xid DESC, seq DESC",
        wanted,
    )
    live = live_trigger(
        trigger["id"], project_id=trigger["projectId"], service_id=trigger["spec"]["operation"]["serviceId"]
    )
    matches = [
        match(
            live,
            recorded(
                row["id"],
                written=row["entity"],
                received=row["received"],
                entity_id=row["entity_id"],
                project_id=str(row["project_id"]),
            ),
        )
        for row in rows
    ]
    admitted, _ = guard.judge(matches, guard.Limits())
    return [str(id) for id, _ in await executions.record(api.parts.database.pool, admitted, queue_too=True)]


async def a_trigger(api: Api, **spec: Any) -> dict[str, Any]:
    trigger: dict[str, Any] = await api.trigger((await api.service(f"s{next(NUMBERS)}"))["id"], **spec)
    return trigger


async def entities_of(api: Api, query: str) -> list[str]:
    return [one["entityId"] for one in (await api.get(f"/claims?{query}"))["items"]]


async def test_claims_are_found_by_trigger_by_entity_and_by_project(api: Api) -> None:
    one, other = await a_trigger(api), await a_trigger(api)
    await claimed(api, one, {"id": "a"}, {"id": "b/c"})
    await claimed(api, other, {"id": "a"})
    assert await entities_of(api, f"trigger={one['id']}") == ["a", "b/c"]
    by_entity = (await api.get("/claims?entity=a"))["items"]
    assert {(claim["triggerId"], claim["triggerName"]) for claim in by_entity} == {
        (one["id"], one["name"]),
        (other["id"], other["name"]),
    }
    assert len(await entities_of(api, "project=demo")) == 3
    assert await entities_of(api, f"trigger={one['id']}&before=2020-01-01T00:00:00Z") == []
    assert await entities_of(api, f"trigger={one['id']}&since=2020-01-01T00:00:00%2B02:00") == ["a", "b/c"]
    await api.get("/claims", expected=400)
    await api.get(f"/claims?trigger={one['id']}&since=yesterday", expected=400)


async def test_the_pages_of_claims_follow_each_other_over_triggers(api: Api) -> None:
    triggers = sorted([await a_trigger(api), await a_trigger(api)], key=lambda one: one["id"])
    for trigger in triggers:
        await claimed(api, trigger, *({"id": f"e:{number}"} for number in range(5)))
    found: list[str] = []
    after = ""
    while True:
        page = await api.get(f"/claims?project=demo&limit=3{after}")
        found += [f"{one['triggerId']} {one['entityId']}" for one in page["items"]]
        if page["next"] is None:
            break
        after = f"&after={page['next']}"
    assert found == [f"{trigger['id']} e:{number}" for trigger in triggers for number in range(5)]


async def test_a_reset_frees_one_entity_and_says_who_and_why(api: Api) -> None:
    trigger = await a_trigger(api)
    [first] = await claimed(api, trigger, {"id": "a/1"})
    await claimed(api, trigger, {"id": "b"})
    assert await claimed(api, trigger, {"id": "a/1"}) == []
    asked = {"trigger": trigger["id"], "entity": "a/1", "reason": "the picture was broken"}
    answer = await api.client.post(f"{API}/claims/reset", json=asked, headers={"x-actor": "ann"})
    assert answer.json() == {"id": 1, "freed": 1, "unknown": 0, "next": None}
    [second] = await claimed(api, trigger, {"id": "a/1"})
    told = await api.get(f"/triggers/{trigger['id']}/claims/a/1")
    assert [one["executionId"] for one in told["held"]] == [second]
    [freed] = told["resets"]
    assert (freed["executionId"], freed["actor"], freed["reason"]) == (first, "ann", "the picture was broken")
    [kept] = (await api.get("/claim-resets"))["items"]
    assert (kept["actor"], kept["claims"], kept["asked"]["entity"]) == ("ann", 1, "a/1")


async def test_a_reset_by_filter_asks_the_entity_as_the_claiming_event_had_it(api: Api) -> None:
    trigger = await a_trigger(api)
    await claimed(api, trigger, {"id": "a", "size": 1}, {"id": "b", "size": 2}, {"id": "c", "size": 2})
    await claimed(api, trigger, {"id": "a", "size": 2})
    asked = {"trigger": trigger["id"], "filter": {"size": 2}, "reason": "sizes were wrong"}
    dry = await api.post("/claims/reset", {**asked, "dryRun": True})
    assert (dry["freed"], dry["id"]) == (2, None)
    assert len(await entities_of(api, "project=demo")) == 3
    await api.fetch("DELETE FROM event WHERE entity_id = 'c'")
    answer = await api.post("/claims/reset", asked)
    assert (answer["freed"], answer["unknown"]) == (1, 1)
    assert await entities_of(api, "project=demo") == ["a", "c"]


async def test_a_reset_in_several_steps_is_one(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "STEP", 2)
    trigger = await a_trigger(api)
    await claimed(api, trigger, *({"id": f"e{number}"} for number in range(5)))
    step = {"trigger": trigger["id"], "reason": "all anew"}
    answers = [await api.post("/claims/reset", step)]
    while answers[-1]["next"]:
        step = {**step, "after": answers[-1]["next"], "reset": answers[-1]["id"]}
        answers.append(await api.post("/claims/reset", step))
    assert [one["freed"] for one in answers] == [2, 2, 1]
    [kept] = (await api.get("/claim-resets"))["items"]
    assert kept["claims"] == 5
    await api.post("/claims/reset", {**step, "reset": 77}, expected=404)


@pytest.mark.parametrize("wrong", [{"reason": " "}, {"reason": "r"}, {"reason": "r", "trigger": "t", "after": "x"}])
async def test_a_reset_needs_a_reason_and_something_to_free(api: Api, wrong: dict[str, Any]) -> None:
    await api.post("/claims/reset", wrong, expected=400)
    assert (await api.get("/claim-resets"))["items"] == []


async def test_a_trigger_of_every_project_has_a_claim_for_each(api: Api) -> None:
    service = await api.service()
    operation = {"type": "function", "serviceId": service["id"]}
    trigger = await api.post(
        "/triggers", {"global": True, "spec": {"resource": "Item", "actions": ["Created"], "operation": operation}}
    )
    await claimed(api, trigger, {"id": "a"})
    [claim] = (await api.get("/claims?entity=a"))["items"]
    demo = (await api.get("/projects"))[0]["id"]
    assert (claim["entityId"], claim["projectId"]) == ("a", demo)
    answer = await api.post("/claims/reset", {"entity": "a", "project": "demo", "reason": "again"})
    assert answer["freed"] == 1


async def test_a_changed_filter_or_function_keeps_its_claims_and_a_trigger_made_anew_has_none(api: Api) -> None:
    trigger = await a_trigger(api)
    await claimed(api, trigger, {"id": "a"})
    operation = {"functionName": "other"}
    await api.patch(f"/triggers/{trigger['id']}", {"spec": {"filter": {"id": "*"}, "operation": operation}})
    assert await claimed(api, trigger, {"id": "a"}) == []
    await api.delete(f"/triggers/{trigger['id']}")
    assert len(await claimed(api, await a_trigger(api), {"id": "a"})) == 1
    assert await entities_of(api, f"trigger={trigger['id']}") == ["a"]


# Exactly one


def of_entities(count: int, received: datetime) -> list[NewExecution]:
    trigger = live_trigger(once=True)
    matches = [
        match(trigger, recorded(f"event {number}", entity_id=f"entity {number}", received=received))
        for number in range(count)
    ]
    return guard.judge(matches, guard.Limits())[0]


async def record_all(dsn: str, seeds: Sequence[int], received: datetime) -> int:
    """As engines would, a connection each: every batch twice, and in an order of its own."""
    database, new = Database(dsn), of_entities(ENTITIES, received)

    async def engine(seed: int) -> int:
        mine = new.copy()
        random.Random(seed).shuffle(mine)
        recorded_ = 0
        async with database.lane(durable=False) as connection:
            for start in range(0, len(mine), BATCH):
                for _ in range(2):
                    batch = mine[start : start + BATCH]
                    recorded_ += len(await executions.record(connection, batch, queue_too=True))
        return recorded_

    return sum(await asyncio.gather(*map(engine, seeds)))


async def test_twenty_writers_in_orders_of_their_own_record_each_entity_once(database: str, api: Api) -> None:
    # Without an order among the claims of a batch these would wait for each other in circles.
    received = datetime.now(UTC).isoformat()
    seeds = [[str(seed) for seed in range(20) if seed % PROCESSES == number] for number in range(PROCESSES)]
    started = [
        await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", __name__, database, received, *of_one), cwd=ROOT, stdout=subprocess.PIPE
        )
        for of_one in seeds
    ]
    told: Sequence[tuple[bytes, bytes]] = await asyncio.gather(*(process.communicate() for process in started))
    assert [process.returncode for process in started] == [0] * PROCESSES
    assert sum(int(said) for said, _ in told) == ENTITIES
    [row] = await api.fetch(
        "SELECT count(*) AS claims, count(DISTINCT claim.entity_id) AS entities, count(execution.id) AS executions,"
        " (SELECT count(*) FROM execution) AS all_executions"
        " FROM claim LEFT JOIN execution ON execution.id = claim.execution_id AND execution.event_id = claim.event_id"
    )
    assert set(row) == {ENTITIES}


# What a failure does


async def ended(api: Api, execution_id: str, status: str) -> None:
    now = datetime.now(UTC)
    async with api.parts.database.lane(hashes=True) as connection:
        settlement = Settlement(
            id=UUID(execution_id),
            attempt=1,
            status=ExecutionStatus(status),
            next_attempt=1,
            ended_at=now,
            ended_as=status,
        )
        await settle.write(connection, settle.Outcome(settlements={settlement.id: settlement}))


@pytest.mark.parametrize("means", ["attempted", "succeeded"])
@pytest.mark.parametrize("status", ["success", "failed", "aborted", "terminated", "canceled", "system-failure"])
async def test_what_a_failure_does_to_a_claim_is_as_the_trigger_says(api: Api, means: str, status: str) -> None:
    trigger = await a_trigger(api, onceMeans=means)
    [execution] = await claimed(api, trigger, {"id": "a"})
    await claimed(api, trigger, {"id": "b"})
    await ended(api, execution, status)
    freed = means == "succeeded" and status != "success"
    assert await entities_of(api, "project=demo") == (["b"] if freed else ["a", "b"])
    assert len(await claimed(api, trigger, {"id": "a"})) == freed


async def test_a_claim_that_was_freed_stays_free_when_its_event_comes_again(api: Api) -> None:
    trigger = await a_trigger(api, onceMeans="succeeded")
    [execution] = await claimed(api, trigger, {"id": "a"})
    await ended(api, execution, "failed")
    rows = await api.fetch("SELECT * FROM event")
    live = live_trigger(trigger["id"], project_id=trigger["projectId"])
    again = recorded(rows[0]["id"], entity_id="a", received=rows[0]["received"], project_id=str(rows[0]["project_id"]))
    admitted, _ = guard.judge([match(live, again)], guard.Limits())
    assert await executions.record(api.parts.database.pool, admitted, queue_too=True) == []
    assert await entities_of(api, "project=demo") == []


async def test_one_that_is_ended_before_it_began_frees_its_claim_and_has_it_back_when_it_runs_again(api: Api) -> None:
    trigger = await a_trigger(api, onceMeans="succeeded")
    [execution] = await claimed(api, trigger, {"id": "a"})
    await api.post(f"/executions/{execution}/terminate")
    assert await entities_of(api, "project=demo") == []
    await api.post(f"/executions/{execution}/rerun")
    assert await entities_of(api, "project=demo") == ["a"]


async def test_always_has_no_claims_that_could_mean_anything(api: Api) -> None:
    service = await api.service()
    operation = {"type": "function", "serviceId": service["id"]}
    spec = {"resource": "Item", "actions": ["Updated"], "executionMode": "Always", "operation": operation}
    refused = await api.post("/triggers", {"spec": {**spec, "onceMeans": "succeeded"}}, expected=400)
    assert refused["path"] == "spec.onceMeans"


if __name__ == "__main__":
    dsn, received, *seeds = sys.argv[1:]
    print(asyncio.run(record_all(dsn, [int(seed) for seed in seeds], datetime.fromisoformat(received))))
