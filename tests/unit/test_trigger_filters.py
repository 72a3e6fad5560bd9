"""What of a filter is refused when a trigger is made, so that nothing is left to fail when it is asked."""

from __future__ import annotations

import math
from typing import Any

import pytest

from backbone.model import dql, triggers
from backbone.model.dql import limits, operators
from backbone.model.errors import InvalidFilter
from backbone.model.resources import Catalog

TOO_MANY = "with its $or multiplied out it has more than 64 alternatives; several values of one field belong in one $in"


def refused(filter: object) -> InvalidFilter:
    """The refusal of a trigger with this filter, the same in both spellings."""
    listens: dict[str, Any] = {"resource": "Item", "actions": ["Created"], "filter": filter}
    with pytest.raises(InvalidFilter) as found:
        triggers.parse({"name": "n", "spec": listens}, Catalog())
    with pytest.raises(InvalidFilter) as flat:
        triggers.parse({"name": "n", **listens}, Catalog())
    assert str(found.value) == f"spec.{flat.value}"
    return found.value


def nested(levels: int, document: Any = 1) -> Any:
    for _ in range(levels):
        document = {"a": document}
    return document


def test_the_sentence_names_the_path_the_operator_and_what_to_write_instead() -> None:
    filter = {"$and": [{"a": 1}, {"b": 2}, {"metadata": {"x": {"$regex": "text"}}}]}
    assert str(refused(filter)) == (
        "spec.filter.$and[2].metadata.x.$regex: operator $regex is not one of DQL's; "
        'did you mean a wildcard: "*text*"?'
    )


@pytest.mark.parametrize(
    "operator", ["$not", "$size", "$all", "$type", "$mod", "$elemMatch", "$where", "$contains", "$"]
)
def test_an_unknown_operator_is_refused_wherever_it_stands(operator: str) -> None:
    assert operator not in operators.ALL
    for filter, below in (
        ({operator: [{"a": 1}]}, ""),
        ({"a": {operator: 1}}, ".a"),
        ({"a": {"b": {"$gt": 1, operator: 1}}}, ".a.b"),
        ({"$or": [{"a": {"$match": {operator: 1}}}]}, ".$or[0].a.$match"),
        ({"a": {"$in": [{operator: 1}]}}, ".a.$in[0]"),
        ({"$nor": [{"$and": [{operator: 1}]}]}, ".$nor[0].$and[0]"),
    ):
        error = refused(filter)
        assert error.path == f"spec.filter{below}.{operator}"
        assert error.reason.startswith(f"operator {operator} is not one of DQL's")


WRONG: dict[str, tuple[object, ...]] = {
    "$and": ({}, "a", 1, None, [1], [None], [[]]),
    "$or": ({}, "a", 1, None, [1], [None], [[]]),
    "$nor": ({}, "a", 1, None, [1], [None], [[]]),
    "$gt": (None, True, [], [1], {}, {"b": 1}),
    "$gte": (None, False, [], [1], {}, {"b": 1}),
    "$lt": (None, True, [], [1], {}, {"b": 1}),
    "$lte": (None, False, [], [1], {}, {"b": 1}),
    "$exists": (None, 0, 1, "true", [], {}),
    "$match": (None, 1, True, [], ["a"], [{"b": 1}]),
    "$ieq": ([], ["a"], {"b": 1}),
    "$ilike": (None, 1, True, [], {"b": 1}),
    "$glob": (None, 1, True, [], {"b": 1}, "*a" * 33),
    "$eq": (math.nan, math.inf, 10**400, {"$gt": 1}),
    "$ne": (math.nan, math.inf, 10**400, {"$gt": 1}),
    "$in": ([math.nan], {"$gt": 1}, [{"$gt": 1}]),
    "$nin": ([-math.inf], {"$gt": 1}, [{"$gt": 1}]),
}


@pytest.mark.parametrize("operator", sorted(operators.ALL))
def test_an_operand_of_a_wrong_type_is_refused(operator: str) -> None:
    for operand in WRONG[operator]:
        filter = {operator: operand} if operator in operators.LOGICAL else {"a": {operator: operand}}
        assert refused(filter).path.startswith(f"spec.filter.{operator}" if "a" not in filter else "spec.filter.a.")


@pytest.mark.parametrize(
    "filter",
    [
        {"$or": [{"a": number} for number in range(65)]},
        {"a": 1, "$or": [{"b": 1}] * 33, "$and": [{"$or": [{"c": 1}, {"d": 1}]}]},
        {"$and": [{"$or": [{"a": 1}, {"b": 1}]}] * 7},
        {"$or": [{"$and": [{"$or": [{"a": 1}] * 8}, {"$or": [{"b": 1}] * 8}]}, {"c": 1}]},
        {"$nor": [{"$and": [{"a": number} for number in range(65)]}]},
        {"$nor": [{"$nor": [{"a": number} for number in range(65)]}]},
    ],
)
def test_more_than_64_conjunctions_are_refused(filter: object) -> None:
    error = refused(filter)
    assert (error.path, error.reason) == ("spec.filter", TOO_MANY)


@pytest.mark.parametrize(
    "operator", sorted(operators.ALL - {"$exists", "$ilike", "$glob", "$match", "$ieq"} - operators.RANGE)
)
def test_more_than_1000_members_in_a_list_are_refused(operator: str) -> None:
    filter = {operator: [{}] * 1_001} if operator in operators.LOGICAL else {"a": {operator: [1] * 1_001}}
    error = refused(filter)
    assert error.path.endswith(operator)
    assert error.reason == "the list has 1,001 members; at most 1,000 are allowed"


@pytest.mark.parametrize(
    ("filter", "path"),
    [
        (nested(33), "spec.filter" + ".a" * 32),
        ({"$and": [nested(31)]}, "spec.filter.$and[0]" + ".a" * 30),
        ({"a": {"$eq": [nested(30)]}}, "spec.filter.a.$eq[0]" + ".a" * 29),
        ({"a": {"$match": nested(31)}}, "spec.filter.a.$match" + ".a" * 30),
    ],
)
def test_nesting_deeper_than_32_is_refused(filter: object, path: str) -> None:
    assert limits.NESTING == 32
    error = refused(filter)
    assert (error.path, error.reason) == (path, "objects and lists are nested deeper than 32 here")


@pytest.mark.parametrize(
    "filter", [{"a": "x" * 65_530}, {"filter": {"a": "x" * 65_530}}, {"a": ["x"] * 999, "b": "x" * 64_000}]
)
def test_a_document_over_64_kilobytes_is_refused(filter: object) -> None:
    error = refused(filter)
    assert error.path == "spec.filter"
    assert error.reason.endswith("bytes of JSON; at most 65,536 are allowed")


JOIN = {"on": {"resource": "annotations", "local": "itemId", "forigen": "id"}, "filter": {"label": "cat"}}


@pytest.mark.parametrize(
    "filter",
    [
        {"filter": {"hidden": False}, "join": JOIN},
        {"filter": {"hidden": False}, "join": "annotations", "context": {"datasets": []}},
        {"hidden": False, "join": JOIN},
        '{"filter": {}, "join": {"on": {}}}',
    ],
)
def test_a_join_is_refused_with_what_to_do_instead(filter: object) -> None:
    error = refused(filter)
    assert error.path == "spec.filter.join"
    assert error.reason == dql.JOIN
    assert '"datasetId"' in error.reason


def test_a_wrapped_query_of_the_sdk_that_joins_nothing_is_taken() -> None:
    query = {"filter": {"hidden": False}, "resource": "items", "page": 0, "join": {}, "context": {"datasets": ["d"]}}
    draft = triggers.parse({"spec": {"resource": "Item", "actions": ["Created"], "filter": query}}, Catalog())
    assert draft.filter == query


@pytest.mark.parametrize("operator", ["$euclid", "$euclidFilter", "$euclidSort"])
def test_a_search_of_vectors_is_refused(operator: str) -> None:
    search = {operator: {"input": [0.5], "$euclidFilter": {"$lt": 1}}}
    assert refused({"value": search}).path == f"spec.filter.value.{operator}"
    assert refused({"filter": {}, "join": {"on": {}, "filter": {"value": search}}}).path == "spec.filter.join"


def test_a_key_that_comes_twice_in_a_filter_of_text_is_refused() -> None:
    error = refused('{"$and": [{"size": {"$gt": 1}, "size": {"$lt": 5}}]}')
    assert (error.path, error.reason) == ("spec.filter.$and[0]", 'the key "size" comes twice')
