"""What the matcher's benchmark stands on: its events and sets are always the same, its rules are filters of ours."""

from __future__ import annotations

import hashlib
import json
from itertools import islice
from random import Random

import orjson
import pytest

from backbone.model import dql
from benchmarks.matcher import citylots, hard, plot, sets
from benchmarks.matcher.banks import banks
from benchmarks.matcher.cell import check
from benchmarks.matcher.conditions import Condition, cel, event_ruler, mongo, rule_engine
from trigger_engine.match import Index

FIRST_THOUSAND = "6fdceda49965545eb21539364d2650bf6caff36e0b7217b6ca755cd543a2bdff"


@pytest.fixture(scope="module")
def lots() -> list[str]:
    return list(islice(citylots.lines(), 1000))


def test_the_stand_in_is_the_one_that_was_measured(lots: list[str]) -> None:
    assert hashlib.sha256("".join(f"{line}\n" for line in lots).encode()).hexdigest() == FIRST_THOUSAND


def test_there_are_sixteen_banks_with_the_rules_of_their_parts() -> None:
    found = banks()
    assert len(found) == 16
    assert {name: len(rules) for name, rules in found.items() if len(rules) != 5} == {"PARTIAL_COMBO": 40, "COMBO": 45}


@pytest.mark.parametrize("name", banks())
def test_each_rule_of_a_bank_is_a_filter_that_could_match_as_often_as_it_says(name: str, lots: list[str]) -> None:
    parcels = [orjson.loads(line) for line in lots]
    for rule in banks()[name]:
        found = sum(map(dql.compile(rule.filter).matches, parcels))
        assert found <= rule.matches, rule.filter
        assert len(parcels) - found <= citylots.COUNT - rule.matches, rule.filter
        if 0.1 < rule.matches / citylots.COUNT < 0.9:
            assert abs(found / len(parcels) - rule.matches / citylots.COUNT) < 0.1, rule.filter


@pytest.mark.parametrize("name", sets.NAMES)
def test_a_set_is_the_same_each_time_and_found_as_by_plain_evaluation(name: str) -> None:
    made, again = sets.made(name, 200, 30), sets.made(name, 200, 30)
    assert made.asked == again.asked
    assert made.events == again.events
    assert check(Index(made.triggers), made.triggers, made.events, seconds=60) == 30


def test_hard_filters_are_filters() -> None:
    for name, filter in hard.CASES.items():
        assert not dql.compile(filter(Random(name))).ignored


def test_conditions_say_the_same_in_each_language() -> None:
    asked = [
        Condition("name", "ends", ".jpg"),
        Condition("metadata.user.site", "one of", ["a", "b"]),
        Condition("metadata.system.size", "between", [1, 5]),
    ]
    envelope = {"projectId": "p"}
    assert json.loads(event_ruler(asked, envelope)) == {
        "projectId": ["p"],
        "entity": {
            "name": [{"suffix": ".jpg"}],
            "metadata": {"user": {"site": ["a", "b"]}, "system": {"size": [{"numeric": [">=", 1, "<", 5]}]}},
        },
    }
    assert mongo(asked)["$and"][0] == {"name": {"$regex": "\\.jpg$"}}
    assert cel(asked) == (
        'name.endsWith(".jpg") && metadata.user.site in ["a", "b"] '
        "&& metadata.system.size >= 1 && metadata.system.size < 5"
    )
    assert rule_engine(asked) == (
        'name.ends_with(".jpg") and metadata["user"]["site"] in ["a", "b"] '
        'and metadata["system"]["size"] >= 1 and metadata["system"]["size"] < 5'
    )


def test_the_plot_has_a_panel_a_set_and_says_where_event_ruler_was_not_built() -> None:
    ours = [
        {"set": name, "triggers": size, "processes": [{"rates": [size * 10.0, 500_000.0, 200_000.0]}]}
        for name in ("one", "worst")
        for size in (10, 1000)
    ]
    theirs = [{"set": "one", "triggers": 10, "rate": 90_000.0}, {"set": "one", "triggers": 1000, "rate": None}]
    shown = plot.panels({"ours": ours, "theirs": theirs})
    assert shown == [
        plot.Panel("one", {10: 200_000.0, 1000: 200_000.0}, {10: 90_000.0}, 1000),
        plot.Panel("worst", {10: 200_000.0, 1000: 200_000.0}, {}, None),
    ]
    drawn = plot.drawn(shown)
    assert drawn.count("not built") == 1
    assert drawn.count("<circle") == 5
