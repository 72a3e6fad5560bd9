"""Every version of every trigger, deleted ones too; written by the database itself (migration 0013)."""

from __future__ import annotations

import asyncpg

from backbone.model.errors import NotFound
from backbone.model.trigger_versions import Change, TriggerVersion, changes
from backbone.store import definitions
from backbone.store.columns import text
from backbone.store.queries import sql

NEWEST = 2**31 - 1
"""Larger than every version: where a list begins."""


async def act_as(connection: asyncpg.Connection, actor: str) -> None:
    """What the transaction changes from now on is told to be this person's."""
    await connection.execute(sql("trigger_version/act as"), text(actor))


async def history(connection: asyncpg.Pool, trigger_id: str, before: int, limit: int) -> list[Change]:
    """The changes that led to the versions before `before`, newest first. Raises NotFound for what never was."""
    rows = await connection.fetch(sql("trigger_version/history"), trigger_id, before, limit + 1)
    if not rows and before == NEWEST:
        raise NotFound("trigger", trigger_id)
    return changes([version_from_row(row) for row in rows])[:limit]


def version_from_row(row: asyncpg.Record) -> TriggerVersion:
    return TriggerVersion(
        trigger=definitions.trigger_from_row(row),
        at=row["kept_at"],
        until=row["kept_until"],
        actor=row["kept_by"],
        deleted=row["deleted"],
    )
