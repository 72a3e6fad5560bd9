"""The shapes in which a filter arrives: an object, JSON text, a query that wraps it, or nothing at all."""

from __future__ import annotations

import json
from typing import Final

import orjson

from backbone.model import json_text
from backbone.model.dql import limits
from backbone.model.dql.assumptions import IGNORED_IN_A_QUERY, REFUSED_IN_A_QUERY
from backbone.model.dql.location import Location, refusal, written
from backbone.model.dql.operators import unknown
from backbone.model.dql.wording import clipped, shown
from backbone.model.errors import InvalidFilter

#: Parts of a query that choose and order results; on one entity they have no meaning.
_OF_NO_EFFECT: Final = ("resource", "page", "pageSize", "sort", "limit", "select", "systemSpace", "user", "queryEngine")
JOIN: Final = (
    "a join looks at other entities, and a filter at one alone; "
    'to stay within a dataset, write {"datasetId": "…"} among the conditions'
)
_JSON_WANTS: Final = "it wants double quotes, and true, false, null"
_QUERY: Final = frozenset(("filter", *_OF_NO_EFFECT, *IGNORED_IN_A_QUERY, *REFUSED_IN_A_QUERY))


def unwrapped(given: object, at: Location) -> tuple[dict[object, object], Location, tuple[str, ...]]:
    """The filter itself, its place, and the names of the query's parts that have no effect and might be missed."""
    document = _read(given, at)
    if document is None:
        return {}, at, ()
    if isinstance(document, list):
        raise refusal(at, f'a filter is an object, not a list; did you mean {{"$and": {shown(document)}}}?')
    if not isinstance(document, dict):
        raise refusal(at, f"a filter is an object, not {shown(document)}")
    _check_size(document, at)
    inner = document.get("filter")
    if isinstance(inner, dict):
        return inner, (at, "filter"), _checked_query(document, at)
    if isinstance(document.get("join"), dict) and "on" in document["join"]:
        raise refusal((at, "join"), JOIN)
    return document, at, ()


def _read(given: object, at: Location) -> object:
    if not isinstance(given, str):
        return given
    if len(given) > limits.BYTES:
        raise refusal(at, _too_large(len(given)))
    try:
        document = orjson.loads(given)
        if json_text.may_double_keys(given.encode(), document):
            json_text.refuse_doubled_keys(given.encode(), InvalidFilter, written(at))
    except orjson.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise refusal(at, f"{shown(given)} cannot be read as JSON ({place}): {_JSON_WANTS}") from None
    except (RecursionError, orjson.JSONEncodeError):
        raise refusal(at, f"objects and lists are nested deeper than {limits.NESTING} in it") from None
    return document


def _check_size(document: dict[object, object], at: Location) -> None:
    size = _size(document, at)
    if size > limits.BYTES:
        raise refusal(at, _too_large(size))


def _size(document: dict[object, object], at: Location) -> int:
    try:
        return len(orjson.dumps(document))
    except TypeError:
        pass  # no JSON, which the parser will place, or integers beyond orjson's 64 bits
    try:
        return len(json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode())
    except UnicodeEncodeError:
        raise refusal(at, "it holds text that is not Unicode (a lone surrogate)") from None
    except (TypeError, ValueError, RecursionError):
        return 0


def _too_large(size: int) -> str:
    return f"the filter is {size:,} bytes of JSON; at most {limits.BYTES:,} are allowed"


def _checked_query(query: dict[object, object], at: Location) -> tuple[str, ...]:
    for key in query:
        if not isinstance(key, str) or key not in _QUERY:
            named = clipped(key) if isinstance(key, str) else shown(key)
            raise refusal((at, named), 'a query that wraps its conditions in "filter" has no such part')
        if key in REFUSED_IN_A_QUERY:
            raise refusal((at, key), f"{key} combines whole queries, and a filter looks at one entity alone")
    if _searches_vectors(query.get("join")):
        raise refusal((at, "join"), unknown("$euclid"))
    return tuple(key for key in IGNORED_IN_A_QUERY if query.get(key))


def _searches_vectors(join: object) -> bool:
    try:
        return b'"$euclid' in orjson.dumps(join)
    except TypeError:  # not JSON; it is ignored as a whole
        return False
