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

import msgspec

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


class Delivery(msgspec.Struct, frozen=True, gc=False):
    """Its properties are read when somebody asks for them: of most messages nobody does."""

    tag: int
    body: bytes
    redelivered: bool
    header: bytes

    @property
    def message_id(self) -> str | None:
        return properties(self.header).get("message_id")

    @property
    def correlation_id(self) -> str | None:
        return properties(self.header).get("correlation_id")

    @property
    def reply_to(self) -> str | None:
        return properties(self.header).get("reply_to")

    @property
    def user_id(self) -> str | None:
        """Who published it: the server lets nobody name another."""
        return properties(self.header).get("user_id")


Into = Callable[[Delivery], None]


@dataclass(slots=True)
class _Coming:
    """A delivery of which not everything is here yet."""

    tag: int
    redelivered: bool
    header: bytes = b""
    parts: list[bytes] = field(default_factory=list)
    missing: int = 0

    def whole(self) -> Delivery:
        return Delivery(self.tag, b"".join(self.parts), self.redelivered, self.header)


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
            begin = self._at
            frame = self._not_of_a_delivery()
            now = time.monotonic()
            if frame or (self._at > begin and now - self._sign_of_life > _SIGN_OF_LIFE_EVERY):
                self._sign_of_life = now
                return frame or _HEARTBEAT
            more = await self._stream.read(_PIECE)
            if not more:
                raise asyncio.IncompleteReadError(self._buffer[self._at :], None)
            self._buffer, self._at = self._buffer[self._at :] + more, 0

    def _not_of_a_delivery(self) -> bytes | None:
        """The next of the frames that are here; deliveries before it go where they belong."""
        while len(self._buffer) - self._at >= _FRAME.size:
            kind, channel, size = _FRAME.unpack_from(self._buffer, self._at)
            begin = self._at + _FRAME.size
            end = begin + size
            if end >= len(self._buffer):  # where the frame's last byte is
                break
            frame_at, self._at = self._at, end + 1
            if not self._is_of_a_delivery(kind, channel, begin, end):
                return self._buffer[frame_at : self._at]
        return None

    def _is_of_a_delivery(self, kind: int, channel: int, begin: int, end: int) -> bool:
        if kind == _METHOD and self._buffer.startswith(_DELIVER, begin):
            at = begin + len(_DELIVER)
            tag, redelivered = _DELIVERED.unpack_from(self._buffer, at + 1 + self._buffer[at])
            self._coming[channel] = _Coming(tag, bool(redelivered))
            return True
        coming = self._coming.get(channel)
        if coming is None or kind not in (_HEADER, _BODY):
            return False
        if kind == _HEADER:
            coming.header = self._buffer[begin:end]
            coming.missing, _ = _CONTENT.unpack_from(coming.header, _CONTENT_AT)
        else:
            coming.parts.append(self._buffer[begin:end])
            coming.missing -= end - begin
        if coming.missing <= 0:
            del self._coming[channel]
            self._into.get(channel, _nobody)(coming.whole())
        return True


def _nobody(_: Delivery) -> None:
    """Of a channel that was closed meanwhile; the server gives it to another."""


def properties(header: bytes) -> dict[str, str]:
    """Those that are read here and are text."""
    _, flags = _CONTENT.unpack_from(header, _CONTENT_AT)
    at = _CONTENT_AT + _CONTENT.size
    found = {}
    for flag, written, name in _PROPERTIES:
        if not flags & flag:
            continue
        if written in _LENGTHS:
            at += _LENGTHS[written]
        elif written == "table":
            at += 4 + int.from_bytes(header[at : at + 4])
        else:
            end = at + 1 + int.from_bytes(header[at : at + 1])
            if name is not None:
                found[name] = header[at + 1 : end].decode("utf-8", "replace")
            at = end
    return found
