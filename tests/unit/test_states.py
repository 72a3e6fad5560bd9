"""The states of an execution, in the model and in the database's own list."""

from __future__ import annotations

import re
from importlib.resources import files

from backbone.model.states import ENDED, TRANSITIONS, ExecutionStatus, may_follow

S = ExecutionStatus


def test_the_database_lists_the_same_states_in_the_same_order() -> None:
    migration = (files("backbone.store") / "migrations" / "0001_start.sql").read_text()
    listed = re.search(r"CREATE TYPE execution_status AS ENUM \(([^)]*)\)", migration)
    assert listed is not None
    assert re.findall(r"'([^']+)'", listed.group(1)) == [status.value for status in S]


def test_the_ended_ones_come_last_as_the_statements_compare_with_success() -> None:
    assert [status for status in S if status in ENDED] == list(S)[list(S).index(S.SUCCESS) :]


def test_every_state_can_be_reached_and_left() -> None:
    assert set(TRANSITIONS) == set(S)
    assert set().union(*TRANSITIONS.values()) == set(S)
    assert all(TRANSITIONS.values())


def test_an_ended_one_only_begins_again() -> None:
    for ended in ENDED:
        assert TRANSITIONS[ended] == {S.CREATED}


def test_no_state_follows_itself_and_none_begins_once_it_has_ended() -> None:
    assert not any(may_follow(status, status) for status in S)
    assert [old for old in S if may_follow(S.IN_PROGRESS, old)] == [S.CREATED, S.QUEUED]
    assert [old for old in S if may_follow(S.QUEUED, old)] == [S.CREATED]
