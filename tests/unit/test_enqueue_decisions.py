"""How the services share the queue, and what counts as lost there."""

from __future__ import annotations

import pytest

from dispatcher.enqueue import rooms
from dispatcher.republish import lost


def test_one_service_has_the_whole_batch() -> None:
    assert rooms({"a": -1.0}, {}, 10_000, 500) == {"a": 500}


def test_services_share_a_batch() -> None:
    assert rooms({"a": -100.0, "b": 0.0}, {}, 10_000, 500) == {"a": 250, "b": 250}


def test_more_services_than_a_batch_has_places_get_one_each() -> None:
    assert set(rooms(dict.fromkeys(map(str, range(900)), 0.0), {}, 10_000, 500).values()) == {1}


def test_what_is_not_due_yet_takes_no_share() -> None:
    assert rooms({"a": -1.0, "b": 3.0}, {}, 10_000, 500) == {"a": 500}


def test_a_service_gets_what_is_missing_to_its_limit() -> None:
    assert rooms({"a": -1.0, "b": -1.0}, {"a": 95, "b": 100}, 100, 500) == {"a": 5}


@pytest.mark.parametrize(
    ("published", "overdue", "depth", "count"),
    [
        (100, 100, 100, 0),  # all of them wait
        (100, 100, 0, 100),  # a queue that was lost whole
        (100, 40, 60, 40),
        (100, 10, 60, 10),  # what is missing beside them may be on its way
        (100, 0, 0, 0),
        (5, 5, 9, 0),  # some are there twice
    ],
)
def test_lost_is_what_is_neither_young_nor_in_the_queue(published: int, overdue: int, depth: int, count: int) -> None:
    assert lost(published, overdue, depth) == count
