"""Pages of what is stored, found by equality of a few columns, or by any filter and in any order.

The columns have indexes. What else a filter asks, PostgreSQL asks of the documents that the columns left over: each is
made by a statement of `sql/document.sql`, so the caller bounds their number first (`count`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Generic, TypeVar
from uuid import UUID

import asyncpg

from backbone.model.dql import Expression
from backbone.store import definitions, dql_sql, executions_read
from backbone.store.queries import sql

COUNTED = 100_000
"""Counting ends here: a number this large only says that there are many."""

PATIENCE = timedelta(seconds=10)

Row = TypeVar("Row")
Wanted = Mapping[str, Sequence[Any]]


@dataclass(frozen=True, slots=True)
class Sort:
    """By one field of the document: nothing first, then numbers, then texts by code point; the other way round when
    descending. What is alike keeps the collection's own order."""

    path: tuple[str, ...]
    descending: bool


@dataclass(frozen=True, slots=True)
class Collection(Generic[Row]):
    """`fields`: the names that clients know, in the order of the statements' parameters."""

    name: str
    documents: str  #: the statement that makes them, of these fields, how many at most, and `more`
    fields: tuple[str, ...]
    uuids: frozenset[str]
    row: Callable[[asyncpg.Record], Row]
    newest_first: bool = False
    more: tuple[Any, ...] = ()
    truths: frozenset[str] = frozenset()  #: fields that are true or false; the others are texts

    async def page(self, connection: asyncpg.Connection, wanted: Wanted, limit: int, offset: int) -> list[Row]:
        rows = await connection.fetch(sql(f"finding/{self.name}"), *self._arguments(wanted), limit, offset)
        return [self.row(row) for row in rows]

    async def count(self, connection: asyncpg.Connection, wanted: Wanted, most: int = COUNTED) -> int:
        statement = sql(f"finding/count {self.name}")
        return int(await connection.fetchval(statement, *self._arguments(wanted), most))

    async def sorted_page(
        self,
        connection: asyncpg.Connection,
        wanted: Wanted,
        filter: Expression,
        sort: Sort | None,
        limit: int,
        offset: int,
        *,
        most: int,
    ) -> tuple[list[Row], int]:
        """A page of what passes the filter, and how many pass in all, if no more than `most` are wanted."""
        arguments = [*self._arguments(wanted), most, *self.more, limit, offset, *(sort.path if sort else ())]
        place = len(self.fields) + 1 + len(self.more)
        condition, operands = dql_sql.where(filter, "document", len(arguments) + 1)
        statement = f"""
            WITH made AS MATERIALIZED ({sql(self.documents)}),
            found AS MATERIALIZED (
                SELECT id, {_value(sort, place + 3)} AS value
                FROM made
                WHERE {condition}
            )
            SELECT ARRAY(
                SELECT id::text FROM found ORDER BY {self._order(sort)} LIMIT ${place + 1} OFFSET ${place + 2}
            ), (SELECT count(*) FROM found)
        """
        ids, total = await connection.fetchrow(statement, *arguments, *operands)
        rows = await connection.fetch(sql(f"finding/{self.name}"), *self._arguments({"id": ids}), limit, 0)
        by_id = {str(row["id"]): self.row(row) for row in rows}
        return [by_id[id_] for id_ in ids], total

    def _order(self, sort: Sort | None) -> str:
        own = "id DESC" if self.newest_first else "id"
        if sort is None:
            return own
        by = ("dql_sort_kind(value)", "dql_sort_number(value)", 'dql_sort_text(value) COLLATE "C"')
        return ", ".join([*(f"{each} {'DESC' if sort.descending else 'ASC'}" for each in by), own])

    def _arguments(self, wanted: Wanted) -> list[list[Any] | None]:
        return [self._values(field, wanted[field]) if field in wanted else None for field in self.fields]

    def _values(self, field: str, values: Sequence[Any]) -> list[Any]:
        """What is no id at all is the id of nothing."""
        return [value for value in map(as_uuid, values) if value] if field in self.uuids else list(values)


def _value(sort: Sort | None, first_parameter: int) -> str:
    """The value to sort by, reached through objects alone."""
    if sort is None:
        return "NULL::jsonb"
    return " -> ".join(["document", *(f"${first_parameter + place}::text" for place in range(len(sort.path)))])


PACKAGES = Collection(
    "packages", "document/packages", ("id", "projectId", "name"), frozenset({"projectId"}), definitions.package_from_row
)
SERVICES = Collection(
    "services",
    "document/services",
    ("id", "projectId", "name", "packageId"),
    frozenset({"projectId"}),
    definitions.service_from_row,
)
TRIGGERS = Collection(
    "triggers",
    "document/triggers",
    ("id", "projectId", "name", "spec.operation.serviceId", "global"),
    frozenset({"projectId"}),
    definitions.trigger_from_row,
    truths=frozenset({"global"}),
)
EXECUTIONS = Collection(
    "executions",
    "document/executions",
    ("id", "projectId", "serviceId", "triggerId", "functionName", "latestStatus.status"),
    frozenset({"id", "projectId"}),
    executions_read.from_row,
    newest_first=True,
    more=(executions_read.STATUS_LINES,),
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
