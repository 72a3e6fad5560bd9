"""What led to an event: the chain of executions, each begun by a trigger on an earlier event.

An execution hands its causation to the function, the function's writes carry it, and so the events that these
writes cause arrive with it. The guard reads it; nothing else decides on it.

What is handed out is signed with a key that functions do not have: a chain that was made shorter, or made up, is
known for what it is wherever it comes back. Chains inside the engine, and those that people are shown, are not signed.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from hashlib import blake2b

import msgspec

from backbone.model import written_form
from backbone.model.errors import InvalidEvent

MAX_LINKS = 64
"""A chain longer than this was not made by us: the guard stops far below it."""


class Link(msgspec.Struct, frozen=True):
    """One round: the event `event` matched `trigger` and began `execution`. No event where the clock began it, or a
    call of the execution before; no trigger for a call, nor at the beginning where a person called."""

    event: str
    trigger: str
    execution: str


class Causation(msgspec.Struct, frozen=True, omit_defaults=True):
    """The chain, oldest link first."""

    chain: tuple[Link, ...] = ()
    signature: str = ""  #: 32 hexadecimal digits where the chain was handed out

    @property
    def depth(self) -> int:
        return len(self.chain)

    @property
    def triggers(self) -> frozenset[str]:
        return frozenset(link.trigger for link in self.chain if link.trigger)

    def followed_by(self, link: Link) -> Causation:
        return Causation(chain=(*self.chain, link))

    @property
    def root(self) -> str:
        """What it all began with: an event, or the execution that a person or the clock began."""
        return self.chain[0].event or self.chain[0].execution

    @property
    def unsigned(self) -> Causation:
        return Causation(self.chain) if self.signature else self


_decoder = msgspec.json.Decoder(Causation)
_encoder = msgspec.json.Encoder()


def encode_signed(causation: Causation, key: bytes) -> bytes:
    """What a function is given."""
    links = _encoder.encode(causation.chain)
    return b'{"chain":%b,"signature":"%b"}' % (links, _signature(links, key))


def signed(causation: Causation, key: bytes) -> Causation:
    return Causation(causation.chain, _signature(_encoder.encode(causation.chain), key).decode())


def verify(causation: Causation, key: bytes, path: str = "causation") -> Causation:
    """The same. Raises InvalidEvent for a chain that no execution was given: nobody shortens or makes up a chain."""
    if not causation.chain:
        return causation
    path = f"{path}.signature"
    if not causation.signature:
        raise InvalidEvent(path, "is missing: hand on the causation that the function was given, as it is")
    # Encoded anew, so that other white space or escapes than ours are the same chain.
    expected = _signature(_encoder.encode(causation.chain), key)
    if not hmac.compare_digest(causation.signature.encode(errors="replace"), expected):
        raise InvalidEvent(path, "does not fit the chain: it was changed, or is not of this engine")
    return causation


def _signature(links: bytes, key: bytes) -> bytes:
    # BLAKE2b with a key is a MAC by itself, for half of what HMAC costs; every execution pays it.
    return blake2b(links, key=key, digest_size=16).hexdigest().encode()


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


def from_foreign(value: str | None) -> Causation | None:
    """A chain where others may put any id of their own: theirs is none."""
    if not value:
        return None
    try:
        found = from_header(value)
    except InvalidEvent:
        return None
    return found if found.chain else None


def from_header(value: str, path: str = "causation") -> Causation:
    try:
        document = base64.b64decode(value.encode(), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise InvalidEvent(path, "is not base64url") from None
    return decode(document, path)
