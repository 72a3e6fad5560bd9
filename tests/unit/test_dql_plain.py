"""The engine's filters and a plain reading of the same documents: one verdict, on a hundred thousand pairs twice."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backbone.model import dql
from backbone.model.errors import InvalidFilter
from tests.support import plain_dql
from tests.support.dql_strategies import ENTITIES, FILTERS

DATA = Path(__file__).parents[1] / "data" / "dql"
PAIRS = 100_000


def compiled(document: object) -> dql.Filter | None:
    try:
        return dql.compile({"filter": document})  # wrapped, so that a field of this name is a field
    except InvalidFilter:
        return None


def differences(documents: list[Any], entities: list[Any]) -> tuple[int, list[Any]]:
    """How many pairs were asked, and those where the two readings differ."""
    filters = [(document, filter) for document in documents if (filter := compiled(document))]
    differ = [
        (document, entity)
        for (document, filter), entity in itertools.product(filters, entities)
        if filter.matches(entity) is not plain_dql.holds(document, entity)
    ]
    return len(filters) * len(entities), differ


def lines(name: str) -> list[Any]:
    return [json.loads(line) for line in (DATA / name).read_text(encoding="utf-8").splitlines()]


def unwrapped(document: Any) -> Any:
    """The filter of a vector, in whichever shape."""
    document = json.loads(document) if isinstance(document, str) else document
    inner = document.get("filter") if isinstance(document, dict) else None
    return inner if isinstance(inner, dict) else document


def test_each_filter_of_the_vectors_with_each_of_their_entities() -> None:
    cases = lines("vectors.jsonl") + lines("own-vectors.jsonl") + lines("regressions.jsonl")
    filters = [unwrapped(case["filter"]) for case in cases + lines("real-filters.jsonl")]
    entities = [case["entity"] for case in cases]
    entities += list(json.loads((DATA / "entities.json").read_text(encoding="utf-8")).values())
    asked, differ = differences([filter for filter in filters if isinstance(filter, dict)], entities)
    assert differ == []
    assert asked >= PAIRS


def test_filters_and_entities_at_random() -> None:
    asked = 0

    @settings(max_examples=180, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(FILTERS, min_size=20, max_size=20), st.lists(ENTITIES, min_size=30, max_size=30))
    def every_pair(filters: list[Any], entities: list[Any]) -> None:
        nonlocal asked
        pairs, differ = differences(filters, entities)
        asked += pairs
        assert differ == []

    every_pair()
    assert asked >= PAIRS
