"""What agents ask who reach no database, answered from it: which attempts they may begin, and which are to be ended.

One implementation for every way that a question comes: over RabbitMQ by the dispatchers, and over HTTP by the gateway.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import asyncpg

from backbone.model.requests import Beat, Leave, Request, Take
from backbone.store.queries import sql

Found = dict[UUID, list[UUID]]


async def answer(connection: asyncpg.Connection, asked: Sequence[Request]) -> list[list[UUID]]:
    """To each: what is granted, or what is to be ended."""
    granted = await _lease(connection, [request for request in asked if isinstance(request, Take)])
    to_end = await _beat(connection, [request for request in asked if isinstance(request, Beat)])
    gone = [request.session for request in asked if isinstance(request, Leave)]
    if gone:
        await connection.execute(sql("work/leaves"), gone)
    return [_found(request, granted, to_end) for request in asked]


def _found(request: Request, granted: Found, to_end: Found) -> list[UUID]:
    if isinstance(request, Take):
        return granted.get(request.asking, [])
    if isinstance(request, Beat):
        return to_end.get(request.session, [])
    return []


async def _lease(connection: asyncpg.Connection, takes: Sequence[Take]) -> Found:
    """By asking."""
    wanted = [(take.asking, take.session, *attempt) for take in takes for attempt in take.attempts]
    if not wanted:
        return {}
    services = {take.asking: take.service_id for take in takes}
    found: Found = {}
    async with connection.transaction():
        leased = await connection.fetch(sql("work/lease"), *zip(*wanted, strict=True))
        executions, attempts = [row["execution_id"] for row in leased], [row["attempt"] for row in leased]
        rows = await connection.fetch(
            sql("work/startable"), executions, attempts, [services[row["asking"]] for row in leased]
        )
        await connection.execute(sql("work/forget begun"), executions, attempts)
        startable = {row["execution_id"] for row in rows}
        over = [row for row in leased if row["execution_id"] not in startable]
        if over:
            await connection.execute(
                sql("work/drop leases"), [row["execution_id"] for row in over], [row["attempt"] for row in over]
            )
    for row in leased:
        if row["execution_id"] in startable:
            found.setdefault(row["asking"], []).append(row["execution_id"])
    return found


async def _beat(connection: asyncpg.Connection, beats: Sequence[Beat]) -> Found:
    """By session."""
    if not beats:
        return {}
    sessions = [beat.session for beat in beats]
    await connection.execute(
        sql("work/beats"), sessions, [beat.service_id for beat in beats], [beat.lease for beat in beats]
    )
    untold = [(beat.session, execution_id) for beat in beats for execution_id in beat.untold]
    if untold:
        await connection.execute(sql("work/keep"), *zip(*untold, strict=True))
    found: Found = {}
    for row in await connection.fetch(sql("work/to terminate"), sessions):
        found.setdefault(row["session_id"], []).append(row["id"])
    return found
