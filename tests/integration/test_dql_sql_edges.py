"""Where PostgreSQL and Python might differ: numbers and dates near one another, odd characters, case, sizes."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest

from backbone.model import dql
from backbone.model.errors import InvalidFilter
from backbone.store import dql_sql
from tests.support.dql_in_postgres import compiled, readable, verdicts_at

EDGES: list[Any] = [
    0, -0.0, 1, True, False, None, 5e-324, -5e-324, 0.1, 0.30000000000000004, 0.3, 1.5, "1.5", "0.1", "1e400", "-1e400",
    2**53, 2**53 + 1, 2**53 + 2, float(2**53), -(2**53) - 1, "9007199254740993", "9007199254740993.0",
    2**63 - 1, 2**63, 2**63 + 1, 2**63 + 2, float(2**63), math.nextafter(2**63, 0), -(2**63), -(2**63) - 1,
    2**64 - 1, 2**64, 2**64 + 1, 10**25, 1e25, 1.7976931348623157e308, -1.7976931348623157e308, 10**308,
    1714651200000, 1714651200000.0, 1714651200000.5, 1714651200000.0001, "2024-05-02T12:00:00.0005Z",
    "2024-05-02T12:00", "2024-05-02T14:00:00+02", "2024-05-02 10:30:00,000000001-0130",
    "2024-05-02T12:00:00.1234567891Z",
    0.001, "1970-01-01T00:00:00.000001Z", "1969-12-31T23:59:59.999999999z", "0001-01-01T00:00:00+01:00", "0000-01-01",
    "9999-12-31T23:59:59.999999999-23:59", "2023-02-29", "2024-02-29", "2000-02-29", "1900-02-29", "2024-13-01",
    "2024-5-2", "2024-05-02T24:00", "2024-05-02\n", "", "a", "A", "a\nb", "\uffff", "\U00010000", "ａ", "٣", "[1]",
]  # fmt: skip
"""What is near one another and not the same, or the same in two spellings."""
FILES = ("vectors.jsonl", "own-vectors.jsonl", "regressions.jsonl", "counterexamples.jsonl")

ODD = [
    "'", '"', "''", '"; --', "'; DROP TABLE trigger; --", "$1", "$$", "${1}", ":a", "\\", "\\\\", "\\'", "\\u0041",
    "%", "_", "%%", "?", "^", "$", "[a", "(a", "{1", "a|b", "(?i)a", "***=a", "\n", "\t", "\x01", "\x7f", "\u2028",
    "\\u", "\ufeff", "/", "--", "/*", "*/ 1", "é", "é", "😀", "@", "#>", "strict", "true", "null", "{}", "[]",
    "a b", " ", "%s", "{0}",
]  # fmt: skip


async def test_what_is_nearly_the_same_is_told_apart_as_matching_does(database: str) -> None:
    names = ("$eq", "$ne", "$in", "$gt", "$gte", "$lt", "$lte")
    documents = [{"a": {name: edge}} for name, edge in itertools.product(names, EDGES)]
    documents += [{"a": {"$in": EDGES[place : place + 3]}} for place in range(len(EDGES))]
    documents += [{"a": {"$eq": shape}} for edge in EDGES for shape in ([edge], {"b": edge, "c": [1]})]
    filters = [filter for filter in map(compiled, documents) if filter]
    entities = [{"a": shape} for edge in EDGES for shape in (edge, [edge], [[edge]], {"b": edge, "c": [1.0]})]
    found = await verdicts_at(database, filters, entities)
    expected = [[filter.matches(readable(entity)) for entity in entities] for filter in filters]
    wrong = [
        (filter.source, entity)
        for filter, ours, theirs in zip(filters, found, expected, strict=True)
        for entity, our, their in zip(entities, ours, theirs, strict=True)
        if our is not their
    ]
    assert wrong == []
    assert 0.05 < sum(map(sum, expected)) / (len(filters) * len(entities)) < 0.5


async def test_odd_characters_change_nothing_but_the_verdict(database: str) -> None:
    names = ("$eq", "$ne", "$in", "$gt", "$lte", "$ieq", "$ilike", "$glob", "$match")
    documents: list[Any] = [{"a": {name: odd}} for odd in ODD for name in names]
    documents += [{f"a.{odd}.0": {name: odd}} for odd in ODD for name in ("$eq", "$gt")]
    documents += [{f"a.{odd}": {"$match": {odd: odd + "*"}}} for odd in ODD if not odd.startswith("$")]
    documents += [{"a": {"$eq": {odd: [odd, 1]}}} for odd in ODD if not odd.startswith("$")]
    documents += [{"a": {name: f"*{odd}**/"}} for odd in ODD for name in ("$eq", "$ilike", "$glob")]
    filters = [dql.compile(document) for document in documents]
    entities: list[Any] = [{"a": odd} for odd in ODD]
    entities += [{"a": {odd: [odd]}} for odd in ODD] + [{"a": {odd: [odd, 1]}} for odd in ODD]
    entities += [{"a": {odd: {odd: odd}}} for odd in ODD] + [{"a": f"x{odd}/{odd}/"} for odd in ODD]
    found = await verdicts_at(database, filters, entities)
    expected = [[filter.matches(entity) for entity in entities] for filter in filters]
    assert [one.source for one, ours, theirs in zip(filters, found, expected, strict=True) if ours != theirs] == []


def test_sql_has_no_character_of_the_filter() -> None:
    plain, parameters = dql_sql.where(dql.compile({"a": {"$in": ["b", "c*", 1]}}).expression, "doc", 1)
    for odd in ODD:
        mixed = [odd.replace("*", "x"), odd + "*", 2]
        text, others = dql_sql.where(dql.compile({"x" + odd: {"$in": mixed}}).expression, "doc", 1)
        assert (text, len(others)) == (plain, len(parameters))


@pytest.mark.parametrize(
    "document", [{"a\x00": 1}, {"a": "\x00"}, {"a": "\x00*"}, {"a": {"$gt": "\x00"}}, {"a": {"$eq": [1, "\\\x00"]}}]
)
def test_nul_is_refused(document: Any) -> None:
    with pytest.raises(InvalidFilter, match="NUL"):
        dql_sql.where(dql.compile(document).expression, "doc", 1)


async def test_case_is_forgotten_as_python_forgets_it(database: str) -> None:
    """Every character that folds, alone and inside of a text, asked for by its folding and by another."""
    every = [character for character in map(chr, range(0x110000)) if character != character.casefold()]
    assert len(every) > 1_400
    assert max(every) < "\U00020000"
    folded = sorted({character.casefold() for character in every})
    assert [text for text in folded if text.casefold() != text] == []
    entities = [{"a": f"{character}-{character}"} for character in every]
    filters = [dql.compile({"a": {"$ieq": f"{text}-{text}"}}) for text in folded[::97]]
    filters += [
        dql.compile({"a": {"$ilike": pattern}}) for pattern in ("*s*", "*SS-*", "*ß", "*i*", "*ŉ-*", "*Σ*", "ﬃ*", "*")
    ]
    found = await verdicts_at(database, filters, entities)
    assert found == [[filter.matches(entity) for entity in entities] for filter in filters]


async def test_patterns_of_every_size_are_answered_in_time(database: str) -> None:
    long, longer = "ab" * 2_048, "ab" * 30_000
    documents = [
        {"a": {"$glob": "a*" * 32}},
        {"a": {"$glob": "**a*b" * 16}},
        {"a": {"$glob": "*" + long[:4_000] + "**"}},
        {"a": {"$glob": longer}},
        {"a": {"$glob": "*"}},
        {"a": "a*" * 10_000 + "c"},
        {"a": {"$ilike": "a*" * 10_000}},
    ]
    filters = [dql.compile(document) for document in documents]
    entities = [{"a": long}, {"a": longer}, {"a": long + "c"}, {"a": long[:-1]}]
    found = await verdicts_at(database, filters, entities)
    assert found == [[filter.matches(entity) for entity in entities] for filter in filters]


async def test_the_largest_filters_are_answered_in_time(database: str) -> None:
    many = [{"$and": [{f"a{n}": {"$gte": n}} for n in range(900)]} for _ in range(3)]
    documents = [
        {"$and": many},
        {"$and": [{"a": {"$in": [[n, f"{n}"] for n in range(k, k + 900)]}} for k in range(4)]},
        {"a": {"$eq": [[list(range(900))] * 10]}},
    ]
    filters = [dql.compile(document) for document in documents]
    entities: list[Any] = [{f"a{n}": n for n in range(900)}, {"a": [[5, "5"]]}, {"a": [[list(range(900))] * 10]}]
    found = await verdicts_at(database, filters, entities)
    assert found == [[filter.matches(entity) for entity in entities] for filter in filters]
