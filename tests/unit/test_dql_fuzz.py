"""Filters as people write them, broken at random: each is a filter or an InvalidFilter, and a filter never raises."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backbone.model import dql
from backbone.model.dql import operators
from backbone.model.errors import InvalidFilter

DATA = Path(__file__).parents[1] / "data" / "dql"


def lines(name: str, field: str) -> list[Any]:
    return [json.loads(line)[field] for line in (DATA / name).read_text(encoding="utf-8").splitlines()]


REAL = lines("real-filters.jsonl", "filter") + lines("vectors.jsonl", "filter") + lines("own-vectors.jsonl", "filter")
ENTITIES: list[Any] = list(json.loads((DATA / "entities.json").read_text(encoding="utf-8")).values())

Place = tuple[Any, Any]
"""A list or an object, and the index or the key of a member of it."""

WORDS = st.sampled_from(
    [*sorted(operators.ALL), "$regex", "$", "filter", "join", "on", "context", "a", "a.b", "a..b", "0", "0.0", "", "*"]
)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([0, -0.0, 2**63, 10**30, 10**400, 1e308, float("nan"), float("inf")]),
    st.sampled_from(
        ["", "*", "**", "!", "!*/**", "2024-05-02", "2024-99-99T99:99:99Z", "1e999", "\ud800", "\x00", "{}"]
    ),
    st.text(max_size=4),
)
ANYTHING = st.recursive(
    SCALARS | st.floats(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS | st.text(max_size=3), inner, max_size=4),
    max_leaves=12,
)
SMALL = SCALARS | st.dictionaries(WORDS, SCALARS, max_size=2) | st.lists(SCALARS, max_size=2)


def replaced(place: Place, word: str, value: Any) -> None:
    inside, key = place
    inside[key] = copy.deepcopy(value)


def renamed(place: Place, word: str, value: Any) -> None:
    inside, key = place
    if isinstance(inside, dict):
        inside[word] = inside.pop(key)


def wrapped(place: Place, word: str, value: Any) -> None:
    inside, key = place
    inside[key] = {word: inside[key]}


def listed(place: Place, word: str, value: Any) -> None:
    inside, key = place
    inside[key] = [inside[key], copy.deepcopy(value)]


def multiplied(place: Place, word: str, value: Any) -> None:
    inside, key = place
    inside[key] = [inside[key]] * 40


def removed(place: Place, word: str, value: Any) -> None:
    inside, key = place
    del inside[key]


def joined(place: Place, word: str, value: Any) -> None:
    inside, key = place
    if isinstance(inside[key], dict):
        inside[key][word] = copy.deepcopy(value)


Edit = tuple[Callable[[Place, str, Any], None], int, str, Any]
EDITS: st.SearchStrategy[list[Edit]] = st.lists(
    st.tuples(
        st.sampled_from([replaced, renamed, wrapped, listed, multiplied, removed, joined]),
        st.integers(0, 1_000),
        WORDS,
        SMALL,
    ),
    min_size=1,
    max_size=4,
)


def places(inside: Any) -> Iterator[Place]:
    members = inside.items() if isinstance(inside, dict) else enumerate(inside) if isinstance(inside, list) else ()
    for key, member in list(members):
        yield inside, key
        yield from places(member)


def broken(document: Any, edits: list[Edit]) -> Any:
    root = [copy.deepcopy(document)]
    for edit, where, word, value in edits:
        if found := list(places(root))[:500]:
            edit(found[where % len(found)], word, value)
    return root[0] if root else None


def made(document: object) -> dql.Filter | None:
    """The filter, if it is one; that nothing but InvalidFilter is raised is the claim."""
    refused: InvalidFilter
    try:
        return dql.compile(document, "spec.filter")
    except InvalidFilter as refusal:
        refused = refusal
    assert refused.path.startswith("spec.filter")
    assert str(refused).encode()
    assert len(str(refused)) < 2_500
    return None


def asked(filter: dql.Filter, entity: object) -> None:
    verdict = filter.matches(entity)
    explanation = filter.explain(entity)
    assert explanation.verdict is verdict
    assert explanation.sentence.encode()


fuzzed = settings(max_examples=1_000, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@fuzzed
@given(st.builds(broken, st.sampled_from(REAL), EDITS), st.builds(broken, st.sampled_from(ENTITIES), EDITS))
def test_a_broken_real_filter_is_a_filter_or_refused_and_asks_any_entity(document: object, entity: object) -> None:
    filter = made(document)
    if filter is not None:
        for one in (*ENTITIES, entity):
            asked(filter, one)


@fuzzed
@given(ANYTHING, ANYTHING)
def test_anything_is_a_filter_or_refused_and_asks_anything(document: object, entity: object) -> None:
    filter = made(document)
    if filter is not None:
        asked(filter, entity)


@fuzzed
@given(st.builds(broken, st.sampled_from(REAL), EDITS))
def test_a_filter_as_text_is_refused_and_taken_as_its_document_is(document: object) -> None:
    try:
        text = orjson.dumps(document).decode()
    except TypeError:
        return
    if not isinstance(document, str):
        assert (made(text) is None) is (made(orjson.loads(text)) is None)


@fuzzed
@given(st.text() | st.builds(broken, st.sampled_from(REAL), EDITS).map(repr), st.integers(0, 200), st.text(max_size=3))
def test_text_that_is_damaged_is_a_filter_or_refused(text: str, where: int, by: str) -> None:
    made(text)
    made(text[:where])
    made(text[:where] + by + text[where:])
