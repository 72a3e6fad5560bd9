"""What a batch of reports comes to."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from backbone.model.executions import Settlement
from backbone.model.messages import Finished, Logged, Progressed, Report, Started
from backbone.model.states import ExecutionStatus
from dispatcher import settle
from dispatcher.retry import RetryPolicy

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LATER = NOW + timedelta(seconds=1)
POLICY = RetryPolicy(first=timedelta(seconds=8), jitter=0)
ONE, TWO = UUID(int=1), UUID(int=2)
S = ExecutionStatus


def decided(*reports: Report) -> settle.Outcome:
    return settle.decide(reports, POLICY, NOW, lambda: 0.5)


def settlement(*reports: Report) -> Settlement:
    [found] = decided(*reports).settlements.values()
    return found


def started(attempt: int = 1, id: UUID = ONE) -> Started:
    return Started(execution_id=id, attempt=attempt, at=NOW)


def progressed(number: int = 1, **told: Any) -> Progressed:
    return Progressed(execution_id=ONE, attempt=1, number=number, at=NOW, **told)


def finished(status: str = "success", attempt: int = 1, **told: Any) -> Finished:
    given: dict[str, Any] = {
        "execution_id": ONE,
        "attempt": attempt,
        "max_attempts": 3,
        "at": LATER,
        "started_at": NOW,
        "status": status,
        "duration": 1.0,
    }
    return Finished(**{**given, **told})


def test_a_start_and_an_end_in_one_batch_are_one_settlement() -> None:
    found = settlement(started(), finished(output=b"7"))
    assert (found.status, found.started_at, found.ended_at, found.output) == (S.SUCCESS, NOW, LATER, b"7")
    assert (found.percent, found.ended_as, found.due) == (100, "success", None)


@pytest.mark.parametrize("late", [started(), progressed(percent=3), finished("failed"), finished("rerun")])
def test_what_is_told_of_an_attempt_after_its_end_changes_nothing(late: Report) -> None:
    assert settlement(finished(), late) == settlement(finished())


def test_of_several_attempts_the_newest_counts_in_whatever_order_they_come() -> None:
    assert settlement(finished("failed", 1), started(2)) == settlement(started(2), finished("failed", 1))
    assert settlement(started(2), finished("failed", 1)).attempt == 2


def test_executions_do_not_touch_each_other() -> None:
    found = decided(started(id=ONE), started(id=TWO), finished(execution_id=TWO)).settlements
    assert (found[ONE].status, found[TWO].status) == (S.IN_PROGRESS, S.SUCCESS)


def test_a_failure_is_tried_again_later_while_attempts_are_left() -> None:
    found = settlement(finished("failed", 1, message="no luck", traceback="at line 1"))
    assert (found.status, found.next_attempt, found.due) == (S.CREATED, 2, NOW + timedelta(seconds=8))
    assert (found.ended_as, found.message, found.traceback) == ("failed", "no luck", "at line 1")
    assert settlement(finished("failed", 2)).due == NOW + timedelta(seconds=16)


@pytest.mark.parametrize(
    "report", [finished("failed", 3), finished("failed", 1, may_retry=False), finished("failed", 1, max_attempts=1)]
)
def test_the_last_failure_is_the_end(report: Finished) -> None:
    found = settlement(report)
    assert (found.status, found.next_attempt, found.due) == (S.FAILED, report.attempt, None)


@pytest.mark.parametrize("status", ["aborted", "terminated", "canceled", "system-failure"])
def test_other_ends_are_not_tried_again(status: str) -> None:
    assert settlement(finished(status)).status == S(status)
    assert settlement(finished(status)).due is None


def test_what_we_interrupted_runs_again_at_once_also_after_the_last_attempt() -> None:
    found = settlement(finished("rerun", 3, message="the agent was stopped"))
    assert (found.status, found.next_attempt, found.due, found.ended_as) == (S.CREATED, 4, NOW, "rerun")


@pytest.mark.parametrize("status", ["queued", "in-progress", "created", "no such status", ""])
def test_an_end_that_is_none_is_a_failure_of_ours(status: str) -> None:
    assert settlement(finished(status)).status is S.SYSTEM_FAILURE


def test_progress_adds_up_and_stays_when_nothing_new_is_said() -> None:
    found = settlement(
        started(), progressed(1, percent=10, message="a"), progressed(2, output=b"1"), progressed(3, percent=30)
    )
    assert (found.status, found.started_at, found.percent, found.message, found.output) == (
        S.IN_PROGRESS,
        NOW,
        30,
        "a",
        b"1",
    )
    assert [line.number for line in decided(progressed(1), progressed(2)).progress] == [1, 2]


@pytest.mark.parametrize(("told", "kept"), [(-5, 0), (0, 0), (100, 100), (70_000, 100)])
def test_a_percentage_is_one(told: int, kept: int) -> None:
    outcome = decided(progressed(percent=told))
    assert (outcome.settlements[ONE].percent, outcome.progress[0].percent) == (kept, kept)


def test_what_a_function_says_of_its_status_never_is_the_status() -> None:
    outcome = decided(progressed(status="success"))
    assert outcome.settlements[ONE].status is S.IN_PROGRESS
    assert outcome.progress[0].status == "success"


def test_the_last_word_of_a_success_is_not_the_progress_before_it() -> None:
    assert settlement(progressed(message="half way"), finished()).message is None


def test_printed_lines_go_to_the_log_and_settle_nothing() -> None:
    printed = Logged(execution_id=ONE, attempt=1, number=1, at=NOW, lines=b"[]")
    outcome = decided(printed)
    assert (outcome.settlements, outcome.progress, outcome.logs) == ({}, [], [printed])
