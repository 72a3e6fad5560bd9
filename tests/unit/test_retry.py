"""When a failed attempt is tried again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.retry import RetryPolicy, may_try_again, next_due

NOW = datetime(2026, 1, 1, tzinfo=UTC)
EVEN = 0.5  # the chance that neither lengthens nor shortens


def pauses(policy: RetryPolicy, attempts: int) -> list[float]:
    return [(next_due(attempt, NOW, policy, EVEN) - NOW).total_seconds() for attempt in range(1, attempts + 1)]


def test_each_pause_is_longer_than_the_one_before_up_to_the_longest() -> None:
    policy = RetryPolicy(first=timedelta(seconds=2), factor=2, longest=timedelta(seconds=20))
    assert pauses(policy, 6) == [2, 4, 8, 16, 20, 20]


@given(st.integers(1, 32_767), st.floats(0, 1, exclude_max=True))
def test_every_attempt_that_there_can_be_has_its_time(attempt: int, chance: float) -> None:
    policy = RetryPolicy()
    pause = next_due(attempt, NOW, policy, chance) - NOW
    assert policy.first * 0.75 <= pause <= policy.longest * 1.25


def test_what_failed_together_does_not_come_back_together() -> None:
    policy = RetryPolicy(first=timedelta(seconds=8), jitter=0.25)
    dues = [(next_due(1, NOW, policy, chance) - NOW).total_seconds() for chance in (0, 0.5, 0.999_999)]
    assert dues == pytest.approx([6, 8, 10], abs=0.001)


def test_the_last_attempt_is_the_last() -> None:
    assert [may_try_again(attempt, 3) for attempt in (1, 2, 3, 4)] == [True, True, False, False]
