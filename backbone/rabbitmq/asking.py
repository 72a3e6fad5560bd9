"""Agents ask the dispatchers: a question goes to the queue `agents`, its answer comes straight back (RabbitMQ's direct
reply-to). A question whose answer does not come may be asked again: each can be answered twice.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from uuid import UUID, uuid4

import aiormq

from backbone.model import requests
from backbone.model.errors import Unavailable
from backbone.model.requests import Answer, Refusal, Request
from backbone.rabbitmq import topology
from backbone.rabbitmq.connection import ANSWERS_WITHIN, Link, closed, unavailable
from backbone.rabbitmq.consumer import never_called
from backbone.rabbitmq.deliveries import Delivery
from backbone.rabbitmq.publisher import Message, written

REPLY_TO = "amq.rabbitmq.reply-to"

log = logging.getLogger(__name__)


Ask = Callable[[Request], Awaitable[Answer]]
"""Raises Unavailable when there is no answer."""

BLOCKED = "it is blocked: short of memory or disk, it takes no questions"


class Asker:
    """Asks over one channel; answers find their question by its number.

    `elsewhere` is asked the same where RabbitMQ takes nothing, or nobody answers there: who cannot ask takes nothing
    out of the queues that filled the server, and is taken for lost.
    """

    def __init__(self, link: Link, elsewhere: Ask | None = None) -> None:
        self._link = link
        self._elsewhere = elsewhere
        self._one_at_a_time = asyncio.Lock()
        self._channel: aiormq.Channel | None = None
        self._open: dict[str, asyncio.Future[Delivery]] = {}
        link.on_blocked.append(self._give_up)

    async def ask(self, request: Request) -> Answer:
        """Raises Unavailable when no answer comes in time: the question may be asked again. Raises NotAllowed."""
        if self._elsewhere is None:
            await self._link.unblocked()
            return await self._ask(request)
        try:
            if not self._link.blocked:
                return await self._ask(request)
        except Unavailable as error:
            log.debug("not answered over RabbitMQ, asking elsewhere", extra={"reason": str(error)})
        return await self._elsewhere(request)

    async def _ask(self, request: Request) -> Answer:
        number = uuid4().hex
        try:
            with unavailable():
                channel = await self._opened()
                # The channel's own future: it is told when the connection is lost.
                answer = self._open[number] = channel.create_future()
                async with asyncio.timeout(topology.QUESTION_LIVES.total_seconds()):
                    await channel.write_queue.put(written(channel, [_question(request, number, self._link.user)]))
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

    def _give_up(self) -> None:
        """The questions lie before a server that does not read them."""
        for answer in self._open.values():
            if not answer.done():
                answer.set_exception(Unavailable("RabbitMQ", BLOCKED))


def _question(request: Request, number: str, user: str | None) -> Message:
    return Message(
        exchange=topology.AGENTS,
        routing_key=topology.AGENTS,
        message_id=number,
        correlation_id=number,
        reply_to=REPLY_TO,
        user_id=user,
        type="request",
        body=requests.encode_request(request),
        persistent=False,
    )


def answered(question: Delivery, answer: Sequence[UUID] | Refusal) -> Message:
    return Message(
        routing_key=question.reply_to or "",
        message_id=question.correlation_id or "",
        correlation_id=question.correlation_id,
        type="answer",
        body=requests.encode_answer(answer),
        persistent=False,
    )
