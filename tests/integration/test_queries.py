"""Every named statement is understood by the real server."""

from __future__ import annotations

import asyncpg
import pytest

from backbone.store import queries


@pytest.mark.parametrize("name", sorted(queries.every()))
async def test_a_named_query_is_prepared(database: str, name: str) -> None:
    connection = await asyncpg.connect(database)
    try:
        await connection.prepare(queries.sql(name))
    finally:
        await connection.close()
