"""What DQL means, case by case: the given vectors, our own, and a matrix of every operator with every kind of value."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import orjson
import pytest

from backbone.model import dql
from backbone.model.errors import InvalidFilter

DATA = Path(__file__).parents[1] / "data" / "dql"


def lines(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (DATA / name).read_text(encoding="utf-8").splitlines()]


def named(cases: list[dict[str, Any]]) -> list[Any]:
    return [pytest.param(case, id=case["name"]) for case in cases]


FILES = ("vectors.jsonl", "own-vectors.jsonl", "regressions.jsonl", "counterexamples.jsonl")
VECTORS = named([case for file in FILES for case in lines(file)])
MATRIX = json.loads((DATA / "matrix.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("case", VECTORS)
def test_a_vector_gets_its_verdict(case: dict[str, Any]) -> None:
    try:
        verdict = dql.compile(case["filter"]).matches(case["entity"])
    except InvalidFilter:
        verdict = False  # a filter that is refused never fires
    assert verdict is case["match"], case["why"]


@pytest.mark.parametrize("case", named(MATRIX["filters"]))
def test_a_filter_of_the_matrix_picks_its_kinds_of_values(case: dict[str, Any]) -> None:
    filter = dql.compile(case["filter"])
    picked = [kind for kind, entity in MATRIX["entities"].items() if filter.matches(entity)]
    assert picked == case["matches"], case["why"]


@pytest.mark.parametrize("case", lines("real-filters.jsonl"))
def test_a_filter_found_in_the_wild_compiles_in_every_shape(case: dict[str, Any]) -> None:
    document = case["filter"]
    expression = dql.compile(document).expression
    assert dql.compile(json.dumps(document)).expression == expression
    if "filter" not in document:
        wrapped = {"filter": document, "resource": "items", "page": 0, "pageSize": 100, "sort": {"id": "ascending"}}
        assert dql.compile(wrapped).expression == expression


@pytest.mark.parametrize("case", named(lines("vectors.jsonl")))
def test_orjson_and_the_json_module_give_the_same_verdict(case: dict[str, Any]) -> None:
    try:
        filter = dql.compile(case["filter"])
    except InvalidFilter:
        return
    assert filter.matches(orjson.loads(orjson.dumps(case["entity"]))) is filter.matches(case["entity"])
