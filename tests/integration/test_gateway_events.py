"""Events over HTTP: what is taken, what is refused, and that nothing vanishes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from backbone.model import causation
from backbone.model.causation import Causation, Link
from gateway import event_requests
from tests.support.drivers import TRACE
from tests.support.gateway import API, Api, gateway


@pytest.fixture
async def api(database: str) -> AsyncIterator[Api]:
    async with gateway(database) as api:
        yield api


def event(event_id: str = "e1", **changes: Any) -> dict[str, Any]:
    return {"id": event_id, "resource": "Item", "action": "Created", "entity": {"id": f"of-{event_id}"}, **changes}


def encoded(*events: object) -> bytes:
    return json.dumps(events[0] if len(events) == 1 else events).encode()


CHAIN = Causation((Link("e0", "t0", "x0"),))
SHOWN = {"chain": [{"event": "e0", "trigger": "t0", "execution": "x0"}]}


async def signed(api: Api, chain: Causation = CHAIN) -> Causation:
    return causation.signed(chain, await api.parts.signing_key.get())


async def stored(api: Api) -> list[str]:
    return [row["id"] for row in await api.fetch("SELECT id FROM event ORDER BY seq")]


async def test_an_event_is_taken_and_comes_back_as_it_was(api: Api) -> None:
    chain = await signed(api)
    sent = event(
        project="demo", previous={"id": "of-e1", "old": True}, actor="ann@example.com", time="2024-05-01T12:00:00Z",
        causation=msgspec.to_builtins(chain), entityId="mine",
    )  # fmt: skip
    answer = await api.publish(encoded(sent))
    assert (answer.status_code, answer.json()) == (202, {"accepted": 1, "ids": ["e1"]})
    shown = await api.get("/events/e1?project=demo")
    assert shown.pop("received")
    project_id = (await api.get("/projects/demo/name"))[0]["id"]
    sent["causation"] = SHOWN
    assert shown == {**{name: sent[name] for name in sent if name != "project"}, "projectId": project_id}


async def test_an_event_without_an_id_or_a_project_is_given_both(api: Api) -> None:
    answer = await api.publish(encoded({"resource": "item", "action": "created", "entity": {"id": 7}}))
    [event_id] = answer.json()["ids"]
    shown = await api.get(f"/events/{event_id}")
    assert (shown["resource"], shown["action"], shown["entityId"]) == ("Item", "Created", "7")
    assert (await api.get("/projects"))[0]["name"] == "default"


@pytest.mark.parametrize("where", ["array", "object", "ndjson"])
async def test_many_events_come_in_one_request(api: Api, where: str) -> None:
    events = [event("a"), event("b"), event("c")]
    body, kind = {
        "array": (json.dumps(events), "application/json"),
        "object": (json.dumps({"events": events}), "application/json"),
        "ndjson": ("\n".join(map(json.dumps, events)) + "\n\n", "application/x-ndjson"),
    }[where]
    answer = await api.publish(body.encode(), kind)
    assert answer.json() == {"accepted": 3, "ids": ["a", "b", "c"]}
    assert await stored(api) == ["a", "b", "c"]


@pytest.mark.parametrize("many", [False, True])
async def test_cloud_events_are_read_structured_and_in_a_batch(api: Api, many: bool) -> None:
    chain = await signed(api)
    cloud = {
        "specversion": "1.0", "id": "c1", "source": "/drive", "type": "com.example.Item.Updated", "subject": "i7",
        "time": "2024-05-01T12:00:00Z", "data": {"name": "x"}, "project": "demo",
        "causation": causation.to_header(chain),
    }  # fmt: skip
    kind = f"application/cloudevents{'-batch' * many}+json"
    answer = await api.publish(encoded(cloud, event("own")) if many else encoded(cloud), kind)
    assert answer.status_code == 202, answer.text
    shown = await api.get("/events/c1")
    assert (shown["resource"], shown["action"], shown["entityId"]) == ("Item", "Updated", "i7")
    assert shown["causation"]["chain"] == [{"event": "e0", "trigger": "t0", "execution": "x0"}]


@pytest.mark.parametrize("header", ["x-trigger-engine-causation", "baggage"])
async def test_a_header_carries_the_chain_into_every_event_that_brings_none(api: Api, header: str) -> None:
    token = causation.to_header(await signed(api))
    value = token if header != "baggage" else f"userId=ann,trigger-engine-causation={token};p=1"
    longer = await signed(api, CHAIN.followed_by(Link("e1", "t1", "x1")))
    events = [event("a"), event("b", causation=msgspec.to_builtins(longer))]
    answer = await api.client.post("/api/v1/events", json=events, headers={header: value})
    assert answer.status_code == 202, answer.text
    assert (await api.get("/events/a"))["causation"] == SHOWN
    assert [link["event"] for link in (await api.get("/events/b"))["causation"]["chain"]] == ["e0", "e1"]


async def test_a_header_carries_the_traceparent_into_every_event_that_brings_none(api: Api) -> None:
    own, trace = TRACE.replace("-01", "-00"), TRACE
    answer = await api.client.post(
        "/api/v1/events", json=[event("a"), event("b", traceparent=own)], headers={"traceparent": trace}
    )
    assert answer.status_code == 202, answer.text
    assert [(await api.get(f"/events/{id}"))["traceparent"] for id in "ab"] == [trace, own]
    assert "tracestate" not in await api.get("/events/b")
    headers = [("traceparent", TRACE), ("tracestate", "rojo=1"), ("tracestate", "congo=2")]
    events = [event("d"), event("e", traceparent=own), event("f", traceparent=own, tracestate="a=b")]
    answer = await api.client.post("/api/v1/events", json=events, headers=headers)
    assert answer.status_code == 202, answer.text
    assert [(await api.get(f"/events/{id}")).get("tracestate") for id in "def"] == ["rojo=1,congo=2", None, "a=b"]
    answer = await api.client.post("/api/v1/events", json=event("c"), headers={"traceparent": "nonsense"})
    assert answer.status_code == 202, answer.text
    assert "traceparent" not in await api.get("/events/c")


async def test_other_writers_carry_the_chain_as_causationid_or_an_id_of_their_own(api: Api) -> None:
    token = causation.to_header(await signed(api))
    cloud = {"specversion": "1.0", "source": "/x", "type": "Item.Created", "subject": "i", "data": {}}
    for id, written in (("ours", token), ("theirs", "order-17"), ("a number", "1234")):
        answer = await api.publish(encoded({**cloud, "id": id, "causationid": written}))
        assert answer.status_code == 202, answer.text
    assert (await api.get("/events/ours"))["causation"] == SHOWN
    assert "causation" not in await api.get("/events/theirs")
    assert "causation" not in await api.get("/events/a number")


@pytest.mark.parametrize("how", ["unsigned", "shortened", "made up", "of another engine"])
async def test_a_forged_chain_is_refused_wherever_it_stands(api: Api, how: str) -> None:
    longer = await signed(api, CHAIN.followed_by(Link("e1", "t1", "x1")))
    forged = {
        "unsigned": CHAIN,
        "shortened": Causation(longer.chain[1:], longer.signature),
        "made up": Causation(CHAIN.chain, "0" * 32),
        "of another engine": causation.signed(CHAIN, b"another key"),
    }[how]
    reason = "is missing" if how == "unsigned" else "does not fit the chain"
    answer = await api.publish(encoded(event("a", causation=msgspec.to_builtins(forged)), event("b")))
    [refused] = answer.json()["rejected"]
    assert (answer.status_code, refused["path"]) == (400, "causation.signature")
    assert reason in refused["reason"]
    for header, value in (
        ("x-trigger-engine-causation", causation.to_header(forged)),
        ("baggage", f"trigger-engine-causation={causation.to_header(forged)}"),
    ):
        answer = await api.client.post("/api/v1/events", json=event("c"), headers={header: value})
        assert (answer.status_code, answer.json()["path"]) == (400, f"{header}.signature")
    assert await stored(api) == ["b"]


async def test_the_good_ones_of_a_request_are_taken_and_the_bad_ones_are_kept_and_named(api: Api) -> None:
    events = [event("a"), event("b", entity={}), event("c", resource="Itm"), event("d")]
    answer = await api.publish(encoded(*events))
    assert answer.status_code == 400
    told = answer.json()
    assert (told["message"], told["accepted"], told["ids"]) == ("2 of 4 events were refused", 2, ["a", "d"])
    first, second = told["rejected"]
    assert (first["index"], first["path"]) == (1, "entity.id")
    assert (second["index"], second["path"]) == (2, "resource")
    assert "did you mean 'Item'?" in second["reason"]
    assert await stored(api) == ["a", "d"]
    letter = await api.get(f"/dead-letters/{first['deadLetter']}")
    assert (letter["path"], letter["position"], json.loads(letter["body"])) == ("entity.id", "1", events[1])


async def test_the_same_id_twice_in_a_project_is_one_event(api: Api) -> None:
    for _ in range(2):
        answer = await api.publish(encoded(event("a"), event("a"), event("a", project="other")))
        assert answer.json()["accepted"] == 3
    assert await stored(api) == ["a", "a"]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "the body is empty"),
        (b"{", "is not JSON"),
        (b"nonsense", "is not JSON"),
        (b'{"resource":"Item","action":"Created","entity":{"id":"\xff"}}', "is not UTF-8"),
        (b'{"resource":"Item","action":"Created","entity":{"id":"\\u0000"}}', "NUL"),
        (b'{"resource":"Item","action":"Created","entity":{"id":"a","n":"\\u0000"}}', "NUL"),
        (b'{"resource":"Item","action":"Created","entity":{"id":"a"},"actor":"\\u0000"}', "NUL"),
        (b'{"resource":"Item","action":"Created","entity":{"id":"\\ud800"}}', "surrogate"),
        (b'{"resource":"Item","action":"Created","entity":{"id":"a","n":%b}}' % (b"9" * 400), "64 bits"),
        (b'{"resource":"Item","action":"Created","entity":{"id":"a","n":1e999}}', "number"),
        (b'{"resource":"Item","action":"Created","entity":{"id":"a","n":NaN}}', "is not JSON"),
        (b'{"resource":"Item","action":"Created","entity":{"id":"a","n":{"k":1,"k":2}}}', 'the key "k" comes twice'),
        (b'{"resource":"Item","action":"Created","entity":{"id":"a"},"action":"Updated"}', 'the key "action" comes'),
        (b'{"events":[{"resource":"Item","action":"Created","entity":{"id":"a"}}],"events":[]}', "comes twice"),
        (b'{"resource":"Item","action":"Created","entity":{"id":"a","n":%b}}' % (b"[" * 200 + b"]" * 200), "nests"),
        (b'{"resource":"Item","action":"Created","entity":{"id":"a"},"time":"0001-01-01T00:00:00+14:00"}', "year"),
        (b'{"resource":"Item","action":"Created","entity":{"id":"a"},"time":5}', "time"),
        (b'{"resource":"Item","action":"Created","entity":{"id":"a"},"causation":{"chain":5}}', "array"),
        (b'{"resource":"Item","action":"Created","entity":[]}', "object"),
        (b'{"resource":"Item","action":"Created","entity":{"id":"%b"}}' % (b"x" * 2000), "id"),
        (b'{"resource":"Item","action":"Created","entity":{"id":"a","n":"%b"}}' % (b"x" * 1_000_000), "1,000,000"),
        (b'{"resource":"Item","action":"Created","entity":{"id":"a"},"project":"../x"}', "name"),
        (b'{"resource":"Item","action":"Created","entity":{"id":"a"},"project":"%b"}' % (b"0" * 32), "no project"),
        (b"[" * 100_000, "deep"),
    ],
)
async def test_a_bad_event_is_refused_with_its_reason_and_kept_as_a_dead_letter(
    api: Api, body: bytes, reason: str
) -> None:
    answer = await api.publish(body)
    assert answer.status_code == 400, answer.text
    [rejected] = answer.json()["rejected"]
    assert reason in rejected["reason"]
    assert await stored(api) == []
    [kept] = await api.fetch("SELECT body FROM dead_letter WHERE id = $1", rejected["deadLetter"])
    assert kept["body"] == body
    assert await api.get("/projects") == []


async def test_a_bad_event_blocks_nobody_who_publishes_at_the_same_time(api: Api) -> None:
    bodies = [encoded(event(str(index))) for index in range(40)] + [b"{"] * 10
    answers = await asyncio.gather(*map(api.publish, bodies))
    assert [answer.status_code for answer in answers] == [202] * 40 + [400] * 10
    assert sorted(map(int, await stored(api))) == list(range(40))


async def test_a_request_with_too_many_events_is_refused_as_a_whole(api: Api) -> None:
    body = b"\n".join([b"{}"] * (event_requests.MOST_EVENTS + 1))
    answer = await api.publish(body, "application/x-ndjson")
    assert answer.status_code == 413
    assert "at most 10,000" in answer.json()["message"]
    assert await api.get("/dead-letters") == {"items": [], "hasNextPage": False}


async def test_the_default_project_of_a_request_is_named_in_its_query(api: Api) -> None:
    for expected in (202, 202):
        answer = await api.client.post(f"{API}/events?project=mine", content=encoded(event("a")))
        assert answer.status_code == expected
    assert [project["name"] for project in await api.get("/projects")] == ["mine"]


async def test_dead_letters_are_listed_newest_first_and_page_by_page(api: Api) -> None:
    await api.publish(b"\n".join([b"1", b"2", b"3"]), "application/x-ndjson")
    first = await api.get("/dead-letters?limit=2")
    assert ([one["position"] for one in first["items"]], first["hasNextPage"]) == (["2", "1"], True)
    rest = await api.get(f"/dead-letters?before={first['items'][-1]['id']}")
    assert ([one["position"] for one in rest["items"]], rest["hasNextPage"]) == (["0"], False)
    assert "body" not in rest["items"][0]
    await api.get("/dead-letters?limit=0", expected=400)


async def test_a_dead_letter_is_taken_once_it_is_understood_and_stays_until_then(api: Api, database: str) -> None:
    await api.publish(encoded(event("a", resource="Shipment")))
    [letter] = (await api.get("/dead-letters"))["items"]
    refused = await api.post(f"/dead-letters/{letter['id']}/replay", expected=400)
    assert refused["path"] == "resource"
    catalog = api.parts.settings.catalog.with_additions(["Shipment:Created"])
    async with gateway(database, catalog=catalog) as later:
        taken = await later.post(f"/dead-letters/{letter['id']}/replay")
    assert taken == {"accepted": 1, "ids": ["a"]}
    assert await stored(api) == ["a"]
    await api.get(f"/dead-letters/{letter['id']}", expected=404)


async def test_a_dead_letter_that_is_no_text_is_shown_in_base64_and_can_be_dropped(api: Api) -> None:
    await api.publish(b"\xff\xfe")
    [listed] = (await api.get("/dead-letters"))["items"]
    assert (await api.get(f"/dead-letters/{listed['id']}"))["bodyBase64"] == "//4="
    await api.delete(f"/dead-letters/{listed['id']}")
    await api.delete(f"/dead-letters/{listed['id']}", expected=404)


async def test_a_request_that_cannot_be_written_is_told_to_come_again(api: Api) -> None:
    await api.fetch("ALTER TABLE event RENAME TO gone")
    answer = await api.publish(encoded(event("a", project="demo")))
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    await api.fetch("ALTER TABLE gone RENAME TO event")
    assert (await api.publish(encoded(event("a", project="demo")))).status_code == 202


async def test_requests_that_arrive_while_one_is_written_are_written_together(api: Api) -> None:
    await api.publish(encoded(event("first")))
    async with api.parts.database.pool.acquire() as holder:
        async with holder.transaction():
            await holder.execute("LOCK TABLE event IN EXCLUSIVE MODE")
            requests = [asyncio.create_task(api.publish(encoded(event(str(index))))) for index in range(50)]
            await waiting_for_a_lock(holder)
            assert not any(request.done() for request in requests)
        assert {answer.status_code for answer in await asyncio.gather(*requests)} == {202}
    [found] = await api.fetch("SELECT count(*) AS events, count(DISTINCT xid) AS commits FROM event")
    assert (found["events"], found["commits"] <= 3) == (51, True)


async def waiting_for_a_lock(connection: Any) -> None:
    statement = "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)"
    async with asyncio.timeout(10):
        while not await connection.fetchval(statement):
            await asyncio.sleep(0)


async def test_a_connection_that_postgresql_cuts_is_replaced(api: Api) -> None:
    await api.publish(encoded(event("a")))
    await api.fetch(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE pid <> pg_backend_pid() AND datname = current_database()"
    )
    answers = [await api.publish(encoded(event("b"))) for _ in range(3)]
    assert {answer.status_code for answer in answers} <= {202, 503}
    assert answers[-1].status_code == 202
    assert await stored(api) == ["a", "b"]


async def test_what_waits_to_be_written_is_bounded(api: Api) -> None:
    await api.publish(encoded(event("first")))
    async with api.parts.database.pool.acquire() as holder:
        async with holder.transaction():
            await holder.execute("LOCK TABLE event IN EXCLUSIVE MODE")
            bodies = [encoded(event(str(index), entity={"id": "x", "n": "n" * 900_000})) for index in range(120)]
            requests = [asyncio.create_task(api.publish(body)) for body in bodies]
            done, waiting = await asyncio.wait(requests, return_when=asyncio.FIRST_COMPLETED)
            assert all(request.result().status_code == 503 for request in done)
            assert "too many events" in next(iter(done)).result().json()["message"]
        answers = [request.result() for request in (await asyncio.wait(waiting))[0]]
    taken = [answer for answer in answers if answer.status_code == 202]
    assert 100 <= len(taken) < 120
    assert len(await stored(api)) == 1 + len(taken)


async def test_an_event_of_a_project_that_may_not_be_made_is_refused(database: str) -> None:
    async with gateway(database, make_projects=False) as api:
        answer = await api.publish(encoded(event("a", project="nobody")))
        assert answer.status_code == 400
        assert answer.json()["rejected"][0]["path"] == "project"
        assert await api.get("/projects") == []
