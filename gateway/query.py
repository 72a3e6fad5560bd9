"""`POST /query/faas`: DQL over what is stored, a page at a time.

What equality of a few fields can find, PostgreSQL finds by its indexes; only when the filter asks for more, or for
another order, are documents looked at one by one, by PostgreSQL too, and then a bounded number of them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg

from backbone.model import dql, triggers
from backbone.model.dql.expression import And, Comparison, Expression, Operand, conjunction
from backbone.model.dql.limits import NESTING
from backbone.model.errors import Invalid, InvalidFilter
from backbone.store import finding
from backbone.store.finding import Collection, Sort, Wanted
from gateway import execution_documents, shapes
from gateway.operations import PREFIX, Call, Operation

LARGEST_PAGE = 1_000
_LAST_ROW = 10_000_000

Documents = Callable[[asyncpg.Connection, Sequence[Any]], Awaitable[list[Any]]]


@dataclass(frozen=True, slots=True)
class Resource:
    collection: Collection[Any]
    documents: Documents
    order: dict[str, str]  #: what the collection gives by itself
    looked_at: int  #: the most documents that are looked at one by one


async def _packages(_: asyncpg.Connection, found: Sequence[Any]) -> list[Any]:
    return [shapes.package(one) for one in found]


async def _services(_: asyncpg.Connection, found: Sequence[Any]) -> list[Any]:
    return [shapes.service(one) for one in found]


async def _triggers(_: asyncpg.Connection, found: Sequence[Any]) -> list[Any]:
    return [triggers.document(one) for one in found]


_OLDEST_FIRST = {"id": "ascending", "createdAt": "ascending"}
_NEWEST_FIRST = {"id": "descending", "createdAt": "descending"}

RESOURCES = {
    "packages": Resource(finding.PACKAGES, _packages, _OLDEST_FIRST, 100_000),
    "services": Resource(finding.SERVICES, _services, _OLDEST_FIRST, 100_000),
    "triggers": Resource(finding.TRIGGERS, _triggers, _OLDEST_FIRST, 100_000),
    "executions": Resource(finding.EXECUTIONS, execution_documents.of, _NEWEST_FIRST, 5_000),
}


@dataclass(frozen=True, slots=True)
class _Asked:
    """A query, taken apart: what PostgreSQL is asked, and what is left to look for."""

    resource: Resource
    wanted: Wanted
    rest: Expression | None
    sort: Sort | None  #: None is the collection's own order
    first: int
    size: int


async def query(call: Call) -> Any:
    asked = _read(call.written(shapes.Query))
    collection = asked.resource.collection
    async with finding.patiently(call.parts.database.pool) as connection:
        if asked.rest is None and asked.sort is None:
            # One more than asked for: whether there is more is known also where the count has ended.
            found = await collection.page(connection, asked.wanted, asked.size + 1, asked.first)
            total = await collection.count(connection, asked.wanted)
            more = len(found) > asked.size
        else:
            await _refuse_too_many(connection, asked)
            found, total = await collection.sorted_page(
                connection,
                asked.wanted,
                asked.rest or And(()),
                asked.sort,
                asked.size,
                asked.first,
                most=asked.resource.looked_at,
            )
            more = asked.first + len(found) < total
        items = await asked.resource.documents(connection, found[: asked.size])
    return shapes.Page(
        items=items,
        total_items_count=total,
        total_pages_count=-(-total // asked.size),
        has_next_page=more,
    )


async def _refuse_too_many(connection: asyncpg.Connection, asked: _Asked) -> None:
    most, collection = asked.resource.looked_at, asked.resource.collection
    if await collection.count(connection, asked.wanted, most + 1) > most:
        raise InvalidFilter(
            "filter",
            f"asks for more than equality, and more than {most:,} {collection.name} would have to be looked at one by"
            f" one; narrow it by one of {', '.join(collection.fields)}",
        )


def _read(written: shapes.Query) -> _Asked:
    if written.resource not in RESOURCES:
        raise Invalid("resource", f"{written.resource[:40]!r} is not one of {', '.join(RESOURCES)}")
    if not 1 <= written.page_size <= LARGEST_PAGE:
        raise Invalid("pageSize", f"{written.page_size} is out of range; expected 1 to {LARGEST_PAGE}")
    if not 0 <= written.page * written.page_size <= _LAST_ROW:
        raise Invalid("page", f"{written.page} is out of range; narrow the filter instead")
    resource = RESOURCES[written.resource]
    wanted, rest = narrowed(dql.compile(written.filter).expression, resource.collection)
    return _Asked(
        resource,
        wanted,
        rest,
        _order(written.sort or {}, resource),
        written.page * written.page_size,
        written.page_size,
    )


def narrowed(expression: Expression, collection: Collection[Any]) -> tuple[dict[str, list[Any]], Expression | None]:
    """The values that the collection's fields must have, and what is left of the filter beside them.

    Clients write `{"projectId": null}` for "of any project", so that is no condition.
    """
    wanted: dict[str, list[Any]] = {}
    rest: list[Expression] = []
    for member in expression.members if isinstance(expression, And) else (expression,):
        if member == Comparison(("projectId",), "$eq", None):
            continue
        values = _values(member, collection)
        if isinstance(member, Comparison) and values is not None:
            before = wanted.get(member.path, values)
            wanted[member.path] = [value for value in values if value in before]
        else:
            rest.append(member)
    return wanted, conjunction(rest) if rest else None


def _values(member: Expression, collection: Collection[Any]) -> list[Any] | None:
    """The operands of an equality; None when it is none, or not with plain values alone that the column can hold."""
    if not isinstance(member, Comparison) or member.operator not in ("$eq", "$in"):
        return None
    if member.path not in collection.fields:
        return None
    fits = _is_truth if member.path in collection.truths else _is_plain_text
    operands = member.operand if isinstance(member.operand, tuple) and member.operator == "$in" else (member.operand,)
    return list(operands) if all(map(fits, operands)) else None


def _is_truth(operand: Operand) -> bool:
    return isinstance(operand, bool)


def _is_plain_text(operand: Operand) -> bool:
    return isinstance(operand, str) and not {"*", "\x00"} & set(operand)


def _order(sort: dict[str, str], resource: Resource) -> Sort | None:
    if len(sort) > 1:
        raise Invalid("sort", "names more than one field")
    for field, direction in sort.items():
        if direction not in ("ascending", "descending"):
            raise Invalid(f"sort.{field[:40]}", f"{direction[:40]!r} is not 'ascending' or 'descending'")
        path = tuple(field.split("."))
        if len(path) > NESTING:
            raise Invalid(f"sort.{field[:40]}", f"has more than {NESTING} parts")
        if resource.order.get(field) != direction:
            return Sort(path, direction == "descending")
    return None


OPERATIONS = (
    Operation(
        method="POST",
        path=f"{PREFIX}/query/faas",
        summary="Packages, services, triggers or executions that a DQL filter means",
        handler=query,
        takes=shapes.Query,
        answers=shapes.Page,
    ),
)
