"""What the systems of a trace say to themselves: W3C Trace Context's `tracestate`, handed on as it came beside its
`traceparent`, and never without one.

Nobody is refused for it: one that is not well-formed, or too long, is dropped, as W3C wants it.
"""

from __future__ import annotations

import re
from typing import Final

HEADER = "tracestate"
LONGEST: Final = 512  # characters
MOST: Final = 32  # members

_SIMPLE = r"[a-z][a-z0-9_\-*/]{0,255}"
_OF_A_TENANT = r"[a-z0-9][a-z0-9_\-*/]{0,240}@[a-z][a-z0-9_\-*/]{0,13}"
_VALUE = r"[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]"
_member = re.compile(rf"({_OF_A_TENANT}|{_SIMPLE})={_VALUE}").fullmatch


def beside(traceparent: str | None, value: str | None) -> str | None:
    """The value, where it may be handed on with this `traceparent`."""
    return value if traceparent is not None and value is not None and _is_one(value) else None


def beside_header(traceparent: str | None, value: bytes) -> str | None:
    """Likewise. Several headers of the name are one, with commas between them."""
    return beside(traceparent, value.decode("latin-1").strip(" \t"))


def _is_one(value: str) -> bool:
    if len(value) > LONGEST:
        return False
    members = [stripped for member in value.split(",") if (stripped := member.strip(" \t"))]
    found = [_member(member) for member in members]
    keys = {match[1] for match in found if match is not None}
    return 0 < len(members) <= MOST and len(keys) == len(members)
