"""The life of an execution, drawn once.

    created ──► queued ──► in-progress ──► success
       ▲           │            │     ├──► failed
       │           │            │     ├──► aborted
       │           │            │     ├──► terminated
       │           │            │     ├──► canceled
       │           │            │     └──► system-failure
       │           └────────────┴── (waiting for its next attempt) back to queued
       └── rerun ◄── any ended one

`transition` in the database holds the same table (migration 0001), and a test compares the two.
"""

from __future__ import annotations

from enum import StrEnum


class ExecutionStatus(StrEnum):
    """Spelled as the API spells it. The order is the order of the database's enum: a later one is further on."""

    CREATED = "created"
    QUEUED = "queued"
    IN_PROGRESS = "in-progress"
    SUCCESS = "success"
    FAILED = "failed"
    ABORTED = "aborted"
    TERMINATED = "terminated"
    CANCELED = "canceled"
    SYSTEM_FAILURE = "system-failure"


ENDED = frozenset(
    {
        ExecutionStatus.SUCCESS,
        ExecutionStatus.FAILED,
        ExecutionStatus.ABORTED,
        ExecutionStatus.TERMINATED,
        ExecutionStatus.CANCELED,
        ExecutionStatus.SYSTEM_FAILURE,
    }
)

TRANSITIONS: dict[ExecutionStatus, frozenset[ExecutionStatus]] = {
    ExecutionStatus.CREATED: frozenset({ExecutionStatus.QUEUED, ExecutionStatus.CANCELED}),
    ExecutionStatus.QUEUED: ENDED | {ExecutionStatus.IN_PROGRESS},
    ExecutionStatus.IN_PROGRESS: ENDED | {ExecutionStatus.CREATED, ExecutionStatus.QUEUED},
    **{ended: frozenset({ExecutionStatus.CREATED, ExecutionStatus.QUEUED}) for ended in ENDED},
}
"""From each status to those that may follow. Leaving an ended one is a rerun, and only a person does that."""


def may_follow(new: ExecutionStatus, old: ExecutionStatus) -> bool:
    return new in TRANSITIONS[old]
