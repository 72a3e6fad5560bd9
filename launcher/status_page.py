"""How a part without pages of its own says how it is: whether it lives, whether it works, and what it counted."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import orjson
import prometheus_client
import uvicorn
from starlette.types import Receive, Scope, Send

from backbone.kit.loops import Health
from gateway.service import Server, listening

JSON = b"application/json"


@contextlib.asynccontextmanager
async def shown(health: Health, host: str, port: int) -> AsyncIterator[None]:
    """The pages are there while the body runs. Port 0: none are. Raises Unavailable when the port is taken."""
    if not port:
        yield
        return
    with listening(host, port) as listener:
        config = uvicorn.Config(Pages(health), lifespan="off", log_config=None, access_log=False, ws="none")
        server = Server(config)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield
        finally:
            server.should_exit = True
            await asyncio.wait([serving])


class Pages:
    def __init__(self, health: Health) -> None:
        self._health = health

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        status, content_type, body = self._page(scope["path"])
        headers = [(b"content-type", content_type), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def _page(self, path: str) -> tuple[int, bytes, bytes]:
        if path == "/healthz":
            return 200, JSON, orjson.dumps({"alive": True})
        if path == "/readyz":
            ready = self._health.ready
            return 200 if ready else 503, JSON, orjson.dumps({"ready": ready, "detail": self._health.detail})
        if path == "/metrics":
            return 200, prometheus_client.CONTENT_TYPE_LATEST.encode(), prometheus_client.generate_latest()
        return 404, JSON, orjson.dumps({"message": f"there is nothing at {path[:200]}", "status": 404})
