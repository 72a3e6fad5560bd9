"""The life of an execution, drawn once.

    created ──► queued ──► in-progress ──► one of the six ends
       ▲           │            │                │
       └───────────┴────────────┴────────────────┘
        given back   tried again   rerun, by a person

The ends: success, failed, aborted, terminated, canceled, system-failure. What has not begun may end too: canceled or
terminated by a person, failed when nobody can run it. A queue in another server may be quicker than the word that it
has the item: then `created` goes to `in-progress` at once.

Every statement that changes a status says in its WHERE the states it may leave; `docs/states.md` holds the table.
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

UNSUCCESSFUL = ENDED - {ExecutionStatus.SUCCESS}

TRANSITIONS: dict[ExecutionStatus, frozenset[ExecutionStatus]] = {
    ExecutionStatus.CREATED: ENDED | {ExecutionStatus.QUEUED, ExecutionStatus.IN_PROGRESS},
    ExecutionStatus.QUEUED: ENDED | {ExecutionStatus.IN_PROGRESS, ExecutionStatus.CREATED},
    ExecutionStatus.IN_PROGRESS: ENDED | {ExecutionStatus.CREATED},
    **{ended: frozenset({ExecutionStatus.CREATED}) for ended in ENDED},
}
"""From each status to those that may follow. Leaving an ended one is a rerun, and only a person does that."""


def may_follow(new: ExecutionStatus, old: ExecutionStatus) -> bool:
    return new in TRANSITIONS[old]
