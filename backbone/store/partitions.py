"""Days: the tables that grow are cut by day, so that the past is dropped in milliseconds."""

from __future__ import annotations

import logging
from datetime import UTC, date, datetime, time, timedelta

import asyncpg

from backbone.model import ids

AHEAD = timedelta(days=7)
"""How far ahead days are made. A machine whose upkeep slept less than this loses nothing."""

_BY_DAY = ("event",)
_BY_EXECUTION = ("execution", "status_log", "log_chunk")
_LOCK = 0x7472_6170

log = logging.getLogger(__name__)


async def ensure(connection: asyncpg.Connection, today: date | None = None) -> None:
    """Make the days from yesterday (a batch may straddle midnight) to `AHEAD`. May be called at any time by anybody."""
    today = today or datetime.now(UTC).date()
    have = {row["relname"] for row in await connection.fetch("SELECT relname FROM pg_class WHERE relkind = 'r'")}
    days = [today + timedelta(days=ahead) for ahead in range(-1, AHEAD.days + 1)]
    wanted = [(table, day) for day in days for table in (*_BY_DAY, *_BY_EXECUTION) if _name(table, day) not in have]
    if not wanted:
        return
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
        for table, day in wanted:
            low, high = _bounds(table, day)
            # The first update of a row finds room beside it, so that no index is touched.
            storage = " WITH (fillfactor = 70)" if table == "execution" else ""
            await connection.execute(
                f"CREATE TABLE IF NOT EXISTS {_name(table, day)} PARTITION OF {table} "
                f"FOR VALUES FROM ('{low}') TO ('{high}'){storage}"
            )


async def drop_before(connection: asyncpg.Connection, oldest: date) -> list[date]:
    """Drop the days before `oldest`, except days on which some execution has not ended; return those dropped."""
    rows = await connection.fetch(
        "SELECT relname FROM pg_class JOIN pg_inherits ON inhrelid = oid WHERE inhparent = 'execution'::regclass"
    )
    dropped = []
    for day in sorted(datetime.strptime(row["relname"][-8:], "%Y%m%d").date() for row in rows):
        if day >= oldest or await _unfinished(connection, day):
            continue
        async with connection.transaction():
            for table in (*_BY_DAY, *_BY_EXECUTION):
                await connection.execute(f"DROP TABLE IF EXISTS {_name(table, day)}")
        log.info("day pruned", extra={"day": day.isoformat()})
        dropped.append(day)
    return dropped


async def _unfinished(connection: asyncpg.Connection, day: date) -> bool:
    found = await connection.fetchval(f"SELECT EXISTS (SELECT FROM {_name('execution', day)} WHERE status < 'success')")
    return bool(found)


def _name(table: str, day: date) -> str:
    return f"{table}_{day:%Y%m%d}"


def _bounds(table: str, day: date) -> tuple[str, str]:
    following = day + timedelta(days=1)
    if table in _BY_DAY:
        return day.isoformat(), following.isoformat()
    midnight, next_midnight = (datetime.combine(moment, time(), UTC) for moment in (day, following))
    return str(ids.partition_floor(midnight)), str(ids.partition_floor(next_midnight))
