"""What RabbitMQ delivers is taken out of the stream here; all else goes on to aiormq, frame by frame.

Three reasons. aiormq starts a task a message and spends 60 us on one, this less than 10. It forgets a message that
arrives after its consumer was cancelled, while the server counts it as ours. And it decodes every property, which may
hold what anybody likes (tables in tables a thousand deep, a time in the year 50000): what it cannot decode ends its
connection, comes again with the next one, and ends that too. Of the properties, four short texts are read here.
"""

from __future__ import annotations

import asyncio
import struct
import time
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass, field

_PIECE = 1 << 18  # bytes
_FRAME = struct.Struct(">BHI")  # kind, channel, size
_METHOD, _HEADER, _BODY = 1, 2, 3
_DELIVER = b"\x00\x3c\x00\x3c"
_DELIVERED = struct.Struct(">QB")  # tag, redelivered
_CONTENT = struct.Struct(">QH")  # size of the body, which properties there are
_CONTENT_AT = 4  # after its class and weight
_HEARTBEAT = b"\x08\x00\x00\x00\x00\x00\x00\xce"
_SIGN_OF_LIFE_EVERY = 1.0  # seconds

# By flag, in the order of the wire; what comes after these is not looked at.
_PROPERTIES = (
    (1 << 15, "text", None),  # content type
    (1 << 14, "text", None),  # content encoding
    (1 << 13, "table", None),  # headers
    (1 << 12, "octet", None),  # delivery mode
    (1 << 11, "octet", None),  # priority
    (1 << 10, "text", "correlation_id"),
    (1 << 9, "text", "reply_to"),
    (1 << 8, "text", None),  # expiration
    (1 << 7, "text", "message_id"),
    (1 << 6, "time", None),
    (1 << 5, "text", None),  # type
    (1 << 4, "text", "user_id"),
)
_LENGTHS = {"octet": 1, "time": 8}


@dataclass(frozen=True, slots=True)
class Delivery:
    tag: int
    body: bytes
    redelivered: bool = False
    message_id: str | None = None
    correlation_id: str | None = None
    reply_to: str | None = None
    user_id: str | None = None  #: who published it: the server lets nobody name another


Into = Callable[[Delivery], None]


@dataclass(slots=True)
class _Coming:
    """A delivery of which not everything is here yet."""

    tag: int
    redelivered: bool
    size: int = 0
    properties: dict[str, str] = field(default_factory=dict)
    parts: list[bytes] = field(default_factory=list)
    here: int = 0

    def whole(self) -> Delivery:
        return Delivery(self.tag, b"".join(self.parts), self.redelivered, **self.properties)


class Frames:
    """Stands where aiormq has a StreamReader, and has of it what aiormq uses. `into`: for what, by channel, arrives."""

    def __init__(self, stream: asyncio.StreamReader, into: MutableMapping[int, Into]) -> None:
        self._stream = stream
        self._into = into
        self._coming: dict[int, _Coming] = {}
        self._buffer = b""
        self._at = 0
        self._frame = b""
        self._read = 0
        self._sign_of_life = time.monotonic()

    def at_eof(self) -> bool:
        return self._read == len(self._frame) and self._at == len(self._buffer) and self._stream.at_eof()

    async def readexactly(self, count: int) -> bytes:
        if self._read == len(self._frame):
            self._frame, self._read = await self._next(), 0
        begin = self._read
        self._read = min(begin + count, len(self._frame))
        return self._frame[begin : begin + count]

    async def _next(self) -> bytes:
        """The next frame for aiormq. It takes a server that it does not hear for dead, so it also is told now and then
        that there was something."""
        while True:
            frame = await self._any()
            now = time.monotonic()
            if not self._is_of_a_delivery(frame):
                self._sign_of_life = now
                return frame
            if now - self._sign_of_life > _SIGN_OF_LIFE_EVERY:
                self._sign_of_life = now
                return _HEARTBEAT

    async def _any(self) -> bytes:
        while True:
            if len(self._buffer) - self._at >= _FRAME.size:
                size = _FRAME.unpack_from(self._buffer, self._at)[2]
                end = self._at + _FRAME.size + size + 1
                if len(self._buffer) >= end:
                    frame, self._at = self._buffer[self._at : end], end
                    return frame
            more = await self._stream.read(_PIECE)
            if not more:
                raise asyncio.IncompleteReadError(self._buffer[self._at :], None)
            self._buffer, self._at = self._buffer[self._at :] + more, 0

    def _is_of_a_delivery(self, frame: bytes) -> bool:
        kind, channel, _ = _FRAME.unpack_from(frame)
        if kind == _METHOD and frame.startswith(_DELIVER, _FRAME.size):
            at = _FRAME.size + len(_DELIVER)
            tag, redelivered = _DELIVERED.unpack_from(frame, at + 1 + frame[at])
            self._coming[channel] = _Coming(tag, bool(redelivered))
            return True
        coming = self._coming.get(channel)
        if coming is None or kind not in (_HEADER, _BODY):
            return False
        if kind == _HEADER:
            coming.size, coming.properties = read_header(frame[_FRAME.size : -1])
        else:
            coming.parts.append(frame[_FRAME.size : -1])
            coming.here += len(coming.parts[-1])
        if coming.here >= coming.size:
            del self._coming[channel]
            self._into.get(channel, _nobody)(coming.whole())
        return True


def _nobody(_: Delivery) -> None:
    """Of a channel that was closed meanwhile; the server gives it to another."""


def read_header(payload: bytes) -> tuple[int, dict[str, str]]:
    """The size of the body, and those properties that are read here and are text."""
    size, flags = _CONTENT.unpack_from(payload, _CONTENT_AT)
    at = _CONTENT_AT + _CONTENT.size
    found = {}
    for flag, written, name in _PROPERTIES:
        if not flags & flag:
            continue
        if written in _LENGTHS:
            at += _LENGTHS[written]
        elif written == "table":
            at += 4 + int.from_bytes(payload[at : at + 4])
        else:
            end = at + 1 + int.from_bytes(payload[at : at + 1])
            if name is not None:
                found[name] = payload[at + 1 : end].decode("utf-8", "replace")
            at = end
    return size, found
