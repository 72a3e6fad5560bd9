"""What becomes of executions whose agent was lost."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from backbone.model.states import ENDED, ExecutionStatus
from dispatcher import rescue
from dispatcher.rescue import ExpiredLease

NOW = datetime(2026, 1, 1, tzinfo=UTC)
S = ExecutionStatus


def lease(**changes: Any) -> ExpiredLease:
    given = {
        "execution_id": UUID(int=1),
        "attempt": 1,
        "status": S.IN_PROGRESS,
        "max_attempts": 3,
        "on_reset": "rerun",
    }
    return ExpiredLease(**{**given, **changes})


@pytest.mark.parametrize("status", [S.CREATED, S.QUEUED])
@pytest.mark.parametrize("on_reset", ["failed", "rerun"])
def test_what_was_never_started_is_given_back_and_not_counted(on_reset: str, status: ExecutionStatus) -> None:
    never_started = lease(status=status, attempt=3, on_reset=on_reset)
    decided = rescue.decide([never_started], NOW)
    assert (decided.give_back, decided.drop, decided.settlements) == ([never_started], [], [])


def test_what_was_started_counts_and_is_tried_again_where_the_service_says_so() -> None:
    [settlement] = rescue.decide([lease(attempt=2)], NOW).settlements
    assert (settlement.status, settlement.attempt, settlement.next_attempt) == (S.CREATED, 2, 3)
    assert (settlement.due, settlement.ended_as) == (NOW, "failed")
    assert settlement.message == "the agent that ran this attempt was lost"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"on_reset": "failed"}, "onReset is 'failed', attempt 1 of 3"),
        ({"attempt": 3}, "onReset is 'rerun', attempt 3 of 3"),
    ],
)
def test_what_may_not_run_again_has_failed(changes: dict[str, Any], said: str) -> None:
    [settlement] = rescue.decide([lease(**changes)], NOW).settlements
    assert (settlement.status, settlement.next_attempt, settlement.due) == (S.FAILED, settlement.attempt, None)
    assert settlement.ended_at == NOW
    assert said in (settlement.message or "")


@pytest.mark.parametrize("status", [*sorted(ENDED), None])
def test_a_lease_that_nothing_hangs_on_is_dropped(status: ExecutionStatus | None) -> None:
    stale = lease(status=status)
    decided = rescue.decide([stale], NOW)
    assert (decided.give_back, decided.drop, decided.settlements) == ([], [stale], [])
