"""Every named statement is understood by the real server."""

from __future__ import annotations

from pathlib import Path

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


def test_no_statement_is_left_that_nobody_runs() -> None:
    packages = ("agent", "backbone", "dispatcher", "gateway", "launcher", "trigger_engine")
    root = Path(__file__).parents[2]
    code = "".join(file.read_text() for package in packages for file in (root / package).rglob("*.py"))
    # Pages are asked for by the name of what is listed: backbone/store/finding.py.
    assert [name for name in queries.every() if f'"{name}"' not in code and not name.startswith("finding/")] == []
