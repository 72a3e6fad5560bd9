"""An execution: one invocation of a function, from the match (or the person) that asked for it to its outcome."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from backbone.model.states import ExecutionStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class NewExecution:
    """What the guard let through, to be recorded."""

    id: UUID
    project_id: str
    service_id: str
    trigger_id: str
    function_name: str
    max_attempts: int
    event_day: date  #: the day it was received, where its row is found
    event_id: str
    resource: str
    action: str
    entity_id: str
    once: bool  #: claims (trigger, entity) for ever; otherwise the id itself claims (trigger, event)
    causation: bytes  #: JSON of the chain, this execution its last link
    input: bytes | None
    creator: str = "piper"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoppedMatch:
    """What the guard did not let through, and the chain that shows why."""

    trigger_id: str
    event_id: str
    project_id: str
    entity_id: str
    reason: str
    causation: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """What becomes of one execution after the reports of one batch about one of its attempts."""

    id: UUID
    attempt: int
    status: ExecutionStatus
    next_attempt: int  #: the same, or one more where it is tried again
    due: datetime | None = None  #: when it is to be put in the queue again
    started_at: datetime | None = None
    finished_at: datetime | None = None
    duration: float | None = None
    percent: int | None = None
    output: bytes | None = None
    message: str | None = None
    traceback: str | None = None


STARTED_LINE = 0
ENDED_LINE = 999_999_999
"""An attempt ends once: whoever says so first, the agent or the rescue, has this line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusLine:
    """One line of the append-only log. `number` is unique in its attempt, so that a line told twice is one."""

    execution_id: UUID
    attempt: int
    number: int
    at: datetime
    status: str
    percent: int | None = None
    message: str | None = None
    output: bytes | None = None
