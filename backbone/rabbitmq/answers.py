"""Dispatchers answer what agents ask over RabbitMQ (`backbone.store.leases` knows the answers).

Every dispatcher does. Questions that wait together are answered together, one statement a kind.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from backbone.model import requests
from backbone.model.errors import Unavailable
from backbone.model.requests import Request
from backbone.rabbitmq import asking, rights, topology
from backbone.rabbitmq.connection import Rabbit, unavailable
from backbone.rabbitmq.consumer import Consumer
from backbone.rabbitmq.deliveries import Delivery
from backbone.rabbitmq.publisher import written
from backbone.rabbitmq.topology import Topology
from backbone.store import leases
from backbone.store.database import Database
from backbone.store.leases import Asked

BATCH = 100


async def run(database: Database, rabbit: Rabbit, *, own_users: bool = False) -> None:
    """For ever. Raises when either server is lost. `own_users`: each service has one, and asks as that and no other."""
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
            answers = await leases.answer(connection, [_asked(*one, own_users) for one in questions])
            await rabbit.publishing.unblocked()
            if replies.is_closed:
                raise Unavailable("RabbitMQ", "the connection was lost")
            messages = [asking.answered(one, found) for (one, _), found in zip(questions, answers, strict=True)]
            with unavailable():
                await replies.write_queue.put(written(replies, messages))
            await asked.acknowledge([one for one, _ in questions])


def _asked(question: Delivery, request: Request, own_users: bool) -> Asked:
    service_id = rights.service_of(question.user_id)
    return Asked(request, leases.NOBODY if service_id is None and own_users else service_id)


async def _read(asked: Consumer, deliveries: Sequence[Delivery]) -> list[tuple[Delivery, Request]]:
    questions = []
    for delivery in deliveries:
        try:
            questions.append((delivery, requests.decode_request(delivery.body)))
        except msgspec.MsgspecError as error:
            await asked.set_aside(delivery, "agents", str(error))
    return questions
