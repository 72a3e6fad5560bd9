"""What PostgreSQL says of filters and entities, beside what matching says."""

from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import asyncpg
import orjson

from backbone.model import dql
from backbone.model.errors import InvalidFilter
from backbone.store import dql_sql


def written(value: Any) -> str:
    """JSON of which a jsonb loses nothing: a large double is not written with an exponent."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(key)}:{written(member)}" for key, member in value.items()) + "}"
    if isinstance(value, list):
        return f"[{','.join(map(written, value))}]"
    if isinstance(value, float) and abs(value) >= 2**53:
        return f"{Decimal(value):f}.0"
    return json.dumps(value)


def storable(entity: Any) -> bool:
    return "\\u0000" not in json.dumps(entity).replace("\\\\", "")


def readable(entity: Any) -> Any:
    """As readers of JSON have it: an integer beyond 64 bits is a double."""
    return orjson.loads(written(entity))


async def verdicts(
    connection: asyncpg.Connection, filters: Sequence[dql.Filter], entities: Sequence[Any]
) -> list[list[bool]]:
    """Of each filter, for each entity, in one round trip."""
    conditions, parameters = [], []
    for filter in filters:
        condition, operands = dql_sql.where(filter.expression, "entity", 2 + len(parameters))
        conditions.append(condition)
        parameters += operands
    rows = await connection.fetch(
        f"SELECT ARRAY[{', '.join(conditions)}]::boolean[]"
        " FROM unnest($1::jsonb[]) WITH ORDINALITY AS found (entity, place) ORDER BY place",
        list(map(written, entities)),
        *parameters,
    )
    return [list(row) for row in zip(*(row[0] for row in rows), strict=True)]


def compiled(document: Any) -> dql.Filter | None:
    try:
        return dql.compile(document)
    except InvalidFilter:
        return None


async def verdicts_at(dsn: str, filters: Sequence[dql.Filter], entities: Sequence[Any]) -> list[list[bool]]:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute("SET statement_timeout = '10s'")
        return await verdicts(connection, filters, entities)
    finally:
        await connection.close()
