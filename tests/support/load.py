"""A client that does not give up: events at a steady rate, each request repeated until it is answered 2xx."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator

import httpx

from tests.support.engine import API, Engine

CONNECTIONS = 8
A_REQUEST = 10  # events
NO_LOOP = {"TRIGGER_ENGINE_LOOP_TRIGGER_MATCHES": "1000000", "TRIGGER_ENGINE_LOOP_GENERATIONS": "1000000"}
"""For an engine whose guard is not to hold a load back, and look whether it is one."""
PATIENCE = 5.0  # seconds for an answer, then it is asked again


async def publish(engine: Engine, events: list[dict[str, object]], rate: float) -> int:
    """Returns how many requests were repeated, once every event was answered 2xx."""
    requests = [json.dumps(events[at : at + A_REQUEST]).encode() for at in range(0, len(events), A_REQUEST)]
    began = asyncio.get_running_loop().time()
    waiting = iter(enumerate(requests))
    async with asyncio.TaskGroup() as tasks:
        workers = [tasks.create_task(_worker(engine, waiting, began, rate / A_REQUEST)) for _ in range(CONNECTIONS)]
    return sum(worker.result() for worker in workers)


async def _worker(engine: Engine, requests: Iterator[tuple[int, bytes]], began: float, rate: float) -> int:
    repeated = 0
    async with httpx.AsyncClient(base_url=engine.url, trust_env=False, verify=False, timeout=PATIENCE) as client:
        for number, body in requests:
            await asyncio.sleep(began + number / rate - asyncio.get_running_loop().time())
            while not await _is_taken(client, body):
                repeated += 1
                await asyncio.sleep(0.05)
    return repeated


async def _is_taken(client: httpx.AsyncClient, body: bytes) -> bool:
    try:
        answer = await client.post(API + "/events", content=body, headers={"content-type": "application/json"})
    except httpx.TransportError:
        return False
    assert answer.is_success or answer.status_code == 503, f"answered {answer.status_code}: {answer.text}"
    return answer.is_success
