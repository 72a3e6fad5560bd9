"""Fires: the moments at which Cron triggers run, those that come and those that are missed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

import msgspec

from backbone.model.schedules import Schedule


class MissedReason(StrEnum):
    DOWNTIME = "downtime"  #: nobody was there to make it, and the trigger's `misfire` does not make it up
    OVERLAP = "overlap"  #: an execution of the trigger went on, and its `overlap` lets no other begin
    PAUSED = "paused"
    SERVICE_PAUSED = "service-paused"


class Missing(msgspec.Struct, frozen=True, kw_only=True):
    """Fires that are being missed, one after the other for the same reason."""

    since: datetime
    reason: MissedReason


# Structs, as ten thousand may be due on one minute: frozen dataclasses take ten times as long to make.
class DueTrigger(msgspec.Struct, frozen=True, kw_only=True):
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


class Missed(msgspec.Struct, frozen=True, kw_only=True):
    """`fires` is at least how many there were, where they were too many to be counted."""

    trigger_id: str
    first: datetime
    last: datetime
    fires: int
    reason: MissedReason


class Turn(msgspec.Struct, frozen=True, kw_only=True):
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
