"""Request bodies within bounds: each by its own limit, and those that are being read by one for all together."""

from __future__ import annotations

from starlette.types import Receive, Scope

from backbone.model.errors import Unavailable
from gateway.answers import Refused

MEGABYTE = 1_000_000
EVENTS = 8 * MEGABYTE
CODEBASE = 64 * MEGABYTE
DOCUMENT = MEGABYTE

AT_ONCE = 256 * MEGABYTE
"""Of all bodies that come in more than one piece and are not complete yet."""


class ClientLeft(Exception):
    """The connection ended before the request did: there is nobody to answer."""


class Intake:
    def __init__(self, at_once: int = AT_ONCE) -> None:
        self._at_once = at_once
        self._held = 0

    async def read(self, scope: Scope, receive: Receive, limit: int) -> bytes:
        """Raises Refused (413) as soon as the body is known to be larger than `limit`, mostly before it was sent."""
        message = await receive()
        if message["type"] == "http.request" and not message.get("more_body"):
            body: bytes = message["body"]
            if len(body) > limit:
                raise _too_large(limit)
            return body
        if _declared(scope) > limit:
            raise _too_large(limit)
        pieces: list[bytes] = []
        size = 0
        try:
            while True:
                if message["type"] != "http.request":
                    raise ClientLeft
                pieces.append(message["body"])
                size += len(message["body"])
                self._held += len(message["body"])
                if size > limit:
                    raise _too_large(limit)
                if self._held > self._at_once:
                    raise Unavailable("gateway", "it is reading too many large bodies at once")
                if not message.get("more_body"):
                    return b"".join(pieces)
                message = await receive()
        finally:
            self._held -= size


def header(scope: Scope, name: bytes) -> bytes:
    for key, value in scope["headers"]:
        if key == name:
            return bytes(value)
    return b""


def _declared(scope: Scope) -> int:
    length = header(scope, b"content-length")
    return int(length) if length.isdigit() else 0


def _too_large(limit: int) -> Refused:
    return Refused(413, f"the body has more than {limit:,} bytes, the most that is taken here")
