"""The parsed form: immutable, normalised, and independent of the document it came from."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from backbone.model import dql
from backbone.model.dql import And, Comparison, ElementMatch, Nor, Object, Or


def test_every_spelling_of_a_condition_is_one_expression() -> None:
    expected = Comparison(("metadata", "system", "mimetype"), "$eq", "image/*")
    for document in (
        {"metadata.system.mimetype": "image/*"},
        {"metadata": {"system": {"mimetype": "image/*"}}},
        {"metadata": {"system.mimetype": {"$eq": "image/*"}}},
        {"$and": [{"$and": [{"metadata.system": {"mimetype": "image/*"}}]}]},
        {"filter": {"metadata.system.mimetype": "image/*"}, "page": 0},
        '{"metadata.system.mimetype": "image/*"}',
    ):
        assert dql.compile(document).expression == expected


def test_conditions_side_by_side_are_one_flat_conjunction() -> None:
    expression = dql.compile({"a": 1, "$and": [{"b": {"$gt": 1, "$lt": 5}}], "$or": [{"c": 1}, {"d": 1}]}).expression
    assert expression == And(
        (
            Comparison(("a",), "$eq", 1),
            Comparison(("b",), "$gt", 1),
            Comparison(("b",), "$lt", 5),
            Or((Comparison(("c",), "$eq", 1), Comparison(("d",), "$eq", 1))),
        )
    )


def test_operands_are_frozen() -> None:
    expression = dql.compile({"a": {"$in": [[1], {"y": 1, "x": None}]}, "$nor": [{"b": {"$nin": "one"}}]}).expression
    assert expression == And(
        (
            Comparison(("a",), "$in", ((1,), Object((("x", None), ("y", 1))))),
            Nor((Comparison(("b",), "$nin", ("one",)),)),
        )
    )
    assert hash(expression)


def test_match_keeps_its_condition_apart() -> None:
    assert dql.compile({"a": {"$match": {"b": 1}}}).expression == ElementMatch(
        ("a",), Comparison(("b",), "$eq", 1), False
    )
    assert dql.compile({"a": {"$match": {"$gt": 1}}}).expression == ElementMatch(("a",), Comparison((), "$gt", 1), True)


@pytest.mark.parametrize("given", [None, {}, "{}", "null", {"filter": {}}, {"$and": []}, {"$and": [{}, {}]}])
def test_a_filter_that_asks_nothing_is_the_empty_conjunction(given: object) -> None:
    assert dql.compile(given).expression == And(())


def test_a_filter_cannot_be_changed() -> None:
    filter = dql.compile({"a": {"$in": [1]}})
    with pytest.raises(dataclasses.FrozenInstanceError):
        filter.source = {}  # type: ignore[misc]
    with pytest.raises(AttributeError):
        filter.expression.operator = "$nin"  # type: ignore[misc, union-attr]


def test_changing_the_document_afterwards_changes_no_verdict() -> None:
    document: dict[str, Any] = {"a": {"$in": [1]}, "b": {"$eq": {"c": [1]}}}
    filter = dql.compile(document)
    document["a"]["$in"].append(2)
    document["b"]["$eq"]["c"].append(2)
    assert filter.source is document
    assert not filter.matches({"a": 2, "b": {"c": [1]}})
    assert filter.matches({"a": 1, "b": {"c": [1]}})


def test_what_a_filter_cannot_honour_of_a_query_is_named() -> None:
    assert dql.compile({"filter": {}, "page": 0, "sort": {}}).ignored == ()
    assert dql.compile({"filter": {}, "join": {}, "context": None, "references": []}).ignored == ()
    assert dql.compile({"filter": {}, "context": {"datasets": []}, "join": {"on": {}}}).ignored == ("join", "context")
