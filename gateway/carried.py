"""The chain of executions that a request's headers carry, so that a function's writes need not put it into each event.

Either of two headers has it: our own, and W3C Baggage, which many HTTP clients hand on by themselves. A chain that does
not fit its signature is refused with the request: nothing of it is taken, and whoever wrote it hears of it.
"""

from __future__ import annotations

from starlette.types import Scope

from backbone.model import causation
from backbone.model.causation import Causation
from backbone.model.errors import InvalidEvent
from backbone.store.signing import SigningKey

HEADER = "x-trigger-engine-causation"
BAGGAGE = "trigger-engine-causation"
"""The key of the member in the header `baggage`."""

_header, _baggage = HEADER.encode(), b"baggage"


async def of(key: SigningKey, scope: Scope) -> Causation | None:
    """None when the request carries none. Raises InvalidEvent naming the header."""
    path, written = "", ""
    for name, value in scope["headers"]:
        if name == _header:
            path, written = HEADER, value.decode("latin-1").strip()
            break
        if name == _baggage and not written:
            path, written = "baggage", _member(value.decode("latin-1"))
    if not written:
        return None
    found = causation.from_header(written, path)
    if not found.chain:
        raise InvalidEvent(path, "holds an empty chain")
    return causation.verify(found, await key.get(), path)


def _member(baggage: str) -> str:
    for member in baggage.split(","):
        name, _, value = member.partition("=")
        if name.strip() == BAGGAGE:
            return value.partition(";")[0].strip()
    return ""
