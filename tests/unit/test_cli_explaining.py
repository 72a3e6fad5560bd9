"""`triggers explain`: how the matcher finds a trigger among those that are there."""

from __future__ import annotations

from typing import Any

from backbone.model.dql.access import Cost
from launcher.cli import explaining
from launcher.cli.live import Held
from tests.support.matching import live_trigger


def held(id: str, filter: Any, *, paused: str | None = None, project: str | None = None, **changes: Any) -> Held:
    return Held(live=live_trigger(id, filter, **changes), project=project, paused=paused)


def test_the_key_who_else_is_under_it_and_what_is_left_to_ask_are_told() -> None:
    wanted = held("t", {"batch": "b", "name": "*v2*"})
    others = [held(f"o{number}", {"batch": "b", "name": f"*{number}*"}) for number in range(3)]
    elsewhere = [held(f"c{number}", {"batch": f"c{number}"}) for number in range(20)]
    of_tasks = held("task", {"batch": "b"}, resource="Task")
    (told,) = explaining.told([wanted], [wanted, *others, *elsewhere, of_tasks])
    assert (told.cost, told.triggers, told.paused) == ("equality", 24, None)
    assert told.can_be_found_by == ["batch is 'b'"]
    (place,) = told.places
    assert (place.keys, place.others) == (("batch = 'b'",), 3)
    assert place.left == ({"name": {"$eq": "*v2*"}},)


def test_among_few_a_trigger_needs_no_key_and_its_best_is_told_all_the_same() -> None:
    wanted = held("t", {"$or": [{"a": {"$in": ["x", "y"]}}, {"name": "img-*"}]})
    (told,) = explaining.told([wanted], [wanted])
    assert told.can_be_found_by == ["a is 'x' or a is 'y'", "name starts 'img-'"]
    assert {place.keys for place in told.places} == {()}
    (scan,) = explaining.told([held("s", {"name": "*v2*"})], [held("s", {"name": "*v2*"})])
    assert (scan.cost, scan.can_be_found_by) == ("scan", [])


def test_a_paused_trigger_is_told_as_if_it_was_not_and_others_that_are_paused_are_not_there() -> None:
    wanted = held("t", {"a": 1}, paused="it is paused")
    (told,) = explaining.told([wanted], [wanted, held("o", {"a": 1}), held("p", {"a": 1}, paused="so is this")])
    assert (told.paused, told.triggers, told.places[0].others) == ("it is paused", 2, 1)


def test_each_action_and_each_alternative_has_its_place() -> None:
    wanted = held("t", {"$or": [{"a": "x"}, {"b": "y"}]}, actions=("Created", "Updated"))
    (told,) = explaining.told([wanted], [wanted])
    assert len(told.places) == 4


def test_triggers_of_a_file_stand_beside_those_of_the_same_project() -> None:
    here, there = held("t", {"a": 1}, project="demo"), held("o", {"a": 1}, project="other")
    (told,) = explaining.told([here], [here, there])
    assert (told.triggers, told.places[0].others) == (1, 0)


def test_every_class_has_words() -> None:
    assert all(explaining.in_words(cost.name.lower()) for cost in Cost)
