"""Fires: the moments at which Cron triggers run, those that come and those that are missed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from backbone.model.schedules import Schedule


class MissedReason(StrEnum):
    DOWNTIME = "downtime"  #: nobody was there to make it, and the trigger's `misfire` does not make it up
    OVERLAP = "overlap"  #: an execution of the trigger went on, and its `overlap` lets no other begin
    PAUSED = "paused"
    SERVICE_PAUSED = "service-paused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """Fires that are being missed, one after the other for the same reason."""

    since: datetime
    reason: MissedReason


@dataclass(frozen=True, slots=True, kw_only=True)
class DueTrigger:
    """A Cron trigger whose next fire is due."""

    id: str
    version: int  #: of the schedule
    schedule: Schedule
    next_fire: datetime
    active: bool
    service_active: bool
    running: tuple[UUID, ...]  #: its executions that may go on still
    ended: frozenset[UUID]  #: those among them that have ended
    missing: Missing | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Missed:
    """`fires` is at least how many there were, where they were too many to be counted."""

    trigger_id: str
    first: datetime
    last: datetime
    fires: int
    reason: MissedReason


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """What becomes of a trigger's due fires, and when the next one is."""

    trigger: DueTrigger
    fires: tuple[datetime, ...]  #: those that come
    waiting: int  #: how many of these, the last ones, wait for the one before them
    missed: tuple[Missed, ...]
    missing: Missing | None  #: what goes on after this turn
    next_fire: datetime | None
    due: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MissedFires:
    """As people look at them."""

    trigger_id: str
    trigger_name: str | None  #: None when the trigger was deleted
    project_id: str | None
    first: datetime
    last: datetime
    fires: int
    reason: str
