"""The gateway as it stands on the network: its door, its bounds, its health."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from backbone.kit.loops import Health
from backbone.model.errors import Invalid, Unavailable
from backbone.store.queries import sql
from gateway import agent_tokens, service
from gateway.app import App
from gateway.service import GatewaySettings
from launcher.checking import every
from launcher.settings import Settings
from tests.support import gateway as support
from tests.support.gateway import API, codebase_zip

EVENT = b'{"resource":"Item","action":"Created","entity":{"id":"i1"}}'


@asynccontextmanager
async def listening(dsn: str, **settings: Any) -> AsyncIterator[httpx.AsyncClient]:
    """The whole service on a free port, until the block ends."""
    rules = GatewaySettings(port=0, **settings)
    address: asyncio.Future[tuple[str, int]] = asyncio.get_running_loop().create_future()
    async with support.parts(dsn, rules) as parts:
        health = Health()
        running = asyncio.create_task(
            service.run(
                parts.database, parts.wakeups, parts.event_log, parts.work_queue, health, rules,
                on_listening=lambda host, port: address.set_result((host, port)),
            )
        )  # fmt: skip
        either: list[asyncio.Future[Any]] = [running, address]
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            await running
        try:
            host, port = address.result()
            async with httpx.AsyncClient(base_url=f"http://{host}:{port}", timeout=30) as client:
                yield client
        finally:
            running.cancel()
            await asyncio.wait([running])


async def raw(port: int, request: bytes) -> bytes:
    """The first answer to bytes of which httpx would never send the like."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(request)
        return await reader.readuntil(b"\r\n\r\n")
    finally:
        writer.close()
        await writer.wait_closed()


async def tell(client_database: Any, role: str, *, ready: bool = True, ago: float = 0) -> None:
    await client_database.execute(sql("incident/tell part"), f"{role} 1", role, ready, "" if ready else "broken")
    await client_database.execute("UPDATE part SET told_at = now() - $1 * interval '1 s' WHERE role = $2", ago, role)


async def test_many_requests_at_once_are_all_written(database: str) -> None:
    async with listening(database) as client:
        answers = await asyncio.gather(*[client.post(f"{API}/events", content=EVENT) for _ in range(100)])
        assert {answer.status_code for answer in answers} == {202}
        [event_id] = answers[0].json()["ids"]
        assert (await client.get(f"{API}/events/{event_id}")).status_code == 200


async def test_a_body_of_ten_megabytes_is_refused_with_its_limit(database: str) -> None:
    async with listening(database) as client:
        answer = await client.post(f"{API}/events", content=b" " * 10_000_000)
        assert (answer.status_code, answer.json()["status"]) == (413, 413)
        assert "8,000,000 bytes" in answer.json()["message"]
        answer = await client.post(f"{API}/triggers", content=b" " * 1_000_001)
        assert answer.status_code == 413
        assert (await client.post(f"{API}/events", content=EVENT)).status_code == 202


async def test_a_body_that_does_not_say_its_length_is_bounded_too(database: str) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b" " * 100_000

    async with listening(database) as client:
        answer = await client.post(f"{API}/events", content=endless())
        assert answer.status_code == 413


async def test_a_body_is_refused_before_it_is_sent(database: str) -> None:
    async with listening(database) as client:
        head = f"POST {API}/events HTTP/1.1\r\nhost: x\r\ncontent-length: 100000000\r\n\r\n".encode()
        assert (await raw(client.base_url.port or 0, head + b"{" * 100)).startswith(b"HTTP/1.1 413")


async def test_an_answer_to_who_sends_no_more_is_whole(database: str) -> None:
    async with listening(database) as client:
        reader, writer = await asyncio.open_connection("127.0.0.1", client.base_url.port)
        writer.write(b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        assert f"content-length: {len(body)}".encode() in head
        writer.close()
        await writer.wait_closed()


async def test_a_codebase_may_be_large(database: str) -> None:
    async with listening(database) as client:
        content = codebase_zip("#" * 20_000_000)
        kept = await client.post(f"{API}/codebases", content=content)
        assert (await client.get(f"{API}/codebases/{kept.json()['id']}")).content == content


async def test_with_a_token_nobody_else_comes_in(database: str) -> None:
    async with listening(database, token="secret") as client:
        for headers in ({}, {"authorization": "Bearer wrong"}, {"authorization": "secret"}):
            for method, path in (("POST", f"{API}/events"), ("GET", f"{API}/projects"), ("GET", "/metrics")):
                answer = await client.request(method, path, headers=headers)
                assert (answer.status_code, answer.json()["message"]) == (401, "the token is missing or wrong")
        assert (await client.get("/healthz")).status_code == 200
        assert (await client.get("/readyz")).status_code == 503
        client.headers["authorization"] = "Bearer secret"
        assert (await client.post(f"{API}/events", content=EVENT)).status_code == 202


@pytest.mark.parametrize(("host", "token"), [("0.0.0.0", None), ("::", None), ("example.com", None), ("127.0.0.1", "")])
async def test_it_does_not_listen_to_strangers_without_a_token(database: str, host: str, token: str | None) -> None:
    with pytest.raises(Invalid, match=r"^token: "):
        async with listening(database, host=host, token=token):
            pytest.fail("it listens")


async def test_a_port_that_is_taken_is_named(database: str) -> None:
    async with listening(database) as client:
        rules = GatewaySettings(port=client.base_url.port or 0)
        async with support.parts(database, rules) as parts:
            with pytest.raises(Unavailable, match=rf"127.0.0.1:{rules.port} is unavailable: Address already in use"):
                await service.run(
                    parts.database, parts.wakeups, parts.event_log, parts.work_queue, Health(), rules,
                    on_listening=lambda host, port: None,
                )  # fmt: skip


async def test_readiness_needs_a_part_of_each_role_that_spoke_lately(database: str) -> None:
    async with support.gateway(database) as api:
        pool = api.parts.database.pool
        answer = await api.client.get("/readyz")
        assert (answer.status_code, answer.json()["ready"]) == (503, False)
        assert {part["role"]: part["detail"] for part in answer.json()["parts"]}["engine"] == "is not there"
        for role in ("engine", "dispatcher", "gateway"):
            await tell(pool, role)
        answer = await api.client.get("/readyz")
        assert (answer.status_code, answer.json()["ready"]) == (200, True)
        await tell(pool, "engine", ago=6)
        answer = await api.client.get("/readyz")
        assert answer.status_code == 503
        assert {part["role"]: part["detail"] for part in answer.json()["parts"]}["engine"] == "silent for 6 s"
        await tell(pool, "engine", ready=False)
        assert (await api.client.get("/readyz")).status_code == 503


async def test_without_postgresql_it_lives_and_is_not_ready_and_says_come_again() -> None:
    async with support.parts("postgresql://nobody@127.0.0.1:1/nothing", GatewaySettings()) as parts:
        transport = httpx.ASGITransport(App(parts))
        async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
            assert (await client.get("/healthz")).json() == {"alive": True}
            ready = await client.get("/readyz")
            assert (ready.status_code, ready.json()["parts"][0]["name"]) == (503, "postgresql")
            answer = await client.get(f"{API}/projects")
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")


async def test_what_was_accepted_is_counted(database: str) -> None:
    async with support.gateway(database) as api:

        async def accepted() -> float:
            text = (await api.client.get("/metrics")).text
            return sum(
                float(line.split()[1])
                for line in text.splitlines()
                if line.startswith("trigger_engine_events_accepted_total ")
            )

        before = await accepted()
        await api.publish(EVENT)
        assert await accepted() == before + 1


async def test_check_says_whether_the_gateway_takes_our_token(database: str) -> None:
    async with listening(database, token="right") as client:
        for role in ("engine", "dispatcher", "gateway"):
            async with support.parts(database, GatewaySettings()) as parts:
                await tell(parts.database.pool, role)
        for token, wrong in {
            "right": [],
            agent_tokens.of_service("right", "s1"): [],
            agent_tokens.of_host("right"): [],
            agent_tokens.of_service("other", "s1"): ["it does not take TRIGGER_ENGINE_TOKEN"],
            "": ["it asks for a token, and TRIGGER_ENGINE_TOKEN is not set"],
        }.items():
            [found] = await every.every_server(Settings(url=str(client.base_url), token=token), Path("/nowhere"))
            assert found.reached
            assert [problem.wrong for problem in found.problems] == wrong


async def test_check_says_what_is_not_ready_behind_the_gateway(database: str) -> None:
    async with listening(database) as client:
        [found] = await every.every_server(Settings(url=str(client.base_url)), Path("/nowhere"))
    [problem] = found.problems
    assert "engine: is not there; dispatcher: is not there" in problem.wrong
    assert found.facts["tokenTaken"] is True
