"""What was too large for a queue, fetched from the gateway."""

from __future__ import annotations

from types import TracebackType
from uuid import UUID

import httpx
import msgspec

from backbone.model.errors import Unavailable


class Left(msgspec.Struct):
    """By the bytes: nobody here looks into these documents."""

    input: msgspec.Raw
    entity: msgspec.Raw | None = None


_decode = msgspec.json.Decoder(Left).decode


class Inputs:
    """Of the executions of one service."""

    def __init__(self, gateway: str, token: str | None, service_id: str) -> None:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        at = f"{gateway}/api/v1/agents/{service_id}/inputs/"
        self._client = httpx.AsyncClient(base_url=at, headers=headers, timeout=30, trust_env=False)

    async def __aenter__(self) -> Inputs:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.aclose()

    async def fetch(self, execution_id: UUID) -> tuple[bytes, bytes | None]:
        """Its input and its entity. Raises Unavailable."""
        try:
            response = await self._client.get(str(execution_id))
        except httpx.HTTPError as error:
            raise Unavailable("gateway", f"input of {execution_id}: {error or type(error).__name__}") from error
        if response.status_code != 200:
            raise Unavailable("gateway", f"input of {execution_id}: {response.status_code} {response.text[:200]}")
        left = _decode(response.content)
        return bytes(left.input), None if left.entity is None else bytes(left.entity)
