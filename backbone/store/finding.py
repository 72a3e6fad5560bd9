"""Pages of what is stored, found by equality of a few fields; what else is asked of them, the caller looks at."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Generic, TypeVar
from uuid import UUID

import asyncpg

from backbone.store import definitions, executions_read
from backbone.store.queries import sql

COUNTED = 100_000
"""Counting ends here: a number this large only says that there are many."""

PATIENCE = timedelta(seconds=10)

Row = TypeVar("Row")
Wanted = Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class Collection(Generic[Row]):
    """`fields`: the names that clients know, in the order of the statement's parameters."""

    name: str
    fields: tuple[str, ...]
    uuids: frozenset[str]
    row: Callable[[asyncpg.Record], Row]

    async def page(self, connection: asyncpg.Connection, wanted: Wanted, limit: int, offset: int) -> list[Row]:
        rows = await connection.fetch(sql(f"finding/{self.name}"), *self._arguments(wanted), limit, offset)
        return [self.row(row) for row in rows]

    async def count(self, connection: asyncpg.Connection, wanted: Wanted) -> int:
        statement = sql(f"finding/count {self.name}")
        return int(await connection.fetchval(statement, *self._arguments(wanted), COUNTED))

    def _arguments(self, wanted: Wanted) -> list[list[Any] | None]:
        return [self._values(field, wanted[field]) if field in wanted else None for field in self.fields]

    def _values(self, field: str, values: Sequence[str]) -> list[Any]:
        """What is no id at all is the id of nothing."""
        return [value for value in map(as_uuid, values) if value] if field in self.uuids else list(values)


PACKAGES = Collection("packages", ("id", "projectId", "name"), frozenset({"projectId"}), definitions.package_from_row)
SERVICES = Collection(
    "services", ("id", "projectId", "name", "packageId"), frozenset({"projectId"}), definitions.service_from_row
)
TRIGGERS = Collection(
    "triggers",
    ("id", "projectId", "name", "spec.operation.serviceId"),
    frozenset({"projectId"}),
    definitions.trigger_from_row,
)
EXECUTIONS = Collection(
    "executions",
    ("id", "projectId", "serviceId", "triggerId", "functionName", "latestStatus.status"),
    frozenset({"id", "projectId"}),
    executions_read.from_row,
)


@asynccontextmanager
async def patiently(pool: asyncpg.Pool) -> AsyncIterator[asyncpg.Connection]:
    """A connection to look with: one snapshot, plans made for the very values, and an end to what takes too long."""
    async with pool.acquire() as connection:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            await connection.execute(sql("finding/be patient"), f"{PATIENCE.total_seconds():.0f}s")
            yield connection


def as_uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
