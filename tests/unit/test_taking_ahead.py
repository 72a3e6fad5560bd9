"""How many messages an agent lets come before it asks whether they may begin."""

from __future__ import annotations

import pytest

from backbone.drivers.work_queue.rabbitmq import AHEAD, ahead, goes_on
from backbone.ports import TAKEN_AT_ONCE


@pytest.mark.parametrize("few_come", [False, True])
def test_never_more_come_than_there_is_room_for(few_come: bool) -> None:
    for room in range(1, 1_000):
        assert 1 <= ahead(room, few_come=few_come) <= min(room, AHEAD)


def test_where_there_is_room_for_two_askings_a_full_queue_is_taken_without_a_pause() -> None:
    for room in range(2 * TAKEN_AT_ONCE, 2_000):
        assert goes_on(ahead(room, few_come=False), TAKEN_AT_ONCE, room), room


def test_where_few_come_it_goes_on_as_long_as_half_of_the_room_is_left() -> None:
    for room in range(2, 1_000):
        assert goes_on(ahead(room, few_come=True), 0, room), room
        assert not goes_on(ahead(room, few_come=True), room, room), room
