"""What holds for every filter and every entity, tried on many: no surprise but InvalidFilter, and the laws of logic."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from backbone.model import dql
from backbone.model.dql import operators
from backbone.model.dql.expression import json_of
from backbone.model.errors import InvalidFilter
from tests.support.dql_strategies import ENTITIES, FILTERS, PATHS, PLAIN, SCALARS

OPERATORS = st.sampled_from([*sorted(operators.ALL), "$regex", "$", "filter", "join", "a", "a.b", ""])
ANYTHING = st.recursive(
    SCALARS | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(OPERATORS | st.text(max_size=3), inner, max_size=4),
    max_leaves=20,
)

thorough = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def compiled(document: object) -> dql.Filter:
    """The filter, unless random logic multiplied out to more alternatives than are allowed."""
    try:
        return dql.compile(document)
    except InvalidFilter as refused:
        assume("multiplied out" not in refused.reason)
        raise


def verdict(document: object, entity: object) -> bool:
    return compiled(document).matches(entity)


def refused(document: object) -> InvalidFilter | None:
    try:
        dql.compile(document)
    except InvalidFilter as refusal:
        return refusal
    return None


@thorough
@given(ANYTHING, ENTITIES)
def test_arbitrary_json_is_a_filter_or_an_invalid_filter(document: object, entity: object) -> None:
    refusal = refused(document)
    if refusal is None:
        assert dql.compile(document).matches(entity) in (True, False)
    else:
        assert refusal.path.startswith("filter")
        assert refusal.reason


@thorough
@given(st.text() | ANYTHING.map(repr) | st.binary().map(lambda raw: raw.decode("utf-8", "surrogateescape")))
def test_arbitrary_text_is_a_filter_or_an_invalid_filter(text: str) -> None:
    refusal = refused(text)
    assert refusal is None or str(refusal).encode()


@thorough
@given(FILTERS, ENTITIES)
@example({"$nor": [{"$nor": []}]}, {})
@example({"$or": []}, {})
@example({"$nor": [{}]}, {})
def test_an_explanation_has_the_verdict_of_the_match(document: dict[str, Any], entity: object) -> None:
    filter = compiled(document)
    explanation = filter.explain(entity)
    assert explanation.verdict is filter.matches(entity)
    assert explanation.sentence
    assert explanation.verdict or explanation.path is not None or "$or" in str(document) or "$nor" in str(document)


@thorough
@given(FILTERS, ENTITIES)
def test_nor_of_one_is_negation(document: dict[str, Any], entity: object) -> None:
    assert verdict({"$nor": [document]}, entity) is not verdict(document, entity)
    assert verdict({"$nor": [{"$nor": [document]}]}, entity) is verdict(document, entity)


@thorough
@given(st.lists(FILTERS, max_size=3), ENTITIES)
def test_the_order_of_members_does_not_count(members: list[dict[str, Any]], entity: object) -> None:
    for operator in ("$and", "$or", "$nor"):
        assert verdict({operator: members}, entity) is verdict({operator: members[::-1]}, entity)


@thorough
@given(st.lists(FILTERS, max_size=3), ENTITIES)
def test_and_or_nor_are_all_any_and_none(members: list[dict[str, Any]], entity: object) -> None:
    verdicts = [verdict(member, entity) for member in members]
    assert verdict({"$and": members}, entity) is all(verdicts)
    assert verdict({"$or": members}, entity) is any(verdicts)
    assert verdict({"$nor": members}, entity) is not any(verdicts)


@thorough
@given(PATHS, PLAIN, ENTITIES)
def test_ne_nin_and_exists_false_are_negations(path: str, operand: object, entity: object) -> None:
    assert verdict({path: {"$ne": operand}}, entity) is not verdict({path: {"$eq": operand}}, entity)
    assert verdict({path: {"$nin": [operand]}}, entity) is not verdict({path: {"$in": [operand]}}, entity)
    assert verdict({path: {"$exists": False}}, entity) is not verdict({path: {"$exists": True}}, entity)


@thorough
@given(PATHS, st.lists(PLAIN, max_size=4), ENTITIES)
def test_in_is_an_or_of_equalities(path: str, operands: list[object], entity: object) -> None:
    assert verdict({path: {"$in": operands}}, entity) is verdict({"$or": [{path: each} for each in operands]}, entity)


@thorough
@given(FILTERS, ENTITIES)
def test_a_nested_object_is_a_dotted_path(document: dict[str, Any], entity: object) -> None:
    fields = {key: value for key, value in document.items() if not key.startswith("$") and value != {}}
    nested = {"a": fields} if fields else {}
    dotted = {f"a.{key}": value for key, value in fields.items()}
    assert verdict(nested, {"a": entity}) is verdict(dotted, {"a": entity})


@thorough
@given(FILTERS)
def test_an_expression_written_as_a_document_parses_to_itself(document: dict[str, Any]) -> None:
    expression = compiled(document).expression
    assert dql.compile(json_of(expression)).expression == expression
    assert hash(expression) == hash(dql.compile(document).expression)


@thorough
@given(FILTERS, ENTITIES)
def test_an_entity_decoded_again_gets_the_same_verdict(document: dict[str, Any], entity: object) -> None:
    try:
        decoded = orjson.loads(orjson.dumps(entity))
    except TypeError:  # integers of more than 64 bits, which orjson reads as doubles and does not write
        return
    assert verdict(document, decoded) is verdict(document, entity)


def naive_wildcard(pattern: str, text: str) -> bool:
    if not pattern:
        return not text
    if pattern[0] == "*":
        return any(naive_wildcard(pattern[1:], text[start:]) for start in range(len(text) + 1))
    return bool(text) and text[0] == pattern[0] and naive_wildcard(pattern[1:], text[1:])


@thorough
@given(st.text("ab*", max_size=8), st.text("ab", max_size=8))
def test_a_wildcard_is_what_its_definition_says(pattern: str, text: str) -> None:
    wanted = naive_wildcard(pattern, text)
    assert verdict({"a": pattern}, {"a": text}) is wanted
    assert verdict({"a": {"$ilike": pattern.upper()}}, {"a": text}) is wanted
    assert verdict({"a": {"$glob": pattern}}, {"a": text}) is wanted


def naive_glob(pattern: str, text: str, before: str = "/") -> bool:
    if not pattern:
        return not text
    if pattern.startswith("**/") and before == "/":
        return any(naive_glob(pattern[3:], rest) for rest in folders(text))
    if pattern.startswith("**"):
        return any(naive_glob(pattern[2:], text[start:], "*") for start in range(len(text) + 1))
    if pattern[0] == "*":
        folder = text.partition("/")[0]
        return any(naive_glob(pattern[1:], text[start:], "*") for start in range(len(folder) + 1))
    return bool(text) and text[0] == pattern[0] and naive_glob(pattern[1:], text[1:], pattern[0])


def folders(text: str) -> list[str]:
    return [text, *(text[index + 1 :] for index, letter in enumerate(text) if letter == "/")]


@thorough
@given(st.text("a/*", max_size=7).filter(lambda pattern: "***" not in pattern), st.text("a/", max_size=7))
def test_a_glob_is_what_its_definition_says(pattern: str, text: str) -> None:
    assert verdict({"a": {"$glob": pattern}}, {"a": text}) is naive_glob(pattern, text)


@pytest.mark.parametrize("entity", [None, True, 0, 10**400, "x", [], [[]], {}, {"a": {1, 2}}, {"a": float("nan")}])
@pytest.mark.parametrize(
    "operand",
    [
        None,
        1,
        10**300,
        "x",
        "*",
        [],
        {},
        {"$gt": 1},
        {"$gt": "1e999"},
        {"$lt": "2024-05-02"},
        {"$in": [1, "2024-05-02"]},
    ],
)
def test_matching_never_raises(operand: object, entity: object) -> None:
    filter = dql.compile({"a": operand})
    for shape in (entity, {"a": entity}, {"a": [entity]}):
        assert filter.explain(shape).verdict is filter.matches(shape)


def test_an_entity_nested_without_end_is_matched_and_explained() -> None:
    deep: Any = 1
    for _ in range(100_000):
        deep = {"a": [deep]}
    for document in ({"a": 5}, {".".join("a" * 32): 5}, {"a": {"$eq": {"a": {"a": [1]}}}}, {"a": {"$match": {"a": 1}}}):
        assert not dql.compile(document).explain(deep).verdict
    while isinstance(deep, dict):  # let go level by level: freeing the whole at once would recurse
        deep = deep["a"].pop()
