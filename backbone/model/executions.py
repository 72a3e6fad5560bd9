"""An execution: one invocation of a function, from the match (or the person) that asked for it to its outcome."""

from __future__ import annotations

from datetime import date, datetime
from uuid import UUID

import msgspec

from backbone.model.loops import LoopKind
from backbone.model.states import ExecutionStatus


class NewExecution(msgspec.Struct, frozen=True, kw_only=True):
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
    claim_prefix: str = ""  #: before the entity's id, where the trigger meets entities of several projects
    came_by: bytes | None  #: JSON of the chain that led to its event, None for an event that nothing led to
    input: bytes | None
    trigger_version: int | None = None  #: of the trigger that matched

    @property
    def pair(self) -> str:
        """The entity, as it is told apart from those of other projects where the trigger meets them too."""
        return self.claim_prefix + self.entity_id


class StoppedMatch(msgspec.Struct, frozen=True, kw_only=True):
    """What the guard did not let through, and the chain that shows why."""

    execution: NewExecution  #: what it would have become, and becomes when somebody lets it go on
    kind: LoopKind
    loop: str  #: which loop of this kind and this trigger: all that it stops are one incident
    reason: str
    causation: bytes


_stored = msgspec.msgpack.Decoder(NewExecution)


def encode_new(execution: NewExecution) -> bytes:
    return msgspec.msgpack.encode(execution)


def decode_new(stored: bytes) -> NewExecution:
    return _stored.decode(stored)


class Settlement(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of one execution after the reports of one batch about one of its attempts. Its start and its end
    are written to the status log with it."""

    id: UUID
    attempt: int
    status: ExecutionStatus
    next_attempt: int  #: the same, or one more where it is tried again
    due: datetime | None = None  #: when it is to be put in the queue again
    started_at: datetime | None = None
    ended_at: datetime | None = None
    ended_as: str | None = None  #: how the attempt ended; the execution itself may go on to another
    duration: float | None = None
    percent: int | None = None
    output: bytes | None = None
    message: str | None = None
    traceback: str | None = None


class StatusLine(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the append-only log. `number` is unique in its attempt, so that a line told twice is one: 0 is the
    start of the attempt, 999,999,999 its end."""

    execution_id: UUID
    attempt: int
    number: int
    at: datetime
    status: str
    percent: int | None = None
    message: str | None = None
    output: bytes | None = None
