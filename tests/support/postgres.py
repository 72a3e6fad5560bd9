"""PostgreSQL for tests: one server a run, migrated once, and a database of its own for each test that asks.

A database is a copy of the migrated template. The server is the embedded one with fsync off, or the one that
`TRIGGER_ENGINE_TEST_DATABASE` names. Database names are random, so that runs may share a server.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

import asyncpg
import pytest

from launcher.postgres import PostgresServer

SMALL_AND_FAST = {"shared_buffers": "64MB", "fsync": "off", "full_page_writes": "off"}
LEAVING = timedelta(seconds=2)


@dataclass(frozen=True, slots=True)
class Template:
    server: str
    name: str

    def dsn(self, database: str) -> str:
        return urlunsplit(urlsplit(self.server)._replace(path="/" + quote(database, safe="")))


@asynccontextmanager
async def embedded_server(folder: Path) -> AsyncIterator[str]:
    server = PostgresServer(folder, settings=SMALL_AND_FAST)
    await server.start()
    try:
        yield server.dsn()
    finally:
        await server.stop()


@asynccontextmanager
async def migrated_template(server: str) -> AsyncIterator[Template]:
    from backbone.store import migrations  # tests that need no database do not wait for its import

    template = Template(server, f"test_template_{secrets.token_hex(6)}")
    async with _connection(server) as admin:
        await admin.execute(f'CREATE DATABASE "{template.name}"')
    try:
        await migrations.migrate(template.dsn(template.name))
        yield template
    finally:
        async with _connection(server) as admin:
            await admin.execute(f'DROP DATABASE "{template.name}" WITH (FORCE)')


@asynccontextmanager
async def database_of_one_test(template: Template) -> AsyncIterator[str]:
    """Refuses, at the end, what still holds a connection: who opens one closes it."""
    name = f"test_{secrets.token_hex(6)}"
    async with _connection(template.server) as admin:
        await admin.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template.name}" STRATEGY FILE_COPY')
    try:
        yield template.dsn(name)
    finally:
        async with _connection(template.server) as admin:
            left = await _connections_left(admin, name)
            await admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
        if left:
            pytest.fail(f"connections left open on the test's database: {left}", pytrace=False)


async def _connections_left(admin: asyncpg.Connection, database: str) -> list[str]:
    """A closed connection's backend needs a moment to go, so this asks again for a while."""
    deadline = asyncio.get_running_loop().time() + LEAVING.total_seconds()
    while True:
        rows = await admin.fetch(
            "SELECT application_name, state, query FROM pg_stat_activity"
            " WHERE datname = $1 AND backend_type = 'client backend'",
            database,
        )
        if not rows or asyncio.get_running_loop().time() > deadline:
            return [f"{row['application_name']!r} {row['state']}: {row['query']}" for row in rows]
        await asyncio.sleep(0.01)


@asynccontextmanager
async def _connection(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(dsn)
    try:
        yield connection
    finally:
        await connection.close()
