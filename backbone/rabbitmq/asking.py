"""Agents ask the dispatchers: a question goes to the queue `agents`, its answer comes straight back (RabbitMQ's direct
reply-to). A question whose answer does not come may be asked again: each can be answered twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from uuid import UUID, uuid4

import aiormq

from backbone.model import requests
from backbone.model.errors import Unavailable
from backbone.model.requests import Answer, Request
from backbone.rabbitmq import topology
from backbone.rabbitmq.connection import ANSWERS_WITHIN, Link, closed, unavailable
from backbone.rabbitmq.consumer import never_called
from backbone.rabbitmq.deliveries import Delivery
from backbone.rabbitmq.publisher import Message, written

REPLY_TO = "amq.rabbitmq.reply-to"


class Asker:
    """Asks over one channel; answers find their question by its number."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._one_at_a_time = asyncio.Lock()
        self._channel: aiormq.Channel | None = None
        self._open: dict[str, asyncio.Future[Delivery]] = {}

    async def ask(self, request: Request) -> Answer:
        """Raises Unavailable when no answer comes in time: the question may be asked again."""
        await self._link.unblocked()
        number = uuid4().hex
        try:
            with unavailable():
                channel = await self._opened()
                # The channel's own future: it is told when the connection is lost.
                answer = self._open[number] = channel.create_future()
                async with asyncio.timeout(topology.QUESTION_LIVES.total_seconds()):
                    await channel.write_queue.put(written(channel, [_question(request, number)]))
                    return requests.decode_answer((await answer).body)
        except Unavailable as error:
            if isinstance(error.__cause__, TimeoutError):
                raise Unavailable("RabbitMQ", "no dispatcher answers") from None
            raise
        finally:
            self._open.pop(number, None)

    async def close(self) -> None:
        channel, self._channel = self._channel, None
        if channel is not None:
            await closed(channel)

    async def _opened(self) -> aiormq.Channel:
        async with self._one_at_a_time:
            if self._channel is None or self._channel.is_closed:
                channel = await self._link.channel(into=self._arrived)
                await channel.basic_consume(REPLY_TO, never_called, no_ack=True, timeout=ANSWERS_WITHIN)
                self._channel = channel
            return self._channel

    def _arrived(self, delivery: Delivery) -> None:
        answer = self._open.get(delivery.correlation_id or "")
        if answer is not None and not answer.done():
            answer.set_result(delivery)


def _question(request: Request, number: str) -> Message:
    return Message(
        exchange=topology.AGENTS,
        routing_key=topology.AGENTS,
        message_id=number,
        correlation_id=number,
        reply_to=REPLY_TO,
        type="request",
        body=requests.encode_request(request),
        persistent=False,
    )


def answered(question: Delivery, executions: Sequence[UUID]) -> Message:
    return Message(
        routing_key=question.reply_to or "",
        message_id=question.correlation_id or "",
        correlation_id=question.correlation_id,
        type="answer",
        body=requests.encode_answer(executions),
        persistent=False,
    )
