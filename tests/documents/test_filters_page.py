"""The page about filters tells the truth: its examples run, its operators and limits are those of the code."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from backbone.model import dql
from backbone.model.dql import access, assumptions, limits, operators
from backbone.model.errors import InvalidFilter

PAGE = (Path(__file__).parents[2] / "docs" / "filters.md").read_text(encoding="utf-8")
EXAMPLES: list[dict[str, Any]] = [
    json.loads(line) for block in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()
]


@pytest.mark.parametrize("example", [example for example in EXAMPLES if "filter" in example])
def test_an_example_picks_what_the_page_says(example: dict[str, Any]) -> None:
    filter = dql.compile(example["filter"])
    assert [entity for entity in example["matches"] if not filter.matches(entity)] == []
    assert [entity for entity in example["misses"] if filter.matches(entity)] == []


@pytest.mark.parametrize("example", [example for example in EXAMPLES if "costs" in example])
def test_an_example_of_a_cost_is_of_the_class_that_the_page_says(example: dict[str, Any]) -> None:
    assert access.cost(dql.compile(example["filter"]).expression).name.lower() == example["costs"]


def test_every_class_of_costs_is_explained_in_order_and_has_an_example() -> None:
    classes = [cost.name.lower() for cost in access.Cost]
    assert re.findall(r"^\| `(\w+)` \|", PAGE.split("| class |")[1].split("```")[0], re.MULTILINE) == classes
    assert {example["costs"] for example in EXAMPLES if "costs" in example} == set(classes)


@pytest.mark.parametrize("example", [example for example in EXAMPLES if "refused" in example])
def test_an_example_of_a_refusal_is_refused_as_the_page_says(example: dict[str, Any]) -> None:
    with pytest.raises(InvalidFilter) as refused:
        dql.compile(example["refused"])
    assert (refused.value.path, refused.value.reason) == (example["at"], example["because"])


def test_every_operator_is_explained_and_has_an_example() -> None:
    filters = json.dumps([example["filter"] for example in EXAMPLES if "filter" in example])
    for operator in operators.ALL:
        assert f"`{operator}`" in PAGE
        assert f'"{operator}"' in filters


def test_every_limit_is_on_the_page() -> None:
    table = PAGE.split("| limit | value |")[1].split("##")[0]
    numbers = (
        limits.BYTES,
        limits.NESTING,
        limits.LIST_MEMBERS,
        limits.INDEXES,
        limits.CONJUNCTIONS,
        limits.GLOB_STARS,
        limits.GLOB_TEXT,
    )
    for number in numbers:
        assert f"{number:,}" in table


def test_what_is_ignored_of_a_query_is_on_the_page() -> None:
    assumed = PAGE.split("## What we had to assume")[1]
    for part in (*assumptions.IGNORED_IN_A_QUERY, *assumptions.REFUSED_IN_A_QUERY):
        assert f"`{part}`" in assumed
