"""Reports as a table: one row holds what an agent said in one go."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Sequence
from datetime import timedelta
from uuid import UUID

import asyncpg
import msgspec

from backbone.model import messages
from backbone.model.messages import Report
from backbone.store import exclusive
from backbone.store.database import Database, KeptLane
from backbone.store.queries import sql
from backbone.store.wakeups import Wakeups

CHANNEL = "reports"

log = logging.getLogger(__name__)


class PostgresReports:
    in_store = True

    def __init__(self, database: Database, wakeups: Wakeups) -> None:
        self._database = database
        self._wakeups = wakeups
        self._lane = KeptLane(database)

    async def send(self, reports: Sequence[Report]) -> None:
        async with self._lane.use() as connection:
            await connection.execute(sql("work/send reports"), messages.encode_reports(reports))
        self._wakeups.wake([CHANNEL])

    async def beat(
        self, session: UUID, service_id: str, lease: timedelta, untold: Sequence[UUID] = ()
    ) -> Sequence[UUID]:
        async with self._database.pool.acquire() as connection:
            await connection.execute(sql("work/beat"), session, service_id, lease)
            if untold:
                await connection.execute(sql("work/keep"), [session] * len(untold), untold)
            rows = await connection.fetch(sql("execution/to terminate"), session)
        return [row["id"] for row in rows]

    async def leave(self, session: UUID) -> None:
        await self._database.pool.execute(sql("work/leave"), session)

    async def receive(self, limit: int) -> AsyncGenerator[PostgresReportBatch, None]:
        signal = self._wakeups.watch(CHANNEL)
        async with self._database.lane(durable=False) as connection:
            await exclusive.acquire(connection, "reader reports")
            while True:
                signal.clear()
                rows = await connection.fetch(sql("work/receive reports"), limit)
                if rows:
                    yield PostgresReportBatch(connection, rows)
                else:
                    await self._wakeups.wait(signal)

    async def close(self) -> None:
        await self._lane.close()


class PostgresReportBatch:
    def __init__(self, connection: asyncpg.Connection, rows: Sequence[asyncpg.Record]) -> None:
        self._connection = connection
        self._ids = [row["id"] for row in rows]
        self.reports: list[Report] = []
        for row in rows:
            try:
                self.reports.extend(messages.decode_reports(row["body"]))
            except msgspec.MsgspecError as error:
                log.error("report cannot be read, passed over", extra={"report": row["id"], "reason": str(error)})

    async def acknowledge(self) -> None:
        await self._connection.execute(sql("work/acknowledge reports"), self._ids)
