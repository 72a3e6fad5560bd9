"""Days: the tables that grow are cut by day, so that the past is dropped in milliseconds."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta

import asyncpg

from backbone.model import ids
from backbone.store.queries import sql

AHEAD = timedelta(days=7)
"""How far ahead days are made. A machine whose upkeep slept less than this loses nothing."""

HASHES_A_ROW = 200
REMEMBERED = timedelta(days=90)
"""How long it is known of a removed event that it was there: 8 bytes an event."""

_BY_DAY = ("event",)
_BY_EXECUTION = ("execution", "status_line", "log_chunk")
_LOCK = 0x7472_6170
_LOCK_PATIENCE = "200ms"

log = logging.getLogger(__name__)


async def ensure(connection: asyncpg.Connection, today: date | None = None) -> None:
    """Make the days from yesterday (a batch may straddle midnight) to `AHEAD`. May be called at any time by anybody."""
    today = today or datetime.now(UTC).date()
    days = [today + timedelta(days=ahead) for ahead in range(-1, AHEAD.days + 1)]
    if not await _missing(connection, days):
        return
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
        for table, day in await _missing(connection, days):
            await _make(connection, table, day)


async def _missing(connection: asyncpg.Connection, days: Sequence[date]) -> list[tuple[str, date]]:
    have = {row["relname"] for row in await connection.fetch("SELECT relname FROM pg_class WHERE relkind = 'r'")}
    return [(table, day) for day in days for table in (*_BY_DAY, *_BY_EXECUTION) if _name(table, day) not in have]


async def _make(connection: asyncpg.Connection, table: str, day: date) -> None:
    """Made beside the table and then attached: CREATE ... PARTITION OF would wait for every statement that is at work
    on the table, be it a backup of hours, and all that come after would wait behind it."""
    name = _name(table, day)
    low, high = _bounds(table, day)
    storage = ", ".join(f"{option} = {value}" for option, value in _storage(table).items())
    await connection.execute(
        f"CREATE TABLE {name} (LIKE {table} INCLUDING DEFAULTS INCLUDING STORAGE) WITH ({storage})"
    )
    await connection.execute(f"ALTER TABLE {table} ATTACH PARTITION {name} FOR VALUES FROM ('{low}') TO ('{high}')")


def _storage(table: str) -> dict[str, float]:
    """A day grows by a fifth every few seconds, and would be looked through as often. What is only added to needs no
    vacuum before it is dropped; our plans do not go by its statistics, and people's may be a while behind."""
    growing = {"autovacuum_analyze_threshold": 100_000, "autovacuum_analyze_scale_factor": 1}
    if table == "execution":
        # The first update of a row finds room beside it, so that no index is touched.
        return {
            **growing,
            "fillfactor": 50,
            "autovacuum_vacuum_scale_factor": 1,
            "autovacuum_vacuum_insert_threshold": -1,
        }
    return {**growing, "autovacuum_vacuum_insert_threshold": -1}


async def drop_before(connection: asyncpg.Connection, oldest: date, *, log_in_store: bool = True) -> list[date]:
    """Drop the days before `oldest` and return them. A day stays while one of its executions has not ended or, where
    the events are the log, one of them has not been read."""
    rows = await connection.fetch(
        "SELECT relname FROM pg_class JOIN pg_inherits ON inhrelid = oid WHERE inhparent = 'execution'::regclass"
    )
    days = sorted(datetime.strptime(row["relname"][-8:], "%Y%m%d").date() for row in rows)
    past = [day for day in days if day < oldest]
    dropped = [day for day in past if not await _needed(connection, day, log_in_store) and await _drop(connection, day)]
    if dropped:
        # A person may have asked for a rerun in the moment between the look and the drop.
        await connection.execute(sql("work/forget pending"))
    return dropped


async def _needed(connection: asyncpg.Connection, day: date, log_in_store: bool) -> bool:
    return bool(
        await connection.fetchval(
            f"SELECT EXISTS (SELECT FROM {_name('execution', day)} WHERE status < 'success')"
            f" OR $1 AND EXISTS (SELECT FROM {_name('event', day)} AS event, reader"
            "                    WHERE (event.xid, event.seq) > (reader.xid, reader.seq))",
            log_in_store,  # a reader of the time before Kafka would keep every day
        )
    )


async def _drop(connection: asyncpg.Connection, day: date) -> bool:
    try:
        async with connection.transaction():
            # Whoever comes while we wait waits behind us: so not for long, and the next time again.
            await connection.execute(f"SET LOCAL lock_timeout = '{_LOCK_PATIENCE}'")
            await _remember(connection, day)
            for table in (*_BY_DAY, *_BY_EXECUTION):
                await connection.execute(f"DROP TABLE IF EXISTS {_name(table, day)}")
    except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError):
        log.info("day is in use, pruned another time", extra={"day": day.isoformat()})
        return False
    log.info("day pruned", extra={"day": day.isoformat()})
    return True


async def _remember(connection: asyncpg.Connection, day: date) -> None:
    """Which events the day had, so that an explanation can tell what was removed from what never came."""
    await connection.execute(
        f"""
        INSERT INTO removed_events (day, first, hashes)
        SELECT $1, min(hash), string_agg(int8send(hash), '' ORDER BY hash)
        FROM (
            SELECT hash, (row_number() OVER (ORDER BY hash) - 1) / $2 AS part
            FROM (SELECT hashtextextended(id, 0) AS hash FROM {_name("event", day)}) AS event
        ) AS numbered
        GROUP BY part
        """,
        day,
        HASHES_A_ROW,
    )
    await connection.execute("DELETE FROM removed_events WHERE day < $1", day - REMEMBERED)


def _name(table: str, day: date) -> str:
    return f"{table}_{day:%Y%m%d}"


def _bounds(table: str, day: date) -> tuple[str, str]:
    following = day + timedelta(days=1)
    if table in _BY_DAY:
        return day.isoformat(), following.isoformat()
    midnight, next_midnight = (datetime.combine(moment, time(), UTC) for moment in (day, following))
    return str(ids.partition_floor(midnight)), str(ids.partition_floor(next_midnight))
