"""Bad input, end to end: a clear answer, nothing else changed, and the engine goes on."""

from __future__ import annotations

import asyncio
import json
import uuid
from typing import Any

import pytest

from tests.support.engine import Engine, Project

CODE = "def run(item, context):\n    return context.event.id\n"
EVERYTHING = (
    "project", "codebase", "package", "package_revision", "service", "trigger", "event", "claim", "execution",
    "status_line", "stopped_match", "queue", "lease", "pending", "report", "dead_letter",
)  # fmt: skip

GOOD = b'{"resource": "Item", "action": "Created", "entity": {"id": "i"}, "project": "bad input"}'


def event(**changed: Any) -> bytes:
    return json.dumps({**json.loads(GOOD), **changed}).encode()


BAD_EVENTS = {
    "JSON that breaks off": (GOOD[:40], "", "is not JSON: unexpected end of data"),
    "not an object": (b"42", "", "expected an object, got a whole number"),
    "nothing": (b"", "", "the body is empty"),
    "an id that is a number": (event(id=7), "id", "expected a string or null, got a whole number"),
    "an entity that is a text": (event(entity="i"), "entity", 'expected an object, got "i"'),
    "an entity without id": (event(entity={"name": "i"}), "entity.id", "is missing"),
    "an unknown resource": (event(resource="Itm"), "resource", "'Itm' is not a known resource; did you mean 'Item'?"),
    "an action it does not have": (event(action="Painted"), "action", "'Painted' is not an action of Item"),
    "a time that is none": (event(time="yesterday"), "time", "is not a time such as 2024-05-01T12:00:00Z"),
    "a year that is none": (event(time="0000-01-01T00:00:00Z"), "time", "is not a time such as"),
    "100,000 levels": (GOOD.replace(b'"i"', b"[" * 100_000 + b"]" * 100_000), "", "nests too deep"),
    "NUL": (GOOD.replace(b'"i"', b'"\x00"'), "", "is not JSON: unexpected control character in string"),
    "NUL, escaped": (event(entity={"id": "i", "name": "\0"}), "", "the NUL character at byte"),
    "NUL in an id": (event(id="\0"), "id", "'\\x00' is not an id: expected 1 to 512 characters without NUL"),
    "invalid UTF-8": (GOOD.replace(b'"i"', b'"\xff"'), "", "is not UTF-8"),
    "half a character": (GOOD.replace(b'"i"', b'"\\ud800"'), "", "is not JSON: no low surrogate in string"),
    "a key twice": (GOOD.replace(b'"i"', b'"i", "id": "j"'), "entity", 'the key "id" comes twice'),
    "a number without end": (GOOD.replace(b'"i"', b'"i", "size": 1e999'), "", "number is infinity"),
    "an integer of 20 digits": (event(entity={"id": "i", "size": 10**19 * 2}), "", "does not fit into 64 bits"),
    "NaN": (event(entity={"id": "i", "size": float("nan")}), "", "is not JSON: unexpected character"),
    "something compressed": (b"\x1f\x8b\x08\x00", "", "byte 1 is not UTF-8"),
}

SPEC = {"resource": "Item", "actions": ["Created"]}


def trigger(**spec: Any) -> bytes:
    operation = {"type": "function", "service": "bad input", "functionName": "run"}
    return json.dumps(
        {"name": "bad", "project": "bad input", "spec": {**SPEC, "operation": operation, **spec}}
    ).encode()


BAD_TRIGGERS = {
    "JSON that breaks off": (trigger()[:40], 400, "is not JSON"),
    "actions of a wrong type": (trigger(actions=[7]), 400, "spec.actions"),
    "an unknown operator": (trigger(filter={"name": {"$regex": "x"}}), 400, "spec.filter.name.$regex: operator $regex"),
    "10,000 members": (
        trigger(filter={"$or": [{"name": str(number)} for number in range(10_000)]}),
        400,
        "spec.filter: the filter is",
    ),
    "10 MB": (trigger(filter={"name": "x" * 10_000_000}), 413, "the most that is taken here"),
    "5,000 levels": (
        trigger(filter="here").replace(b'"here"', b'{"$and":[' * 5_000 + b"{}" + b"]}" * 5_000),
        400,
        "nests deeper",
    ),
    "NUL": (trigger(input={"text": "\0"}), 400, "the NUL character at byte"),
    "a key twice": (
        trigger(filter={"size": 0}).replace(b'"size": 0', b'"size": {"$gt": 1}, "size": {"$lt": 5}'),
        400,
        'spec.filter: the key "size" comes twice',
    ),
    "invalid UTF-8": (trigger().replace(b'"bad"', b'"\xff"'), 400, "is not UTF-8"),
    "a function without service": (trigger(operation={"functionName": "run"}), 400, "spec.operation"),
}


@pytest.fixture(scope="module")
def project(engine: Engine) -> Project:
    return asyncio.run(engine.project("bad input", CODE))


async def rows(engine: Engine) -> dict[str, int]:
    counts = ", ".join(f"(SELECT count(*) FROM {table}) AS {table}" for table in EVERYTHING)
    (found,) = await engine.sql("SELECT " + counts)
    return found


async def post(engine: Engine, path: str, body: bytes) -> tuple[int, dict[str, Any]]:
    async with engine.client() as client:
        answer = await client.post("/api/v1" + path, content=body, headers={"content-type": "application/json"})
    return answer.status_code, answer.json()


async def goes_on(project: Project) -> None:
    """What is good still becomes an execution."""
    good = project.event(uuid.uuid4().hex)
    await project.publish(good)
    await project.engine.until("SELECT status = 'success' FROM execution WHERE event_id = $1", good["id"])
    await project.engine.until("SELECT NOT EXISTS (SELECT FROM report)")


@pytest.mark.parametrize("which", BAD_EVENTS)
async def test_a_bad_event_is_refused_by_its_field_and_kept_beside(project: Project, which: str) -> None:
    body, path, reason = BAD_EVENTS[which]
    before = await rows(project.engine)
    status, answer = await post(project.engine, "/events", body)
    assert (status, answer["accepted"], answer["message"]) == (400, 0, "1 of 1 events were refused")
    (rejected,) = answer["rejected"]
    assert (rejected["index"], rejected["path"]) == (0, path)
    assert reason in rejected["reason"]
    (letter,) = await project.engine.sql("SELECT body FROM dead_letter WHERE id = $1", rejected["deadLetter"])
    assert letter["body"] == body
    assert await rows(project.engine) == {**before, "dead_letter": before["dead_letter"] + 1}


async def test_after_all_of_them_the_engine_goes_on_and_its_parts_are_the_same(
    engine: Engine, project: Project
) -> None:
    parts = {role: pids for role, pids in engine.pids.items() if role != "postgres"}
    async with engine.client() as client:
        for body, *_ in [*BAD_EVENTS.values(), *BAD_TRIGGERS.values()]:
            for path in ("/events", "/triggers", "/services", "/packages", "/query/faas", "/executions/none"):
                answer = await client.post("/api/v1" + path, content=body)
                assert answer.status_code < 500, f"{path} answered {answer.status_code}: {answer.text[:200]}"
    await goes_on(project)
    assert {role: pids for role, pids in engine.pids.items() if role != "postgres"} == parts
    assert "Traceback" not in engine.words


async def test_10_mb_are_refused_without_being_kept(project: Project) -> None:
    before = await rows(project.engine)
    status, answer = await post(project.engine, "/events", event(entity={"id": "i", "text": "x" * 10_000_000}))
    assert (status, answer["message"]) == (413, "the body has more than 8,000,000 bytes, the most that is taken here")
    assert await rows(project.engine) == before


async def test_bad_ones_among_good_ones_stop_none_of_them(project: Project) -> None:
    good = [project.event(uuid.uuid4().hex) for _ in range(20)]
    lines = [json.dumps(one).encode() for one in good]
    lines[7:7] = [b"{broken", event(entity=7)]
    async with project.engine.client() as client:
        answer = await client.post(
            "/api/v1/events", content=b"\n".join(lines), headers={"content-type": "application/x-ndjson"}
        )
    assert answer.status_code == 400
    told = answer.json()
    assert (told["accepted"], told["ids"]) == (20, [one["id"] for one in good])
    assert [one["index"] for one in told["rejected"]] == [7, 8]
    await project.engine.until(
        "SELECT count(*) = 20 FROM execution WHERE event_id = ANY ($1) AND status = 'success'",
        [one["id"] for one in good],
    )
    await goes_on(project)


async def test_the_same_id_is_one_event_in_a_request_and_in_another(project: Project) -> None:
    first, same = (project.event("the same", entity_id="one", entity={"told": told}) for told in ("first", "again"))
    await project.publish(first, same, first)
    await project.publish(same)
    await goes_on(project)
    await project.until_carried()
    (kept,) = await project.engine.sql("SELECT entity FROM event WHERE id = 'the same'")
    assert json.loads(kept["entity"])["told"] == "first"
    assert await project.engine.value("SELECT count(*) FROM execution WHERE event_id = 'the same'") == 1


async def test_clocks_that_are_wrong_change_no_order_and_lose_nothing(project: Project) -> None:
    """Times are the publisher's word and are kept; what orders and prunes is the engine's own clock."""
    years = {"1970": "1970-01-01T00:00:00Z", "2099": "2099-12-31T23:59:59Z"}
    await project.publish(*(project.event(f"from {year}", time=time) for year, time in years.items()))
    await goes_on(project)
    for year in years:
        (found,) = await project.engine.sql(
            "SELECT extract(year FROM occurred)::text AS year, status::text, now() - created_at < '1 hour' AS is_new"
            " FROM event JOIN execution ON event_id = event.id WHERE event.id = $1",
            f"from {year}",
        )
        assert found == {"year": year, "status": "success", "is_new": True}


@pytest.mark.parametrize("which", BAD_TRIGGERS)
async def test_a_bad_trigger_is_refused_by_its_field_and_changes_nothing(project: Project, which: str) -> None:
    body, expected, message = BAD_TRIGGERS[which]
    before = await rows(project.engine)
    status, answer = await post(project.engine, "/triggers", body)
    assert status == expected
    assert message in answer["message"]
    assert await rows(project.engine) == before
