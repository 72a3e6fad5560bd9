"""The index and plain evaluation: the same verdict for every filter and entity, whatever else is in the index."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backbone.model import dql
from backbone.model.errors import InvalidFilter
from backbone.model.matches import LiveTrigger
from tests.support.dql_strategies import FILTERS, NAMES, VALUES
from tests.support.matching import live_trigger, recorded
from trigger_engine.match import Index

DATA = Path(__file__).parents[1] / "data" / "dql"
PAIRS = 200_000
"""Of random filters and entities."""

OBJECTS = st.dictionaries(NAMES, VALUES, max_size=5)


def triggers_of(documents: Iterable[Any], first: int = 0) -> list[LiveTrigger]:
    found = []
    for number, document in enumerate(documents, first):
        try:
            found.append(replace(live_trigger(f"t{number}"), filter=dql.compile({"filter": document})))
        except InvalidFilter:
            continue  # random logic may multiply out to too much
    return found


def differences(index: Index, live: Sequence[LiveTrigger], written: bytes) -> list[Any]:
    """The filters about which the two do not agree; a trigger that is found twice is one of them."""
    entity = orjson.loads(written)
    matches, unreadable = index.match([recorded(written=written)])
    assert unreadable == []
    found = [trigger.id for each in matches for trigger in each.triggers]
    return [
        (trigger.filter.source, entity)
        for trigger in live
        if found.count(trigger.id) != (1 if trigger.filter.matches(entity) else 0)
    ]


def lines(name: str) -> list[Any]:
    return [json.loads(line) for line in (DATA / name).read_text(encoding="utf-8").splitlines()]


def unwrapped(document: Any) -> Any:
    document = json.loads(document) if isinstance(document, str) else document
    inner = document.get("filter") if isinstance(document, dict) else None
    return inner if isinstance(inner, dict) else document


def writable(entity: Any) -> bool:
    try:
        orjson.dumps(entity)
    except TypeError:  # an integer of more than 64 bits, which no edge lets in
        return False
    return True


@pytest.mark.parametrize("loaded", ["at once", "one by one"])
def test_every_filter_of_the_vectors_with_every_entity(loaded: str) -> None:
    cases = [
        case for name in ("vectors", "own-vectors", "regressions", "counterexamples") for case in lines(f"{name}.jsonl")
    ]
    documents = [unwrapped(case["filter"]) for case in cases + lines("real-filters.jsonl")]
    entities = [case["entity"] for case in cases if isinstance(case["entity"], dict)]
    entities += list(json.loads((DATA / "entities.json").read_text(encoding="utf-8")).values())
    live = triggers_of(document for document in documents if isinstance(document, dict))
    index = Index(live if loaded == "at once" else ())
    for trigger in () if loaded == "at once" else live:
        index.put(trigger)
    entities = [orjson.dumps(entity) for entity in entities if writable(entity)]
    # Twice, as paths that go through lists are learned in the first round.
    assert [differences(index, live, entity) for entity in entities * 2] == [[]] * len(entities) * 2
    assert len(live) * len(entities) >= 100_000


RANGES: list[dict[str, Any]] = [
    *({"a": {"$gt": n, "$lt": n + 3}} for n in range(-20, 20)),
    *({"a.b": {"$gt": n, "$lte": n - 3}} for n in range(9)),
    *({"a": {"$gte": f"2024-01-{day:02}", "$lt": f"2024-01-{day + 2:02}"}} for day in range(1, 25)),
    {"a": {"$gt": -1.7e308, "$lt": 1.7e308}},
    {"a": {"$gte": 5e-324, "$lte": 1e-323}},
    {"a": {"$gte": 2**62, "$lt": 2**63}},
    {"a": {"$gte": 1704067200000, "$lt": 1704267200000}},
]
TEXTS: list[dict[str, Any]] = [
    *({"a": f"*{n:04}word*"} for n in range(60)),
    *({"a": f"*{n}{n}*"} for n in range(60)),
    *({"a": {"$ilike": f"Start{n}*END"}} for n in range(20)),
    *({"a": {"$in": [f"x{n}*", f"*{n}y", f"plain{n}", None]}} for n in range(20)),
    *({"a": {"$glob": f"/f{n}/**/x{n}"}} for n in range(20)),
    *({"a": {"$ne": f"*{n}*"}, "b": n} for n in range(20)),
]
VALUES_MET: list[Any] = [
    *(1, 9, 1.5, 0, -0.0, True, None, [], [1, 9], [-5, 30], {"b": 5}, {"b": [1, 9]}, [{"b": 5}, {"b": 1}], [[5]]),
    *(5e-324, 2**62, 2**63 - 1, 1e308, -1e308, 1704067200000, 1704153600000),
    *("x", "202", "2024-01-05", "2024-01-05T12:00:00Z", ["2024-01-02", "2024-01-20"], ["2024-01-02", 3, "zz"]),
    *("0007word", "a0007wordb", "xx77yy", "start3 end", "START3END", "x3", "é3y", "plain3", "/f3/x3", "/f3/a/b/x3"),
    *(["0001word", "0002word"], ["plain1", "plain2"], {"b": None}, "77"),
]


@pytest.mark.parametrize("documents", [RANGES, TEXTS])
def test_ranges_and_pieces_of_text_at_their_edges(documents: list[dict[str, Any]]) -> None:
    live = triggers_of(documents)
    index = Index(live)
    for value in VALUES_MET * 2:
        assert differences(index, live, orjson.dumps({"a": value, "b": 3})) == []
    for trigger in live:
        index.remove(trigger.id)
    assert index.envelopes == 0


NAMED_ODDLY: list[dict[str, Any]] = [
    *({f'a"{n}': n} for n in range(9)),
    *({"a\\b": n} for n in range(9)),
    *({"c.\nd": n, "c.e": n} for n in range(9)),
    *({"l": {"$match": {'"': n, "x": n}}} for n in range(9)),
]


def test_any_field_name_may_be_asked_for() -> None:
    plain = triggers_of([{"c.e": n} for n in range(9)], first=100)
    odd = triggers_of(NAMED_ODDLY)
    index = Index(plain)
    for trigger in odd:
        index.put(trigger)
    for n in (0, 3, 8):
        entity = {f'a"{n}': n, "a\\b": n, "c": {"\nd": n, "e": n}, "l": [{'"': n, "x": n}, {"x": 1}]}
        assert differences(index, plain + odd, orjson.dumps(entity)) == []


def test_a_path_that_led_through_lists_may_end_in_a_text() -> None:
    live = triggers_of([{"a.b": None}, {"a.b": {"$nin": [None, 1]}}, {"a.b": {"$exists": False}}, {"a.b": 1}])
    index = Index(live)
    for value in ([{"b": 1}], "", "b", [], {"b": 1}, [""], None, [[{"b": 1}]], {"b": [1]}):
        assert differences(index, live, orjson.dumps({"a": value})) == []


def test_random_filters_and_entities_while_triggers_come_and_go() -> None:
    asked = 0

    @settings(max_examples=160, deadline=None, suppress_health_check=list(HealthCheck))
    @given(
        st.lists(FILTERS, min_size=32, max_size=32),
        st.lists(OBJECTS.filter(writable).map(orjson.dumps), min_size=30, max_size=30),
        st.randoms(use_true_random=False),
    )
    def every_pair(documents: list[Any], entities: list[bytes], dice: random.Random) -> None:
        nonlocal asked
        live = triggers_of(documents)
        known, new = live[::2], live[1::2]
        index = Index(known)
        held = {trigger.id: trigger for trigger in known}
        for entity, change in itertools.zip_longest(entities, new):
            if change is not None:
                index.put(change)
                held[change.id] = change
            if dice.random() < 0.3 and held:
                changed = dice.choice(list(held.values()))
                filter = dice.choice(live).filter
                held[changed.id] = replace(changed, filter=filter, version=changed.version + 1)
                index.put(held[changed.id])
            if dice.random() < 0.2 and held:
                gone = dice.choice(list(held))
                del held[gone]
                index.remove(gone)
            assert differences(index, list(held.values()), entity) == []
            asked += len(held)
        for trigger_id in held:
            index.remove(trigger_id)
        assert (index.envelopes, index.versions) == (0, {})
        index.put_all(live)
        assert [differences(index, live, entity) for entity in entities] == [[]] * len(entities)
        asked += len(live) * len(entities)

    every_pair()
    assert asked >= PAIRS
