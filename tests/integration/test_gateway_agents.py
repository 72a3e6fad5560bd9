"""What agents ask the gateway for, and what the token of one service opens."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from backbone.model import requests
from backbone.model.requests import Beat, Leave, Request, Take
from gateway import agent_tokens
from tests.support.gateway import API, Api, codebase_zip, gateway

SECRET = "the gateway's own"


@pytest.fixture
async def api(database: str) -> AsyncIterator[Api]:
    async with gateway(database, token=SECRET) as api:
        api.client.headers["authorization"] = f"Bearer {SECRET}"
        yield api


async def ask(api: Api, token: str, path: str, method: str = "GET") -> httpx.Response:
    return await api.client.request(method, API + path, headers={"authorization": f"Bearer {token}"})


async def two_services(api: Api) -> tuple[Any, Any]:
    return await api.service("one"), await api.service("other")


async def test_an_agent_finds_its_service_with_its_code(api: Api) -> None:
    one, _ = await two_services(api)
    token = agent_tokens.of_service(SECRET, one["id"])
    deployment = (await ask(api, token, f"/agents/{one['id']}")).json()
    assert deployment["service"] == one
    assert deployment["package"]["id"] == one["packageId"]
    codebase = deployment["package"]["codebase"]["itemId"]
    assert (await ask(api, token, f"/agents/{one['id']}/codebases/{codebase}")).content == codebase_zip()
    assert (await ask(api, token, f"/agents/{one['id']}/codebases/{'0' * 24}")).status_code == 404


async def test_a_large_input_is_fetched_with_its_entity(api: Api) -> None:
    one, other = await two_services(api)
    made = await api.post(f"/executions/{one['id']}", {"functionName": "run", "input": {"word": "x" * 1000}})
    token = agent_tokens.of_service(SECRET, one["id"])
    path = f"/agents/{one['id']}/inputs/{made['id']}"
    assert (await ask(api, token, path)).json() == {"input": {"word": "x" * 1000}, "entity": None}
    elsewhere = agent_tokens.of_service(SECRET, other["id"])
    assert (await ask(api, elsewhere, f"/agents/{other['id']}/inputs/{made['id']}")).status_code == 404


async def test_the_token_of_a_service_opens_nothing_of_another(api: Api) -> None:
    one, other = await two_services(api)
    token = agent_tokens.of_service(SECRET, one["id"])
    for path in (f"/agents/{other['id']}", f"/agents/{other['id']}/codebases/1", "/agents", "/services", "/triggers"):
        assert (await ask(api, token, path)).status_code == 401, path
    assert (await ask(api, token, f"/services/{one['id']}", "DELETE")).status_code == 401
    assert (await ask(api, token, f"/agents/{one['id']}", "POST")).status_code == 401


async def test_an_agent_asks_for_its_own_service_alone(api: Api) -> None:
    one, other = await two_services(api)
    made = await api.post(f"/executions/{one['id']}", {"functionName": "run"})
    token, session, lease = agent_tokens.of_service(SECRET, one["id"]), uuid4(), timedelta(seconds=30)
    beat = Beat(session=session, service_id=one["id"], lease=lease)
    take = Take(asking=uuid4(), session=session, service_id=one["id"], attempts=[(UUID(made["id"]), 1)])
    path = f"/agents/{one['id']}/requests"
    assert await answer(api, token, path, beat) == []
    assert await answer(api, token, path, take) == [UUID(made["id"])]
    await api.post(f"/executions/{made['id']}/terminate")
    assert await answer(api, token, path, beat) == [UUID(made["id"])]
    assert await answer(api, token, path, Leave(session=session)) == []
    [left] = await api.fetch("SELECT lease_until <= now() AS is_over FROM agent_session")
    assert left["is_over"]
    assert (await question(api, token, f"/agents/{other['id']}/requests", take)).status_code == 401
    elsewhere = Beat(session=session, service_id=other["id"], lease=lease)
    refused = await question(api, token, path, elsewhere)
    assert refused.status_code == 403
    assert f"'{other['id']}' is asked for by an agent of service '{one['id']}'" in refused.json()["message"]
    others = agent_tokens.of_service(SECRET, other["id"])
    for forged in (
        Take(asking=uuid4(), session=session, service_id=other["id"], attempts=take.attempts),
        Leave(session=session),
    ):
        assert (await question(api, others, f"/agents/{other['id']}/requests", forged)).status_code == 403
    nonsense = await ask(api, token, path, "POST")
    assert (nonsense.status_code, nonsense.json()["message"][:28]) == (400, "is no question of an agent: ")


async def answer(api: Api, token: str, path: str, request: Request) -> list[UUID]:
    response = await question(api, token, path, request)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == requests.MEDIA_TYPE
    return requests.decode_answer(response.content)


async def question(api: Api, token: str, path: str, request: Request) -> httpx.Response:
    headers = {"authorization": f"Bearer {token}", "content-type": requests.MEDIA_TYPE}
    return await api.client.post(API + path, content=requests.encode_request(request), headers=headers)


@pytest.mark.parametrize(
    "token", ["", ".", "agents", "agents.", "agent.x.", "agent.6b01f9f5fe7179bed309bb0b.00", "é.é"]
)
async def test_a_token_that_we_did_not_make_opens_nothing(api: Api, token: str) -> None:
    response = await api.client.get(f"{API}/agents", headers={"authorization": f"Bearer {token}".encode()})
    assert response.status_code == 401


async def test_a_host_of_agents_finds_every_service_and_their_tokens(api: Api) -> None:
    services = await two_services(api)
    found = (await ask(api, agent_tokens.of_host(SECRET), "/agents")).json()
    assert sorted(one["service"]["id"] for one in found) == sorted(one["id"] for one in services)
    for one in found:
        assert (await ask(api, one["token"], f"/agents/{one['service']['id']}")).status_code == 200
    assert (await ask(api, agent_tokens.of_host(SECRET), "/services")).status_code == 401
