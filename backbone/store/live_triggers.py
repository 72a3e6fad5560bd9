"""The triggers as the engine follows them: those that are active and whose service is.

Whoever follows reads all of them by pages, and then what changed since. "Since" is a snapshot of the database's:
changes are written down with the number of their transaction, and new are those that the snapshot does not see. So a
transaction that commits late is not passed over, and nobody waits for one that is open.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from sys import intern
from typing import Any

import asyncpg
import msgspec

from backbone.model.loops import LoopProtection
from backbone.model.resources import ExecutionMode
from backbone.store.queries import sql


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveTriggerRow:
    """`version` grows with a change of the trigger or of its service."""

    id: str
    name: str
    version: int
    project_id: str | None
    service_id: str
    function_name: str
    resource: str
    actions: tuple[str, ...]
    filter: Any
    once: bool
    input: bytes | None
    max_attempts: int
    loop_protection: LoopProtection


async def snapshot(connection: asyncpg.Connection) -> str:
    """What is committed now. Take it before looking: what it does not see is then given by the next look."""
    return str(await connection.fetchval(sql("live_trigger/snapshot")))


async def changed_since(connection: asyncpg.Connection, snapshot_: str) -> list[str]:
    """Ids of triggers that were made, changed or deleted, they or their service; live or not."""
    return [row["id"] for row in await connection.fetch(sql("live_trigger/changed since"), snapshot_)]


async def forget_changes(connection: asyncpg.Connection, older_than: timedelta) -> None:
    await connection.execute(sql("live_trigger/forget changes"), older_than)


async def count(connection: asyncpg.Connection) -> int:
    return int(await connection.fetchval(sql("live_trigger/count")))


async def versions_after(connection: asyncpg.Connection, trigger_id: str, limit: int) -> dict[str, int]:
    """In the order of ids; fewer than `limit` at the end."""
    rows = await connection.fetch(sql("live_trigger/versions after"), trigger_id, limit)
    return {row["id"]: row["version"] for row in rows}


async def after(connection: asyncpg.Connection, trigger_id: str, limit: int) -> list[LiveTriggerRow]:
    """In the order of ids."""
    return [_from_row(row) for row in await connection.fetch(sql("live_trigger/after"), trigger_id, limit)]


async def by_id(connection: asyncpg.Connection, trigger_ids: Sequence[str]) -> list[LiveTriggerRow]:
    return [_from_row(row) for row in await connection.fetch(sql("live_trigger/by id"), trigger_ids)]


def _from_row(row: asyncpg.Record) -> LiveTriggerRow:
    # What many triggers share is kept once.
    return LiveTriggerRow(
        id=row["id"],
        name=row["name"],
        version=row["version"],
        project_id=None if row["project_id"] is None else intern(str(row["project_id"])),
        service_id=intern(row["service_id"]),
        function_name=intern(row["function_name"]),
        resource=intern(row["resource"]),
        actions=tuple(map(intern, row["actions"])),
        filter=msgspec.json.decode(row["filter"]),
        once=row["mode"] == ExecutionMode.ONCE,
        input=None if row["input"] == "{}" else row["input"].encode(),
        max_attempts=row["max_attempts"],
        loop_protection=LoopProtection(row["loop_protection"]),
    )
