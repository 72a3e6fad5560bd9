"""PostgreSQL's verdict is that of `Filter.matches`, for every filter and every entity that a jsonb holds."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncpg
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backbone.model import dql
from tests.support.dql_in_postgres import compiled, readable, storable, verdicts, verdicts_at
from tests.support.dql_strategies import ENTITIES, FILTERS

EXAMPLES, FILTERS_EACH, ENTITIES_EACH = 60, 12, 12
DATA = Path(__file__).parents[1] / "data" / "dql"
FILES = ("vectors.jsonl", "own-vectors.jsonl", "regressions.jsonl", "counterexamples.jsonl")
MATRIX = json.loads((DATA / "matrix.json").read_text(encoding="utf-8"))


def lines(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (DATA / name).read_text(encoding="utf-8").splitlines()]


@contextmanager
def connected(dsn: str) -> Iterator[tuple[asyncio.Runner, asyncpg.Connection]]:
    """For a test that is no coroutine, as hypothesis wants it."""
    with asyncio.Runner() as runner:
        connection = runner.run(asyncpg.connect(dsn))
        try:
            yield runner, connection
        finally:
            runner.run(connection.close())


async def test_every_vector_gets_its_verdict_from_postgresql(database: str) -> None:
    cases = [case for name in FILES for case in lines(name) if compiled(case["filter"])]
    assert len(cases) > 300
    connection = await asyncpg.connect(database)
    try:
        for case in cases:
            found = await verdicts(connection, [dql.compile(case["filter"])], [case["entity"]])
            assert found == [[case["match"]]], (case["name"], case["why"])
    finally:
        await connection.close()


async def test_every_filter_of_the_matrix_picks_its_kinds_of_values_in_postgresql(database: str) -> None:
    filters = [dql.compile(case["filter"]) for case in MATRIX["filters"]]
    found = await verdicts_at(database, filters, list(MATRIX["entities"].values()))
    for case, row in zip(MATRIX["filters"], found, strict=True):
        picked = [kind for kind, verdict in zip(MATRIX["entities"], row, strict=True) if verdict]
        assert picked == case["matches"], case["why"]


def test_the_verdict_of_sql_is_the_verdict_of_matching(database: str) -> None:
    compared = [0, 0]
    with connected(database) as (runner, connection):

        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
        )
        @given(
            st.lists(FILTERS, min_size=FILTERS_EACH, max_size=FILTERS_EACH),
            st.lists(ENTITIES.filter(storable), min_size=ENTITIES_EACH, max_size=ENTITIES_EACH),
        )
        def check(documents: list[Any], entities: list[Any]) -> None:
            filters = [filter for filter in map(compiled, filter(storable, documents)) if filter]
            expected = [[filter.matches(readable(entity)) for entity in entities] for filter in filters]
            if filters:
                found = runner.run(verdicts(connection, filters, entities))
                for filter_, row, wanted in zip(filters, found, expected, strict=True):
                    for entity, ours, theirs in zip(entities, row, wanted, strict=True):
                        compared[theirs] += 1
                        assert ours is theirs, (filter_.source, entity)

        check()
    assert sum(compared) >= 5_000
    assert min(compared) >= 500, "both verdicts are common"
