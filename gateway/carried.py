"""What a request's headers carry for all its events, so that a function's writes need not put it into each: the chain
of executions, and the place in a trace.

Either of two headers has the chain: our own, and W3C Baggage, which many HTTP clients hand on by themselves. A chain
that does not fit its signature is refused with the request: nothing of it is taken, and whoever wrote it hears of it.
"""

from __future__ import annotations

import msgspec
from starlette.types import Scope

from backbone.model import causation, traceparent, tracestate
from backbone.model.causation import Causation
from backbone.model.errors import InvalidEvent
from backbone.store.signing import SigningKey

HEADER = "x-trigger-engine-causation"
BAGGAGE = "trigger-engine-causation"
"""The key of the member in the header `baggage`."""

_header, _baggage = HEADER.encode(), b"baggage"
_traceparent, _tracestate = traceparent.HEADER.encode(), tracestate.HEADER.encode()


class Carried(msgspec.Struct, frozen=True, gc=False):
    causation: Causation | None = None
    traceparent: str | None = None
    tracestate: str | None = None


NOTHING = Carried()


async def of(key: SigningKey, scope: Scope) -> Carried:
    """Raises InvalidEvent naming the header of a chain that is wrong."""
    path, written, trace = "", "", None
    states = []
    for name, value in scope["headers"]:
        if name == _header:
            path, written = HEADER, value.decode("latin-1").strip()
        elif name == _baggage and not written:
            path, written = "baggage", _member(value.decode("latin-1"))
        elif name == _traceparent:
            trace = traceparent.from_header(value)
        elif name == _tracestate:
            states.append(value)
    state = tracestate.beside_header(trace, b",".join(states)) if states else None
    if not written:
        return NOTHING if trace is None else Carried(traceparent=trace, tracestate=state)
    found = causation.from_header(written, path)
    if not found.chain:
        raise InvalidEvent(path, "holds an empty chain")
    return Carried(causation.verify(found, await key.get(), path), trace, state)


def _member(baggage: str) -> str:
    for member in baggage.split(","):
        name, _, value = member.partition("=")
        if name.strip() == BAGGAGE:
            return value.partition(";")[0].strip()
    return ""
