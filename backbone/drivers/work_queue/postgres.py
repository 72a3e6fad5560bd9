"""The work queue as a table: a row is an item that waits; taking it is deleting it and leasing its execution."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

import asyncpg

from backbone.model.messages import WorkItem
from backbone.ports import TAKEN_AT_ONCE
from backbone.store import executions
from backbone.store.database import Database, KeptLane
from backbone.store.queries import sql
from backbone.store.wakeups import Wakeups


class PostgresWorkQueue:
    in_store = True

    def __init__(self, database: Database, wakeups: Wakeups) -> None:
        self._database = database
        self._wakeups = wakeups
        # Durable: an item whose taking is forgotten would be given to a second agent while the first runs it.
        self._lane = KeptLane(database)

    async def put(self, items: Sequence[WorkItem]) -> None:
        await self._database.pool.execute(
            sql("work/put"),
            [item.service_id for item in items],
            [item.execution_id for item in items],
            [item.attempt for item in items],
        )
        self.announce({item.service_id for item in items})

    def announce(self, service_ids: Iterable[str]) -> None:
        self._wakeups.wake(self.channels(service_ids))

    def channels(self, service_ids: Iterable[str]) -> Sequence[str]:
        return [_channel(service_id) for service_id in service_ids]

    async def take(self, service_id: str, session: UUID, limit: int) -> Sequence[WorkItem]:
        signal = self._wakeups.watch(_channel(service_id))
        most = min(limit, TAKEN_AT_ONCE)
        while True:
            signal.clear()
            async with self._lane.use() as connection:
                try:
                    rows = await connection.fetch(sql("work/take"), service_id, session, most)
                except asyncpg.UniqueViolationError:
                    continue  # another agent took an item of the same execution just now; it falls away the next time
            if rows:
                return [executions.work_item(row) for row in rows]
            await self._wakeups.wait(signal)

    async def forgo(self, service_id: str) -> None:
        """Nothing is fetched ahead."""

    async def depth(self) -> Mapping[str, int]:
        return {row["service_id"]: row["items"] for row in await self._database.pool.fetch(sql("work/depth"))}

    async def close(self) -> None:
        await self._lane.close()


def _channel(service_id: str) -> str:
    return f"work {service_id}"
