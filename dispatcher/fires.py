"""Which of a Cron trigger's due fires come, which are missed and why, and when the next one is. Pure.

A fire that comes at most `ON_TIME` late is on time: a restart of ours is not the user's business. Older ones are
missed, and the trigger's `misfire` says which of them are made up. Its `overlap` then says what may run beside what.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from operator import itemgetter

from backbone.model import schedules
from backbone.model.fires import DueTrigger, Missed, MissedReason, Missing, Turn
from backbone.model.schedules import Misfire, Overlap

ON_TIME = timedelta(seconds=30)

MADE_UP_WITHIN = {Misfire.SKIP: ON_TIME, Misfire.ONE: timedelta(hours=1), Misfire.ALL: timedelta(days=1)}
"""How late a fire may be that still comes. Not more than a day: executions have their place by their day."""

MOST_MADE_UP = 100
MOST_WAITING = 100

COUNTED = 1_000
"""Fires in a row that are looked at from the first one on; then only those that may still come are."""


def decide(due: Iterable[DueTrigger], now: datetime) -> list[Turn]:
    return [_turn(trigger, now) for trigger in due]


def _turn(trigger: DueTrigger, now: datetime) -> Turn:
    past, next_fire = _past(trigger, now)
    coming = _coming(trigger, past, now)
    going_on = len(set(trigger.running) - trigger.ended)
    fires = _let_in(trigger, coming, going_on)
    missed, missing = _missed(trigger, past, coming, fires)
    return Turn(
        trigger=trigger,
        fires=tuple(fires),
        waiting=len(fires) - (0 if going_on else 1) if trigger.schedule.overlap is Overlap.QUEUE and fires else 0,
        missed=tuple(missed),
        missing=missing,
        next_fire=next_fire,
        due=schedules.due_at(trigger.schedule, trigger.id, next_fire),
    )


def _past(trigger: DueTrigger, now: datetime) -> tuple[list[datetime], datetime | None]:
    """The fires that are due, oldest first, and the first one that is not. Of very many some in the middle are left
    out, which are too old to come."""
    past: list[datetime] = []
    fire: datetime | None = trigger.next_fire
    while fire is not None and _lateness(trigger, fire, now) >= timedelta(0):
        past.append(fire)
        if len(past) == COUNTED:
            too_old = MADE_UP_WITHIN[trigger.schedule.misfire] + trigger.schedule.jitter + timedelta(seconds=1)
            fire = max(fire, now - too_old)
        fire = schedules.next_fire(trigger.schedule, fire)
    return past, fire


def _coming(trigger: DueTrigger, past: Sequence[datetime], now: datetime) -> list[datetime]:
    """Those that are on time, or made up. `one`: a fire that is on time stands for the missed ones, too."""
    if not (trigger.active and trigger.service_active):
        return []
    misfire = trigger.schedule.misfire
    recent = [fire for fire in past if _lateness(trigger, fire, now) <= MADE_UP_WITHIN[misfire]]
    if misfire is Misfire.ONE:
        return [fire for fire in recent if _lateness(trigger, fire, now) <= ON_TIME] or recent[-1:]
    return recent[-MOST_MADE_UP:]


def _let_in(trigger: DueTrigger, coming: Sequence[datetime], going_on: int) -> list[datetime]:
    if trigger.schedule.overlap is Overlap.SKIP:
        return list(coming[: 0 if going_on else 1])
    if trigger.schedule.overlap is Overlap.QUEUE:
        return list(coming[: max(0, MOST_WAITING - going_on)])
    return list(coming)


def _missed(
    trigger: DueTrigger, past: Sequence[datetime], coming: Sequence[datetime], fires: Sequence[datetime]
) -> tuple[list[Missed], Missing | None]:
    """What is missed for one reason in a row is one, also with what was missed before."""
    if len(fires) == len(past):
        return [], None
    held_up, came = set(coming), set(fires)
    verdicts = [(fire, None if fire in came else _reason(trigger, fire in held_up)) for fire in past]
    missing, missed = trigger.missing, []
    for reason, streak in groupby(verdicts, key=itemgetter(1)):
        if reason is None:
            missing = None
            continue
        times = [fire for fire, _ in streak]
        if missing is None or missing.reason is not reason:
            missing = Missing(since=times[0], reason=reason)
        missed.append(
            Missed(trigger_id=trigger.id, first=missing.since, last=times[-1], fires=len(times), reason=reason)
        )
    return missed, missing


def _reason(trigger: DueTrigger, held_up: bool) -> MissedReason:
    if not trigger.active:
        return MissedReason.PAUSED
    if not trigger.service_active:
        return MissedReason.SERVICE_PAUSED
    return MissedReason.OVERLAP if held_up else MissedReason.DOWNTIME


def _lateness(trigger: DueTrigger, fire: datetime, now: datetime) -> timedelta:
    return now - fire - schedules.delay(trigger.schedule, trigger.id, fire)
