"""What is refused, when a filter is made and not when it is asked: each with its place and its reason."""

from __future__ import annotations

import datetime
import math
from typing import Any

import pytest

from backbone.model import dql
from backbone.model.errors import InvalidFilter

ALL_OPERATORS = "$and, $eq, $exists, $glob, $gt, $gte, $ieq, $ilike, $in, $lt, $lte, $match, $ne, $nin, $nor, $or"

JSON_WANTS = "it wants double quotes, and true, false, null"


def nested(levels: int) -> dict[str, Any]:
    document: dict[str, Any] = {"a": 1}
    for _ in range(levels - 1):
        document = {"a": document}
    return document


REFUSALS: list[tuple[object, str, str]] = [
    # operators
    (
        {"$and": [{"a": 1}, {"b": 2}, {"metadata": {"x": {"$regex": "text"}}}]},
        "filter.$and[2].metadata.x.$regex",
        'operator $regex is not one of DQL\'s; did you mean a wildcard: "*text*"?',
    ),
    ({"metadata.x": {"$eqq": 1}}, "filter.metadata.x.$eqq", "operator $eqq is not one of DQL's; did you mean $eq?"),
    ({"a": {"$GTE": 1}}, "filter.a.$GTE", "operator $GTE is not one of DQL's; did you mean $gte?"),
    ({"a": {"$exist": True}}, "filter.a.$exist", "operator $exist is not one of DQL's; did you mean $exists?"),
    ({"$an": []}, "filter.$an", "operator $an is not one of DQL's; did you mean $and?"),
    ({"a": {"$zzz": 1}}, "filter.a.$zzz", f"operator $zzz is not one of DQL's, which are {ALL_OPERATORS}"),
    (
        {"a": {"$not": {"$gt": 1}}},
        "filter.a.$not",
        "operator $not is not one of DQL's; did you mean $ne, $nin, or $nor with one member?",
    ),
    ({"a": {"$elemMatch": {}}}, "filter.a.$elemMatch", "operator $elemMatch is not one of DQL's; did you mean $match?"),
    (
        {"a": {"$size": 0}},
        "filter.a.$size",
        'operator $size is not one of DQL\'s; an empty list is {"field": []}; other sizes cannot be asked for',
    ),
    (
        {"v": {"$euclid": {"input": [1.0]}}},
        "filter.v.$euclid",
        "operator $euclid is not one of DQL's; a filter looks at one entity alone, so there is nothing to search in",
    ),
    (
        {"createdAt": {"$gt": {"$date": "2024-05-01"}}},
        "filter.createdAt.$gt.$date",
        'operator $date is not one of DQL\'s; write the date as text: {"$gt": "2024-05-01T00:00:00Z"}',
    ),
    # places
    ({"$gt": 1}, "filter.$gt", 'operator $gt needs a field around it: {"field": {"$gt": …}}'),
    (
        {"filter": {"$exists": True}},
        "filter.filter.$exists",
        'operator $exists needs a field around it: {"field": {"$exists": …}}',
    ),
    ({"a": {"$or": [{"b": 1}]}}, "filter.a.$or", "$or stands beside field names, not under one"),
    ({"a": {"$gt": 1, "b": 2}}, "filter.a", 'operator $gt and field "b" do not go into one object'),
    ({"a": {"$match": {"$gt": 1, "b": 2}}}, "filter.a.$match", 'operator $gt and field "b" do not go into one object'),
    (
        {"a": {"$ne": {"$gt": 1}}},
        "filter.a.$ne.$gt",
        "an object that is compared as a whole holds values, not operators",
    ),
    ({"a": [{"$gt": 1}]}, "filter.a[0].$gt", "an object that is compared as a whole holds values, not operators"),
    # operands
    ({"$and": {"a": 1}}, "filter.$and", '$and wants a list of filters, not {"a":1}'),
    ({"$or": [{"a": 1}, "b"]}, "filter.$or[1]", '$or wants filters as its members, not "b"'),
    ({"$nor": [None]}, "filter.$nor[0]", "$nor wants filters as its members, not null"),
    ({"a": {"$exists": 1}}, "filter.a.$exists", "$exists wants true or false, not 1"),
    ({"a": {"$exists": "true"}}, "filter.a.$exists", '$exists wants true or false, not "true"'),
    ({"a": {"$gt": None}}, "filter.a.$gt", "$gt wants a number or a text, not null"),
    ({"a": {"$lte": True}}, "filter.a.$lte", "$lte wants a number or a text, not true"),
    ({"a": {"$lt": [1]}}, "filter.a.$lt", "$lt wants a number or a text, not [1]"),
    ({"a": {"$gte": {}}}, "filter.a.$gte", "$gte wants a number or a text, not {}"),
    (
        {"a": {"$match": 5}},
        "filter.a.$match",
        "$match wants an object of conditions on one element, or a text with wildcards, not 5",
    ),
    ({"a": {"$ilike": 5}}, "filter.a.$ilike", "$ilike wants a text, not 5"),
    ({"a": {"$glob": ["*"]}}, "filter.a.$glob", '$glob wants a text, not ["*"]'),
    ({"a": {"$glob": "*a" * 33}}, "filter.a.$glob", f'$glob wants at most 32 wildcards, not "{"*a" * 30}…"'),
    ({"a": {"$ieq": ["A"]}}, "filter.a.$ieq", '$ieq wants a text, a number, true, false or null, not ["A"]'),
    # names
    ({"": 1}, "filter.", 'the field name "" has an empty part'),
    ({"a": {"b..c": 1}}, "filter.a.b..c", 'the field name "b..c" has an empty part'),
    ({"a.": 1}, "filter.a.", 'the field name "a." has an empty part'),
    ({1: 2}, "filter", "the key 1 is not a string; JSON knows no other keys"),
    ({"a": {"b": {True: 2}}}, "filter.a.b", "the key true is not a string; JSON knows no other keys"),
    # values
    ({"a": math.nan}, "filter.a", "nan is not a JSON number"),
    ({"a": {"$in": [1, -math.inf]}}, "filter.a.$in[1]", "-inf is not a JSON number"),
    ({"a": 10**400}, "filter.a", "an integer of 1329 bits is more than a JSON number holds"),
    ({"a": {1, 2}}, "filter.a", "a set is not a JSON value"),
    ({"a": [datetime.date(2024, 5, 1)]}, "filter.a[0]", "a date is not a JSON value"),
    ({"a": b"x"}, "filter.a", "a bytes is not a JSON value"),
    ({"a": "\ud800"}, "filter", "it holds text that is not Unicode (a lone surrogate)"),
    # shapes
    (True, "filter", "a filter is an object, not true"),
    (5, "filter", "a filter is an object, not 5"),
    ([{"a": 1}], "filter", 'a filter is an object, not a list; did you mean {"$and": [{"a":1}]}?'),
    ('"a"', "filter", 'a filter is an object, not "a"'),
    ("{'a': 1}", "filter", f"\"{{'a': 1}}\" cannot be read as JSON (line 1, column 2): {JSON_WANTS}"),
    ("", "filter", f'"" cannot be read as JSON (line 1, column 1): {JSON_WANTS}'),
    ('{"a": {"b": 1, "b": 2}}', "filter.a", 'the key "b" comes twice'),
    ('{"a": ' + "[" * 990 + "]" * 990 + "}", "filter", "objects and lists are nested deeper than 32 in it"),
    ('{"a": NaN}', "filter", f'"{{\\"a\\": NaN}}" cannot be read as JSON (line 1, column 7): {JSON_WANTS}'),
    ({"filter": {}, "dir": "/"}, "filter.dir", 'a query that wraps its conditions in "filter" has no such part'),
    (
        {"filter": {}, "intersect": []},
        "filter.intersect",
        "intersect combines whole queries, and a filter looks at one entity alone",
    ),
    (
        {"filter": {}, "except": {}},
        "filter.except",
        "except combines whole queries, and a filter looks at one entity alone",
    ),
    (
        {"join": {"on": {"resource": "annotations"}}},
        "filter.join",
        dql.JOIN,
    ),
    (
        {"filter": {}, "join": {"filter": {"value": {"$euclidFilter": {}}}}},
        "filter.join",
        "operator $euclid is not one of DQL's; a filter looks at one entity alone, so there is nothing to search in",
    ),
    # limits
    ({"a": {"$in": list(range(1001))}}, "filter.a.$in", "the list has 1,001 members; at most 1,000 are allowed"),
    ({"$or": [{}] * 1001}, "filter.$or", "the list has 1,001 members; at most 1,000 are allowed"),
    ({"a": [[0] * 1001]}, "filter.a[0]", "the list has 1,001 members; at most 1,000 are allowed"),
    (nested(33), "filter" + ".a" * 32, "objects and lists are nested deeper than 32 here"),
    ({".".join("a" * 33): 1}, "filter." + ".".join("a" * 30) + ".…", "the path has more than 32 parts"),
    ({".".join("0" * 9): 1}, "filter", "a path has more than 8 numbers among its parts"),
    (
        {"$or": [{"a.0.1": {"$match": {"0.0.a": {"$match": {"$and": [{"7.b.0.0.0.12": None}]}}}}}]},
        "filter",
        "a path has more than 8 numbers among its parts",
    ),
    ({"a": "x" * 70_000}, "filter", "the filter is 70,008 bytes of JSON; at most 65,536 are allowed"),
    ({"a": "é" * 33_000}, "filter", "the filter is 66,008 bytes of JSON; at most 65,536 are allowed"),
    ('{"a": 1}' + " " * 70_000, "filter", "the filter is 70,008 bytes of JSON; at most 65,536 are allowed"),
    (
        {"$or": [{"a": index} for index in range(65)]},
        "filter",
        "with its $or multiplied out it has more than 64 alternatives; several values of one field belong in one $in",
    ),
    (
        {"$and": [{"$or": [{"a": 1}, {"b": 1}]}] * 7},
        "filter",
        "with its $or multiplied out it has more than 64 alternatives; several values of one field belong in one $in",
    ),
    (
        {"$nor": [{"$and": [{"a": 1}] * 65}]},
        "filter",
        "with its $or multiplied out it has more than 64 alternatives; several values of one field belong in one $in",
    ),
]


@pytest.mark.parametrize(("document", "path", "reason"), REFUSALS)
def test_a_filter_is_refused_with_place_and_reason(document: object, path: str, reason: str) -> None:
    with pytest.raises(InvalidFilter) as refused:
        dql.compile(document)
    assert refused.value.path == path
    assert refused.value.reason == reason


def test_the_path_of_a_refusal_begins_as_the_caller_says() -> None:
    with pytest.raises(InvalidFilter) as refused:
        dql.compile({"$or": [{"a": {"$regex": "x"}}]}, path="spec.filter")
    assert str(refused.value).startswith("spec.filter.$or[0].a.$regex: operator $regex")
    with pytest.raises(InvalidFilter) as refused:
        dql.compile({"a": {"$regex": "x"}}, path="")
    assert refused.value.path == "a.$regex"


def test_a_hostile_key_does_not_make_a_long_path() -> None:
    with pytest.raises(InvalidFilter) as refused:
        dql.compile({"$" + "x" * 60_000: 1})
    assert len(str(refused.value)) < 400


@pytest.mark.parametrize(
    "document",
    [
        {"a": {"$in": list(range(1000))}},
        nested(32),
        {".".join("a" * 32): 1},
        {"$and": [{"$or": [{"a": 1}, {"b": 1}]}] * 6},
        {"$or": [{"a": index} for index in range(64)]},
        {"$nor": [{"a": index} for index in range(1000)]},
        {"a": {"$glob": "*a" * 32}},
        {"0.a.0.0": {"$match": {"0.0.0": {"$match": {"0.b0.0": {"$gt": 1}}}}}, "0.0.0": 1},
        {"a": "x" * 65_528},
    ],
)
def test_a_filter_at_a_limit_is_accepted(document: object) -> None:
    assert dql.compile(document).source is document
