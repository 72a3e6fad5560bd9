"""The matches that the guard stopped, and what the parts say of themselves."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import asyncpg

from backbone.model import causation
from backbone.model.causation import Link
from backbone.store.queries import sql

SILENT = 5.0
"""Seconds after which a part that says nothing is taken to be gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    at: datetime
    reason: str
    trigger_id: str
    trigger_name: str | None  #: None when the trigger was deleted
    event_id: str
    entity_id: str
    project_id: str
    chain: tuple[Link, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    name: str
    role: str
    ready: bool
    detail: str


async def newest(connection: asyncpg.Pool, project_id: str | None, limit: int) -> list[Incident]:
    return [
        Incident(
            at=row["at"],
            reason=row["reason"],
            trigger_id=row["trigger_id"],
            trigger_name=row["trigger_name"],
            event_id=row["event_id"],
            entity_id=row["entity_id"],
            project_id=str(row["project_id"]),
            chain=causation.decode(row["causation"]).chain,
        )
        for row in await connection.fetch(sql("incident/list stopped"), project_id, limit)
    ]


async def trigger_names(connection: asyncpg.Pool, trigger_ids: list[str]) -> dict[str, str]:
    """Of those that are still there."""
    rows = await connection.fetch(sql("incident/trigger names"), trigger_ids)
    return {row["id"]: row["name"] for row in rows}


async def parts(connection: asyncpg.Pool) -> list[Part]:
    return [
        Part(
            name=row["name"],
            role=row["role"],
            ready=row["ready"] and row["silence"] <= SILENT,
            detail=row["detail"] if row["silence"] <= SILENT else f"silent for {row['silence']:.0f} s",
        )
        for row in await connection.fetch(sql("incident/parts"))
    ]
