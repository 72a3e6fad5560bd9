"""What `explain` tells: the first failing clause and what was seen there."""

from __future__ import annotations

from typing import Any

import pytest

from backbone.model import dql

ITEM: dict[str, Any] = {
    "name": "a.jpg",
    "hidden": False,
    "note": None,
    "metadata": {"system": {"mimetype": "image/jpeg", "refs": [{"type": "task", "id": "A"}, {"type": "assignment"}]}},
}

SENTENCES: list[tuple[dict[str, Any], str]] = [
    ({"name": "b.jpg"}, 'name is "a.jpg"; the filter asks for $eq "b.jpg"'),
    (
        {"$and": [{"hidden": False}, {"metadata": {"system": {"mimetype": "video/*"}}}, {"name": "b.jpg"}]},
        'metadata.system.mimetype is "image/jpeg"; the filter asks for $eq "video/*"',
    ),
    ({"metadata.system.fps": {"$gt": 0}}, "metadata.system.fps is missing; the filter asks for $gt 0"),
    ({"note": {"$exists": True}}, "note is null; the filter asks for $exists true"),
    ({"name": {"$ne": "*.jpg"}}, 'name is "a.jpg"; the filter asks for $ne "*.jpg"'),
    (
        {"metadata.system.refs.type": "x"},
        'metadata.system.refs.type is ["task","assignment"]; the filter asks for $eq "x"',
    ),
    (
        {"metadata.system.refs.id": {"$in": ["B", "C"]}},
        'metadata.system.refs.id is ["A"]; the filter asks for $in ["B","C"]',
    ),
    ({"metadata.system.refs.0.type": "x"}, 'metadata.system.refs.0.type is ["task"]; the filter asks for $eq "x"'),
    (
        {"metadata.system.refs": {"$match": {"type": "assignment", "id": "Another"}}},
        'metadata.system.refs is [{"type":"task","id":"A"},{"type":"assignment"}]; '
        'the filter asks for $match {"$and":[{"type":{"$eq":"assignment"}},{"id":{"$eq":"Another…',
    ),
    (
        {"metadata.system.refs.id": {"$match": {"$gt": "B", "$lt": "D"}}},
        'metadata.system.refs.id is ["A"]; the filter asks for $match {"$gt":"B","$lt":"D"}',
    ),
    ({"$or": [{"name": "b.jpg"}, {"name": "c.jpg"}]}, 'name is "a.jpg"; the filter asks for $eq "b.jpg"'),
    ({"$nor": [{"name": "b.jpg"}, {"hidden": False}]}, "hidden is false; the filter refuses $eq false"),
    ({"$nor": [{"$nor": [{"name": "b.jpg"}]}]}, 'name is "a.jpg"; the filter asks for $eq "b.jpg"'),
    ({"$nor": [{"hidden": False, "name": "a.jpg"}]}, "hidden is false; the filter refuses $eq false"),
    ({"$or": []}, "the filter has an $or without alternatives, which never holds"),
    ({"$nor": [{}]}, "the filter refuses everything: a $nor has a member without conditions"),
]


@pytest.mark.parametrize(("document", "sentence"), SENTENCES)
def test_a_failing_filter_says_which_clause_and_what_it_saw(document: dict[str, Any], sentence: str) -> None:
    explanation = dql.compile(document).explain(ITEM)
    assert not explanation.verdict
    assert explanation.sentence == sentence


def test_the_parts_of_an_explanation_can_be_read_one_by_one() -> None:
    explanation = dql.compile({"hidden": False, "metadata.system": {"mimetype": {"$in": ["video/*"]}}}).explain(ITEM)
    assert explanation == dql.Explanation(
        verdict=False,
        sentence='metadata.system.mimetype is "image/jpeg"; the filter asks for $in ["video/*"]',
        path="metadata.system.mimetype",
        operator="$in",
        operand=["video/*"],
        seen="image/jpeg",
    )


def test_null_and_missing_are_told_apart() -> None:
    null = dql.compile({"note": "x"}).explain(ITEM)
    missing = dql.compile({"nothing.here": "x"}).explain(ITEM)
    assert (null.seen, null.missing) == (None, False)
    assert (missing.seen, missing.missing) == (None, True)


def test_a_filter_that_holds_names_no_clause() -> None:
    explanation = dql.compile({"hidden": False}).explain(ITEM)
    assert explanation == dql.Explanation(verdict=True, sentence="every clause holds")


def test_a_long_value_is_clipped_in_the_sentence_and_whole_beside_it() -> None:
    explanation = dql.compile({"a": "x"}).explain({"a": "y" * 10_000})
    assert len(explanation.sentence) < 200
    assert explanation.seen == "y" * 10_000
