"""The running engine, asked over HTTP: the only module here that speaks it."""

from __future__ import annotations

import functools
import getpass
import os
from collections.abc import AsyncIterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote, urlsplit

import httpx
import msgspec

from backbone.model.errors import Conflict, NotFound, Unavailable
from launcher.cli.address import START_ONE, Address, Whereabouts
from launcher.cli.exits import Refused

API = "/api/v1"
CAUSATION, TRACE, STATE = "TRIGGER_ENGINE_CAUSATION", "TRACEPARENT", "TRACESTATE"
"""Where a function's subprocess finds the chain that led to it (agent/child.py)."""

TIMEOUT = 60.0
PAGE_SIZE = 1_000
EXECUTIONS_A_PAGE = 100  # they carry inputs and outputs

Document = dict[str, Any]


class Engine:
    """Every method raises Unavailable when nobody answers, and Refused with the engine's own words."""

    def __init__(self, whereabouts: Whereabouts, timeout: float = TIMEOUT) -> None:
        self._whereabouts = whereabouts
        self._timeout = timeout
        self._client: httpx.AsyncClient | None = None

    @property
    def data(self) -> Path:
        """The data folder on this machine, where commands may keep something too."""
        return self._whereabouts.data

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._forget()

    async def get(self, path: str, **query: str | int | None) -> Any:
        return _document(await self.request("GET", path, query=query))

    async def get_bytes(self, path: str) -> bytes:
        return (await self.request("GET", path)).content

    async def post(self, path: str, document: object = None) -> Any:
        return _document(await self.request("POST", path, document))

    async def patch(self, path: str, document: object) -> Any:
        return _document(await self.request("PATCH", path, document))

    async def delete(self, path: str) -> None:
        await self.request("DELETE", path)

    async def request(
        self,
        method: str,
        path: str,
        document: object = None,
        *,
        body: bytes | None = None,
        content_type: str = "application/json",
        query: dict[str, str | int | None] | None = None,
        expected: tuple[int, ...] = (),
    ) -> httpx.Response:
        """`expected`: error statuses that the caller reads himself."""
        if body is None and document is not None:
            body = msgspec.json.encode(document)
        address = self._whereabouts.find()
        client = self._client or self._open(address)
        try:
            response = await client.request(
                method,
                API + path,
                content=body,
                headers={
                    "x-actor": quote(whoever(), safe=""),
                    **({"content-type": content_type} if body is not None else {}),
                },
                params={name: value for name, value in (query or {}).items() if value is not None},
            )
        except httpx.TransportError as error:
            await self._forget()
            said = f" ({error})" if str(error) and not isinstance(error, httpx.ConnectError) else ""
            raise Unavailable("the engine", f"no engine answers at {address.url}{said}; {START_ONE}") from None
        if response.is_error and response.status_code not in expected:
            raise refusal(response)
        return response

    async def query(self, resource: str, filter: Document, limit: int | None = None) -> list[Document]:
        return [item async for item in self.pages(resource, filter, limit)]

    async def pages(self, resource: str, filter: Document, limit: int | None = None) -> AsyncIterator[Document]:
        """What the filter finds, newest executions first, page by page."""
        left, page = limit, 0
        size = EXECUTIONS_A_PAGE if resource == "executions" else PAGE_SIZE
        while left is None or left > 0:
            answer = await self.post(
                "/query/faas",
                {
                    "resource": resource,
                    "filter": filter,
                    "page": page,
                    "pageSize": size,
                    **({"sort": {"id": "descending"}} if resource == "executions" else {}),
                },
            )
            for item in answer["items"][:left]:
                yield item
            left = None if left is None else left - len(answer["items"])
            page += 1
            if not answer["hasNextPage"]:
                return

    async def count(self, resource: str, filter: Document) -> int:
        answer = await self.post("/query/faas", {"resource": resource, "filter": filter, "page": 0, "pageSize": 1})
        return int(answer["totalItemsCount"])

    async def find(self, resource: str, key: str, project_id: str | None = None) -> Document:
        """The one trigger, service or package of this id or this name."""
        place = {"projectId": project_id} if project_id else {}
        found = [one for one in await self.query(resource, {"name": key, **place}) if one["name"] == key]
        found = found or await self.query(resource, {"id": key, **place})
        if not found:
            raise NotFound(resource.removesuffix("s"), key)
        if len(found) > 1:
            ids = ", ".join(one["id"] for one in found)
            raise Conflict(f"{len(found)} {resource} are named {key!r}; give --project, or one of their ids: {ids}")
        return found[0]

    async def project(self, key: str) -> Document:
        """The project of this id or this name."""
        for project in await self.get("/projects"):
            if key in (project["id"], project["name"]):
                return dict(project)
        raise NotFound("project", key)

    async def names(self, resource: str) -> dict[str, str]:
        """The name of each id."""
        found = await self.get("/projects") if resource == "projects" else await self.query(resource, {})
        return {one["id"]: one["name"] for one in found}

    def _open(self, address: Address) -> httpx.AsyncClient:
        near = urlsplit(address.url).hostname in ("127.0.0.1", "localhost", "::1")
        self._client = httpx.AsyncClient(
            base_url=address.url,
            timeout=self._timeout,
            headers={
                **({"authorization": f"Bearer {address.token}"} if address.token else {}),
                # A function started us: what we write is of its making.
                **({"x-trigger-engine-causation": chain} if (chain := os.environ.get(CAUSATION)) else {}),
                **({"traceparent": trace} if (trace := os.environ.get(TRACE)) else {}),
                **({"tracestate": state} if (state := os.environ.get(STATE)) else {}),
            },
            trust_env=not near,  # a proxy does not know this machine
            verify=not (near and address.url.startswith("http:")),  # loading certificates takes longer than asking
        )
        return self._client

    async def _forget(self) -> None:
        if self._client is not None:
            await self._client.aclose()
            self._client = None


@functools.cache
def whoever() -> str:
    """Who types, for what is written down with a change."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user without a name, as in some containers
        return f"uid {os.getuid()}"


def segment(key: str | int) -> str:
    """A key as one segment of a path, whatever characters it has."""
    return quote(str(key), safe="")


def _document(response: httpx.Response) -> Any:
    return msgspec.json.decode(response.content) if response.content else None


def refusal(response: httpx.Response) -> Refused | Unavailable:
    status = response.status_code
    try:
        problem = msgspec.json.decode(response.content)
        message, path = str(problem["message"]), str(problem.get("path") or "")
    except (msgspec.MsgspecError, KeyError, TypeError, AttributeError):
        message, path = f"it answered {status} {response.reason_phrase}", ""
    return Unavailable("the engine", message) if status in (502, 503, 504) else Refused(status, message, path)
