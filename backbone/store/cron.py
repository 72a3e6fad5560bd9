"""Cron triggers in PostgreSQL: where each schedule has come to, what was fired, what was missed."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TypeAlias
from uuid import UUID

import asyncpg
import msgspec

from backbone.model import ids, schedules
from backbone.model.errors import Invalid, NotFound
from backbone.model.fires import DueTrigger, MissedFires, MissedReason, Missing, Turn
from backbone.model.schedules import Overlap, Schedule
from backbone.store.columns import Kinds
from backbone.store.queries import sql

Connection: TypeAlias = "asyncpg.Connection | asyncpg.Pool"


PARKED = timedelta(hours=1)

log = logging.getLogger(__name__)


async def set_schedule(connection: Connection, trigger_id: str, schedule: Schedule, now: datetime) -> None:
    """The trigger goes by this schedule from now on. In the transaction that stores it."""
    fire = schedules.next_fire(schedule, now)
    await connection.execute(sql("cron/set"), trigger_id, fire, schedules.due_at(schedule, trigger_id, fire))


async def due(connection: asyncpg.Connection, now: datetime, limit: int) -> list[DueTrigger]:
    """Those whose next fire is due, the most overdue first."""
    rows = await connection.fetch(sql("cron/due"), now, limit)
    read = _readable(rows)
    if unreadable := [row["trigger_id"] for row in rows if row["trigger_id"] not in read]:
        await connection.execute(sql("cron/park"), unreadable, now + PARKED)
    rows = [row for row in rows if row["trigger_id"] in read]
    matters = [id for row in rows if read[row["trigger_id"]].overlap is not Overlap.ALLOW for id in row["running"]]
    ended = frozenset(row["id"] for row in await connection.fetch(sql("cron/ended"), matters)) if matters else None
    return [_due_trigger(row, read[row["trigger_id"]], ended or frozenset()) for row in rows]


def _readable(rows: Sequence[asyncpg.Record]) -> dict[str, Schedule]:
    """Schedules are checked when they are made; one that an older version let in, or whose time zone this machine does
    not know, must not stop the others."""
    read: dict[str, Schedule] = {}
    for row in rows:
        try:
            read[row["trigger_id"]] = schedules.from_stored(row["schedule"])
        except (Invalid, msgspec.MsgspecError) as error:
            log.error(
                "trigger left out, its schedule is wrong", extra={"trigger": row["trigger_id"], "reason": str(error)}
            )
    return read


def _due_trigger(row: asyncpg.Record, schedule: Schedule, ended: frozenset[UUID]) -> DueTrigger:
    reason = row["missing_reason"]
    return DueTrigger(
        id=row["trigger_id"],
        version=row["version"],
        schedule=schedule,
        next_fire=row["next_fire"],
        active=row["active"],
        service_active=row["service_active"],
        running=tuple(row["running"]),
        # Where executions may overlap, only the latest is kept in mind, for the day when they may not any more.
        ended=frozenset(row["running"]) if schedule.overlap is Overlap.ALLOW else ended.intersection(row["running"]),
        missing=None if reason is None else Missing(since=row["missing_since"], reason=MissedReason(reason)),
    )


async def carry_out(connection: asyncpg.Connection, turns: Sequence[Turn], *, queue_too: bool) -> dict[str, int]:
    """Make the fires, note the missed ones and move the triggers on, all or nothing; return how many fires nobody made
    before, by service. Also with two who try."""
    turns = sorted(turns, key=lambda turn: turn.trigger.id)  # two of us lock in one order
    made = [_execution_ids(turn) for turn in turns]
    missed = [one for turn in turns for one in turn.missed]
    kinds = Kinds()
    numbers = [
        kinds.number(
            turn.trigger.version,
            turn.trigger.next_fire,
            turn.next_fire,
            turn.due,
            turn.fires[-1] if turn.fires else None,
            turn.missing.since if turn.missing else None,
            turn.missing.reason.value if turn.missing else None,
        )
        for turn in turns
    ]
    rows = await connection.fetch(
        sql("cron/fire"),
        [turn.trigger.id for turn in turns],
        numbers,
        [_array(sorted(turn.trigger.ended)) for turn in turns],
        [_array(now) for now, _ in made],
        [_array(later) for _, later in made],
        *kinds.columns(),
        queue_too,
        [one.trigger_id for one in missed],
        [one.first for one in missed],
        [one.last for one in missed],
        [one.fires for one in missed],
        [one.reason.value for one in missed],
    )
    return {row["service_id"]: row["fires"] for row in rows}


def _execution_ids(turn: Turn) -> tuple[list[UUID], list[UUID]]:
    """Of what runs now, and of what waits."""
    trigger_id = turn.trigger.id
    made = [ids.execution_id(fire, trigger_id, f"cron {fire.isoformat()}") for fire in turn.fires]
    now = len(made) - turn.waiting
    return made[:now], made[now:]


def _array(ids_: Sequence[UUID]) -> str:
    """PostgreSQL has no arrays of arrays of unlike length; this is one's text."""
    return "{" + ",".join(map(str, ids_)) + "}"


async def seconds_to_next(connection: asyncpg.Connection, now: datetime) -> float | None:
    """None when no fire is to come."""
    seconds: float | None = await connection.fetchval(sql("cron/next due"), now)
    return seconds


async def release(connection: asyncpg.Connection) -> int:
    """Let those come whose turn it is, of what waits for another execution of its trigger; return how many."""
    return len(await connection.fetch(sql("cron/release")))


async def realign(connection: asyncpg.Connection, now: datetime, page: int) -> int:
    """Bring back the triggers whose next fire is farther away than it should be, by a clock that was ahead once; return
    how many. What was fired is not fired again: its executions are there."""
    after, brought_back = "", 0
    while rows := await connection.fetch(sql("cron/page"), after, page):
        after = rows[-1]["trigger_id"]
        found = []
        read = _readable(rows)
        for trigger_id, version, next_fire, _ in rows:
            schedule = read.get(trigger_id)
            fire = None if schedule is None else schedules.next_fire(schedule, now)
            if schedule is not None and fire is not None and next_fire is not None and fire < next_fire:
                found.append((trigger_id, version, fire, schedules.due_at(schedule, trigger_id, fire)))
        if found:
            await connection.execute(sql("cron/realign"), *map(list, zip(*found, strict=True)))
        brought_back += len(found)
    return brought_back


async def run_now(
    connection: Connection, trigger_id: str, now: datetime, creator: str, *, came_by: bytes | None, queue_too: bool
) -> UUID:
    """Run the trigger's function as a fire would, whether it is paused or not. Raises NotFound."""
    execution_id = ids.manual_execution_id(now)
    service_id = await connection.fetchval(sql("cron/run now"), trigger_id, execution_id, creator, queue_too, came_by)
    if service_id is None:
        raise NotFound("trigger", trigger_id)
    return execution_id


async def last_fire(connection: Connection, trigger_id: str) -> datetime | None:
    row = await connection.fetchrow(sql("cron/state"), trigger_id)
    return row["last_fire"] if row else None


async def missed(
    connection: Connection, trigger_id: str | None, project_id: str | None, limit: int
) -> list[MissedFires]:
    """The latest first."""
    return [
        MissedFires(
            trigger_id=row["trigger_id"],
            trigger_name=row["trigger_name"],
            project_id=None if row["project_id"] is None else str(row["project_id"]),
            first=row["first_fire"],
            last=row["last_fire"],
            fires=row["fires"],
            reason=row["reason"],
        )
        for row in await connection.fetch(sql("cron/missed"), trigger_id, project_id, limit)
    ]


async def prune_missed(connection: Connection, older_than: timedelta) -> None:
    await connection.execute(sql("cron/prune missed"), older_than)
