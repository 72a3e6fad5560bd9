"""What an agent asks of the gateway: what was too large for a queue, and what it cannot ask over RabbitMQ."""

from __future__ import annotations

from types import TracebackType
from typing import Any
from uuid import UUID

import httpx
import msgspec

from backbone.model import requests
from backbone.model.errors import NotAllowed, Unavailable
from backbone.model.requests import Answer, Request


class Left(msgspec.Struct):
    """By the bytes: nobody here looks into these documents."""

    input: msgspec.Raw
    entity: msgspec.Raw | None = None


_decode = msgspec.json.Decoder(Left).decode


def client_of(url: str, token: str | None, below: str = "") -> httpx.AsyncClient:
    """For what the gateway has below the path."""
    return httpx.AsyncClient(
        base_url=f"{url}/api/v1{below}",
        headers={"Authorization": f"Bearer {token}"} if token else {},
        timeout=30,
        trust_env=False,
        verify=not url.startswith("http:"),  # loading certificates takes longer than asking
    )


class Gateway:
    """As the agents of one service reach it."""

    def __init__(self, url: str, token: str | None, service_id: str) -> None:
        self._client = client_of(url, token, f"/agents/{service_id}/")

    async def __aenter__(self) -> Gateway:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.aclose()

    async def fetch(self, execution_id: UUID) -> tuple[bytes, bytes | None]:
        """Its input and its entity. Raises Unavailable."""
        response = await self._asked(f"input of {execution_id}", "GET", f"inputs/{execution_id}")
        left = _decode(response.content)
        return bytes(left.input), None if left.entity is None else bytes(left.entity)

    async def ask(self, request: Request) -> Answer:
        """What a dispatcher would have answered. Raises Unavailable, and NotAllowed."""
        body = {"content": requests.encode_request(request), "headers": {"content-type": requests.MEDIA_TYPE}}
        response = await self._asked("a question", "POST", "requests", **body)
        return requests.decode_answer(response.content)

    async def _asked(self, what: str, method: str, path: str, **body: Any) -> httpx.Response:
        try:
            response = await self._client.request(method, path, **body)
        except httpx.HTTPError as error:
            raise Unavailable("gateway", f"{what}: {error or type(error).__name__}") from error
        if response.status_code == 403:
            raise NotAllowed(f"{what}: {response.text[:200]}")
        if response.status_code != 200:
            raise Unavailable("gateway", f"{what}: {response.status_code} {response.text[:200]}")
        return response
