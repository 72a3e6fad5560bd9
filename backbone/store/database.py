"""The way to PostgreSQL.

Two kinds of connection: the *pool* for what comes now and then, and a *lane* for a loop of its own, which keeps its
prepared statements and says once how durable its commits are.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

import asyncpg

CONNECTS_WITHIN = 10.0
"""Seconds. A server that dies while it is being connected to may never answer; asyncpg would wait for a minute."""

_PLANNING = {
    # Tables here are empty at one moment and huge at the next, and a plan made for the empty one is a disaster for the
    # huge one. So no plan may depend on how large a table is taken to be: our statements reach every large table by
    # its key (`= ANY`, LATERAL), planned once, and these settings leave the planner no other way.
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "enable_mergejoin": "off",
    "jit": "off",
}
_LOOKUPS = {"enable_hashjoin": "off"}
_HASHES = {"enable_nestloop": "off"}


class Database:
    """Open once a process, close at its end."""

    def __init__(self, dsn: str, name: str = "trigger-engine") -> None:
        self.dsn = dsn
        self._name = name
        self._pool: asyncpg.Pool | None = None

    async def open(self, max_size: int = 8) -> Database:
        self._pool = await asyncpg.create_pool(
            self.dsn,
            min_size=0,
            max_size=max_size,
            timeout=CONNECTS_WITHIN,
            server_settings={"application_name": self._name},
        )
        return self

    async def close(self) -> None:
        if self._pool is not None:
            # A connection whose server hangs must not keep us from going.
            try:
                await asyncio.wait_for(self._pool.close(), 5)
            except TimeoutError:
                self._pool.terminate()
            self._pool = None

    @property
    def pool(self) -> asyncpg.Pool:
        if self._pool is None:
            raise RuntimeError("the database is not open")
        return self._pool

    @asynccontextmanager
    async def lane(self, *, durable: bool = True, hashes: bool = False) -> AsyncIterator[asyncpg.Connection]:
        """A connection for one loop. Not `durable`: a crash of the server may undo the last commits, whole and in
        order, which is right for what is done again from what is still there (docs/decisions/0003-durability.md).
        `hashes`: a batch is joined to the rows that its own keys found, and not looked up row by row."""
        connection = await asyncpg.connect(
            self.dsn,
            timeout=CONNECTS_WITHIN,
            server_settings={
                "application_name": self._name,
                "synchronous_commit": "on" if durable else "off",
                **_PLANNING,
                **(_HASHES if hashes else _LOOKUPS),
            },
        )
        try:
            yield connection
        finally:
            # Not close(): after an error in the middle of a query it would wait for the server's answer.
            if not connection.is_closed():
                try:
                    await connection.close(timeout=2)
                except (
                    TimeoutError,
                    OSError,
                    asyncpg.PostgresError,
                    asyncpg.InterfaceError,
                    asyncpg.InternalClientError,
                ):
                    connection.terminate()


class KeptLane:
    """A lane that is opened when it is first needed and again after its connection was lost; one user at a time."""

    def __init__(self, database: Database, *, durable: bool = True, hashes: bool = False) -> None:
        self._open = partial(database.lane, durable=durable, hashes=hashes)
        self._stack = AsyncExitStack()
        self._connection: asyncpg.Connection | None = None
        self._one_at_a_time = asyncio.Lock()

    @asynccontextmanager
    async def use(self) -> AsyncIterator[asyncpg.Connection]:
        async with self._one_at_a_time:
            connection = self._connection
            if connection is None or connection.is_closed():
                await self.close()
                connection = self._connection = await self._stack.enter_async_context(self._open())
            yield connection

    async def close(self) -> None:
        self._connection = None
        await self._stack.aclose()
