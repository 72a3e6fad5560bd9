"""What becomes of an attempt that failed. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    first: timedelta = timedelta(seconds=2)
    factor: float = 2.0
    longest: timedelta = timedelta(minutes=5)
    jitter: float = 0.25
    """The share by which a pause is longer or shorter, so that what failed together does not come back together."""


def may_try_again(attempt: int, max_attempts: int) -> bool:
    return attempt < max_attempts


def next_due(attempt: int, now: datetime, policy: RetryPolicy, chance: float) -> datetime:
    """When the attempt after `attempt` (which counts from 1) is due; `chance` is in [0, 1)."""
    # Bounded before it is raised to a power, and in seconds: 2.0 ** 2000 and three billion days are errors and not
    # long times.
    steps = min(attempt - 1, 64)
    pause = min(policy.first.total_seconds() * policy.factor**steps, policy.longest.total_seconds())
    return now + timedelta(seconds=pause * (1 + policy.jitter * (2 * chance - 1)))
