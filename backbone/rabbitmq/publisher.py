"""Messages go out by the batch: one write for all of them, one wait for all their confirmations.

A confirmation one by one costs aio-pika some 200 us of CPU, this 25. It rests on how aiormq keeps its books
(`confirmations`, `delivery_tag`, `message_id_delivery_tag`, `write_queue`), so its version is pinned and
`tests/contract/test_rabbitmq_publisher.py` holds it to that. Nobody else publishes on a publisher's channel.
"""

from __future__ import annotations

import asyncio
import struct
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import aiormq
from aiormq.abc import ChannelFrame
from pamqp import commands, encode
from pamqp.common import FieldValue
from pamqp.frame import marshal

from backbone.model.errors import Unavailable
from backbone.rabbitmq.connection import ANSWERS_WITHIN, Link, closed, unavailable

_FRAME = struct.Struct(">BHI")  # kind, channel, size
_HEADER, _BODY = 2, 3
_CONTENT = struct.Struct(">HHQH")  # class, weight, size of the body, which properties there are
_BASIC = 60
_TIME = struct.Struct(">Q")
_CONTENT_TYPE = b"\x13application/msgpack"
_PERSISTENT, _TRANSIENT = b"\x02", b"\x01"


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    exchange: str = ""
    routing_key: str
    message_id: str  #: unique among those that are not confirmed yet
    type: str
    body: bytes
    correlation_id: str | None = None
    reply_to: str | None = None
    persistent: bool = True
    headers: Mapping[str, FieldValue] = field(default_factory=dict)


class Publisher:
    def __init__(self, link: Link) -> None:
        self._link = link
        self._channel: aiormq.Channel | None = None
        self._one_batch_at_a_time = asyncio.Lock()

    async def publish(self, messages: Sequence[Message]) -> None:
        """Return once the server has all of them on its disks. Raises Unavailable otherwise: it may have some."""
        async with self._one_batch_at_a_time:
            await self._link.unblocked()
            channel = await self._opened()
            with unavailable():
                results = await self._confirmed(channel, messages)
        for message, result in zip(messages, results, strict=True):
            if isinstance(result, BaseException):
                raise Unavailable("RabbitMQ", _refusal(message, result)) from result

    async def close(self) -> None:
        channel, self._channel = self._channel, None
        if channel is not None:
            await closed(channel)

    async def _opened(self) -> aiormq.Channel:
        if self._channel is None or self._channel.is_closed:
            self._channel = await self._link.channel(confirms=True)
        return self._channel

    async def _confirmed(
        self, channel: aiormq.Channel, messages: Sequence[Message]
    ) -> list[commands.Basic.Ack | BaseException]:
        frames = written(channel, messages, mandatory=True)
        waiting = [_expect(channel, message) for message in messages]
        try:
            async with asyncio.timeout(ANSWERS_WITHIN):
                await channel.write_queue.put(frames)
                return await asyncio.gather(*waiting, return_exceptions=True)
        except BaseException as error:
            self._give_up(waiting, silent=isinstance(error, TimeoutError))
            raise
        finally:
            for message in messages:
                channel.message_id_delivery_tag.pop(message.message_id, None)

    def _give_up(self, waiting: Iterable[asyncio.Future[commands.Basic.Ack]], *, silent: bool) -> None:
        """Whether the batch was written is not known, so neither is the number of the next message: the channel is
        done with. One that was blocked meanwhile keeps its connection, and what was written may still arrive."""
        for future in waiting:
            future.cancel()
        if not (silent and self._link.blocked):
            self._link.hang_up()
        self._channel = None


def _expect(channel: aiormq.Channel, message: Message) -> asyncio.Future[commands.Basic.Ack]:
    # The channel's own future and not the loop's: it is told when the connection is lost.
    confirmation: asyncio.Future[commands.Basic.Ack] = channel.create_future()
    channel.delivery_tag += 1
    channel.confirmations[channel.delivery_tag] = confirmation
    channel.message_id_delivery_tag[message.message_id] = channel.delivery_tag
    return confirmation


def written(channel: aiormq.Channel, messages: Iterable[Message], *, mandatory: bool = False) -> ChannelFrame:
    """All of them as they go over the wire, in one piece."""
    number, largest = channel.number, channel.max_content_size
    now = int(time.time())
    targets: dict[tuple[str, str], bytes] = {}
    pieces: list[bytes] = []
    for message in messages:
        target = (message.exchange, message.routing_key)
        if target not in targets:
            publish = commands.Basic.Publish(exchange=target[0], routing_key=target[1], mandatory=mandatory)
            targets[target] = marshal(publish, number)
        pieces += (targets[target], _frame(_HEADER, number, _content(message, now)))
        for begin in range(0, len(message.body), largest):
            pieces.append(_frame(_BODY, number, message.body[begin : begin + largest]))
    return ChannelFrame(payload=b"".join(pieces), should_close=False)


def _frame(kind: int, channel: int, payload: bytes) -> bytes:
    return b"%b%b\xce" % (_FRAME.pack(kind, channel, len(payload)), payload)


def _content(message: Message, now: int) -> bytes:
    """The size and the properties: those that there are, in the order of the wire. pamqp takes twice as long."""
    there = 1 << 15 | 1 << 12 | 1 << 7 | 1 << 6 | 1 << 5
    headers = correlation_id = reply_to = b""
    if message.headers:
        there |= 1 << 13
        headers = encode.field_table(dict(message.headers))
    if message.correlation_id is not None:
        there |= 1 << 10
        correlation_id = _text(message.correlation_id)
    if message.reply_to is not None:
        there |= 1 << 9
        reply_to = _text(message.reply_to)
    return b"".join(
        (
            _CONTENT.pack(_BASIC, 0, len(message.body), there),
            _CONTENT_TYPE,
            headers,
            _PERSISTENT if message.persistent else _TRANSIENT,
            correlation_id,
            reply_to,
            _text(message.message_id),
            _TIME.pack(now),
            _text(message.type),
        )
    )


def _text(text: str) -> bytes:
    """Raises ValueError for more than 255 bytes."""
    written = text.encode()
    return bytes((len(written),)) + written


def _refusal(message: Message, error: BaseException) -> str:
    where = f"{message.exchange or 'the default exchange'} with routing key {message.routing_key!r}"
    if isinstance(error, aiormq.PublishError):
        return f"no queue takes what is sent to {where}"
    if isinstance(error, aiormq.DeliveryError):
        return f"it refused message {message.message_id!r} sent to {where}"
    return f"the connection was lost while message {message.message_id!r} was on its way to {where}"
