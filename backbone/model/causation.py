"""What led to an event: the chain of executions, each begun by a trigger on an earlier event.

An execution hands its causation to the function, the function's writes carry it, and so the events that these
writes cause arrive with it. The guard reads it; nothing else decides on it.
"""

from __future__ import annotations

import base64
import binascii

import msgspec

from backbone.model import written_form
from backbone.model.errors import InvalidEvent

MAX_LINKS = 64
"""A chain longer than this was not made by us: the guard stops far below it."""


class Link(msgspec.Struct, frozen=True):
    """One round: the event `event` matched `trigger` and began `execution`."""

    event: str
    trigger: str
    execution: str


class Causation(msgspec.Struct, frozen=True):
    """The chain, oldest link first. The root event is the first link's."""

    chain: tuple[Link, ...] = ()

    @property
    def depth(self) -> int:
        return len(self.chain)

    @property
    def triggers(self) -> frozenset[str]:
        return frozenset(link.trigger for link in self.chain)

    def followed_by(self, link: Link) -> Causation:
        return Causation(chain=(*self.chain, link))


_decoder = msgspec.json.Decoder(Causation)
_encoder = msgspec.json.Encoder()


def encode(causation: Causation) -> bytes:
    return _encoder.encode(causation)


def decode(document: bytes, path: str = "causation") -> Causation:
    try:
        causation = _decoder.decode(document)
    except UnicodeDecodeError:
        raise InvalidEvent(path, "is not UTF-8") from None
    except (msgspec.MsgspecError, RecursionError) as error:
        raise written_form.explained(error, InvalidEvent, path) from None
    return checked(causation, path)


def checked(causation: Causation, path: str = "causation") -> Causation:
    if causation.depth > MAX_LINKS:
        raise InvalidEvent(path, f"the chain has {causation.depth} links; at most {MAX_LINKS} are taken")
    return causation


def to_header(causation: Causation) -> str:
    """The form that travels in an HTTP header, a file's attribute, a CloudEvents extension: base64url of the JSON."""
    return base64.urlsafe_b64encode(encode(causation)).decode()


def from_header(value: str, path: str = "causation") -> Causation:
    try:
        document = base64.b64decode(value.encode(), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise InvalidEvent(path, "is not base64url") from None
    return decode(document, path)
