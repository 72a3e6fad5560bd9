"""Dispatchers answer what agents ask, from PostgreSQL: which attempts they may begin, and which are to be ended.

Every dispatcher does. Questions that wait together are answered together, one statement a kind.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import asyncpg
import msgspec

from backbone.model import requests
from backbone.model.errors import Unavailable
from backbone.model.requests import Beat, Leave, Request, Take
from backbone.rabbitmq import asking, topology
from backbone.rabbitmq.connection import Rabbit, unavailable
from backbone.rabbitmq.consumer import Consumer
from backbone.rabbitmq.deliveries import Delivery
from backbone.rabbitmq.publisher import written
from backbone.rabbitmq.topology import Topology
from backbone.store.database import Database
from backbone.store.queries import sql

BATCH = 100

Found = dict[UUID, list[UUID]]


async def run(database: Database, rabbit: Rabbit) -> None:
    """For ever. Raises when either server is lost."""
    await Topology(rabbit.publishing).shared()
    # Durable: a lease that is forgotten would let a second agent begin what the first runs.
    async with (
        database.lane(hashes=True) as connection,
        await Consumer.open(rabbit.consuming, topology.AGENTS) as asked,
    ):
        replies = await rabbit.publishing.channel()
        await asked.consume(2 * BATCH)
        while True:
            questions = await _read(asked, await asked.next(BATCH))
            answers = await answer(connection, [request for _, request in questions])
            await rabbit.publishing.unblocked()
            if replies.is_closed:
                raise Unavailable("RabbitMQ", "the connection was lost")
            messages = [asking.answered(one, found) for (one, _), found in zip(questions, answers, strict=True)]
            with unavailable():
                await replies.write_queue.put(written(replies, messages))
            await asked.acknowledge([one for one, _ in questions])


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
    found: Found = {}
    for row in await connection.fetch(sql("work/to terminate"), sessions):
        found.setdefault(row["session_id"], []).append(row["id"])
    return found


async def _read(asked: Consumer, deliveries: Sequence[Delivery]) -> list[tuple[Delivery, Request]]:
    questions = []
    for delivery in deliveries:
        try:
            questions.append((delivery, requests.decode_request(delivery.body)))
        except msgspec.MsgspecError as error:
            await asked.set_aside(delivery, "agents", str(error))
    return questions
