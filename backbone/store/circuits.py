"""Circuits: what is suspect of being a loop, what is held meanwhile, and what goes on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import asyncpg

from backbone.model.executions import NewExecution, decode_new
from backbone.model.loops import LoopKind
from backbone.store.queries import sql


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    trigger_id: str
    kind: LoopKind
    loop: str
    state: str
    rate: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Undecided(Known):
    """Locked until the transaction ends. Times are seconds since 1970."""

    project_id: str
    since: float
    now: float
    opened: int
    closed: int
    witnesses: list[UUID]
    reason: str
    causation: bytes


@dataclass(frozen=True, slots=True)
class HeldMatch:
    project_id: str
    event_id: str
    execution: NewExecution


async def suspect(
    connection: asyncpg.Connection,
    key: tuple[str, LoopKind, str],
    project_id: str,
    rate: float,
    witnesses: Sequence[UUID],
    reason: str,
    causation: bytes,
) -> bool:
    """Hold what matches from now on; False where that is done already, or the trigger allows everything."""
    return bool(
        await connection.fetchval(
            sql("circuit/suspect"), *_key(key), project_id, rate, list(witnesses), reason, causation
        )
    )


async def known(connection: asyncpg.Connection) -> list[Known]:
    return [
        Known(**{**dict(row), "kind": LoopKind(row["kind"])}) for row in await connection.fetch(sql("circuit/known"))
    ]


async def allowed(connection: asyncpg.Connection) -> list[tuple[str, LoopKind, str]]:
    rows = await connection.fetch(sql("circuit/allowed"))
    return [(row["trigger_id"], LoopKind(row["kind"]), row["loop"]) for row in rows]


async def lock_undecided(connection: asyncpg.Connection, limit: int) -> list[Undecided]:
    """Those about which something may be found out now; each by one at a time, until the transaction ends."""
    return [
        Undecided(**{**dict(row), "kind": LoopKind(row["kind"]), "project_id": str(row["project_id"])})
        for row in await connection.fetch(sql("circuit/lock undecided"), limit)
    ]


async def runs(
    connection: asyncpg.Connection, execution_ids: Sequence[UUID]
) -> dict[UUID, tuple[float | None, float | None]]:
    """When each began and ended, as far as they are there, and did."""
    rows = await connection.fetch(sql("circuit/runs"), list(execution_ids))
    return {row["id"]: (row["started"], row["ended"]) for row in rows}


async def arrivals(connection: asyncpg.Connection, key: tuple[str, LoopKind, str], limit: int) -> list[float]:
    """When the newest events of what is held were received."""
    return [row["received"] for row in await connection.fetch(sql("circuit/arrivals"), *_key(key), limit)]


async def remember_witnesses(
    connection: asyncpg.Connection, key: tuple[str, LoopKind, str], witnesses: Sequence[UUID]
) -> None:
    await connection.execute(sql("circuit/remember witnesses"), *_key(key), list(witnesses))


async def move(
    connection: asyncpg.Connection,
    key: tuple[str, LoopKind, str],
    state: str,
    lasts: timedelta | None,
    witnesses: Sequence[UUID],
    rate: float,
) -> None:
    await connection.execute(sql("circuit/move"), *_key(key), state, lasts, list(witnesses), rate)


async def raise_incident(connection: asyncpg.Connection, of: Undecided) -> bool:
    """Whether it is a new one."""
    return bool(
        await connection.fetchval(
            sql("circuit/raise"), of.trigger_id, of.project_id, of.kind.value, of.loop, of.reason, of.causation
        )
    )


async def next_held(connection: asyncpg.Connection, key: tuple[str, LoopKind, str], limit: int) -> list[HeldMatch]:
    """The oldest that this circuit holds, locked."""
    return [_held(row) for row in await connection.fetch(sql("circuit/next held"), *_key(key), limit)]


async def next_going_on(connection: asyncpg.Connection, limit: int) -> list[HeldMatch]:
    """The oldest that wait and that no circuit holds, locked."""
    return [_held(row) for row in await connection.fetch(sql("circuit/next going on"), limit)]


async def went_on(connection: asyncpg.Connection, held: Sequence[HeldMatch]) -> None:
    await connection.execute(
        sql("circuit/went on"),
        [one.execution.trigger_id for one in held],
        [one.project_id for one in held],
        [one.event_id for one in held],
    )


async def live_triggers(connection: asyncpg.Connection, trigger_ids: set[str]) -> set[str]:
    return {row["id"] for row in await connection.fetch(sql("circuit/live triggers"), list(trigger_ids))}


async def forget(connection: asyncpg.Connection) -> None:
    """Those that are closed and remembered no more."""
    await connection.execute(sql("circuit/forget"))


def _key(key: tuple[str, LoopKind, str]) -> tuple[str, str, str]:
    return key[0], key[1].value, key[2]


def _held(row: asyncpg.Record) -> HeldMatch:
    return HeldMatch(str(row["project_id"]), row["event_id"], decode_new(row["execution"]))
