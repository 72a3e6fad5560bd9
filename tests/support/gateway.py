"""The gateway on a database of one test, asked over ASGI: everything is real but the socket."""

from __future__ import annotations

import asyncio
import io
import zipfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from backbone.drivers.event_log.postgres import PostgresEventLog
from backbone.drivers.work_queue.postgres import PostgresWorkQueue
from backbone.store.database import Database
from backbone.store.wakeups import Wakeups
from gateway.app import App
from gateway.parts import Parts
from gateway.settings import GatewaySettings

API = "/api/v1"


@dataclass(frozen=True)
class Api:
    client: httpx.AsyncClient
    parts: Parts

    async def get(self, path: str, expected: int = 200) -> Any:
        return await self.ask("GET", path, expected=expected)

    async def post(self, path: str, document: Any = None, expected: int = 200) -> Any:
        return await self.ask("POST", path, document, expected=expected)

    async def patch(self, path: str, document: Any, expected: int = 200) -> Any:
        return await self.ask("PATCH", path, document, expected=expected)

    async def delete(self, path: str, expected: int = 200) -> Any:
        return await self.ask("DELETE", path, expected=expected)

    async def ask(self, method: str, path: str, document: Any = None, *, expected: int) -> Any:
        response = await self.client.request(method, API + path, json=document)
        assert response.status_code == expected, response.text
        return response.json()

    async def publish(self, body: bytes, content_type: str = "application/json") -> httpx.Response:
        return await self.client.post(f"{API}/events", content=body, headers={"content-type": content_type})

    async def fetch(self, statement: str, *arguments: Any) -> list[Any]:
        return list(await self.parts.database.pool.fetch(statement, *arguments))

    async def package(self, name: str = "grey", project: str = "demo", **changes: Any) -> Any:
        codebase = await self.client.post(f"{API}/codebases", content=codebase_zip())
        document = {
            "name": name,
            "project": project,
            "codebase": {"type": "item", "itemId": codebase.json()["id"]},
            "modules": [{"name": "main", "entryPoint": "main.py", "functions": [{"name": "run"}]}],
        }
        return await self.post("/packages", {**document, **changes})

    async def service(self, name: str = "grey", project: str = "demo", **changes: Any) -> Any:
        package = await self.package(name, project)
        return await self.post("/services", {"name": name, "packageId": package["id"], **changes})

    async def trigger(self, service_id: str, **spec: Any) -> Any:
        operation = {"type": "function", "serviceId": service_id, "functionName": "run"}
        return await self.post(
            "/triggers", {"spec": {"resource": "Item", "actions": ["Created"], "operation": operation, **spec}}
        )

    async def cron(self, service_id: str, **spec: Any) -> Any:
        operation = {"type": "function", "serviceId": service_id, "functionName": "run"}
        return await self.post(
            "/triggers", {"type": "Cron", "spec": {"cron": "0 5 * * *", "operation": operation, **spec}}
        )


@asynccontextmanager
async def gateway(dsn: str, **settings: Any) -> AsyncIterator[Api]:
    async with parts(dsn, GatewaySettings(**settings)) as found:
        writer = asyncio.create_task(found.writer.run())
        transport = httpx.ASGITransport(App(found), raise_app_exceptions=True)
        try:
            async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
                yield Api(client, found)
        finally:
            writer.cancel()
            await asyncio.wait([writer])


@asynccontextmanager
async def parts(dsn: str, settings: GatewaySettings) -> AsyncIterator[Parts]:
    database = await Database(dsn, "gateway under test").open()
    wakeups = Wakeups(database)
    event_log = PostgresEventLog(database, wakeups)
    work_queue = PostgresWorkQueue(database, wakeups)
    made = Parts.of(database, wakeups, event_log, work_queue, settings)
    try:
        yield made
    finally:
        await made.leases.close()
        await event_log.close()
        await work_queue.close()
        await database.close()


def codebase_zip(text: str = "class ServiceRunner:\n    def run(self, item): pass\n") -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr(zipfile.ZipInfo("main.py"), text)
    return content.getvalue()
