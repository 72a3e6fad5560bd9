"""The event log as a table: appended by many, read by one, in the order (xid, seq) below the horizon.

Reading by sequence number alone loses events: a transaction with a smaller number may commit later. Below the
smallest transaction that is still open nothing can appear any more, so that is how far a reader goes.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from datetime import date

import asyncpg

from backbone.model.errors import InvalidEvent
from backbone.model.events import DeadLetter, Event, RecordedEvent
from backbone.store import events, exclusive
from backbone.store.database import Database, KeptLane
from backbone.store.queries import sql
from backbone.store.wakeups import Wakeups

CHANNEL = "events"
_FIRST_PAUSE = 0.0005  # seconds; an open transaction that hides events is mostly a commit away from ending
_LONGEST_PAUSE = 0.05


@dataclass(frozen=True, slots=True)
class _Position:
    day: date
    xid: int
    seq: int


class PostgresEventLog:
    in_store = True

    def __init__(self, database: Database, wakeups: Wakeups, reader: str = "engine") -> None:
        self._database = database
        self._wakeups = wakeups
        self._reader = reader
        self._lane = KeptLane(database)

    async def append(self, events_: Sequence[Event]) -> None:
        async with self._lane.use() as connection:
            while True:
                try:
                    await events.append(connection, events_)
                    break
                except asyncpg.DeadlockDetectedError:
                    continue  # two writers with the same ids in another order wait for each other; one gives way
        self._wakeups.wake([CHANNEL])

    async def close(self) -> None:
        await self._lane.close()

    async def read(self, limit: int) -> AsyncGenerator[PostgresEventBatch, None]:
        signal = self._wakeups.watch(CHANNEL)
        async with self._database.lane(durable=False) as connection:
            await exclusive.acquire(connection, f"reader {self._reader}")
            row = await connection.fetchrow(sql("event/position"), self._reader)
            position = _Position(row["day"], row["xid"], row["seq"])
            pause = _FIRST_PAUSE
            while True:
                signal.clear()
                rows = await connection.fetch(sql("event/read"), position.day, position.xid, position.seq, limit)
                if rows:
                    pause = _FIRST_PAUSE
                    position = _Position(rows[-1]["day"], rows[-1]["xid"], rows[-1]["seq"])
                    yield PostgresEventBatch(connection, self._reader, position, rows)
                elif await connection.fetchval(sql("event/beyond horizon"), position.day, position.xid, position.seq):
                    await asyncio.sleep(pause)
                    pause = min(pause * 2, _LONGEST_PAUSE)
                else:
                    await self._wakeups.wait(signal)


class PostgresEventBatch:
    def __init__(
        self, connection: asyncpg.Connection, reader: str, position: _Position, rows: Sequence[asyncpg.Record]
    ) -> None:
        self._connection = connection
        self._reader = reader
        self._position = position
        self.records: list[RecordedEvent] = []
        self.rejects: list[DeadLetter] = []
        for row in rows:
            self._take(row)

    def _take(self, row: asyncpg.Record) -> None:
        try:
            self.records.append(events.from_row(row))
        except InvalidEvent as error:
            self.rejects.append(
                DeadLetter(
                    source="log",
                    position=f"{row['xid']}/{row['seq']}",
                    path=error.path,
                    reason=error.reason,
                    body=row["entity"],
                    project_id=str(row["project_id"]),
                )
            )

    async def commit(self) -> None:
        at = self._position
        await self._connection.execute(sql("event/move"), self._reader, at.day, at.xid, at.seq)
