"""Where an event stands in somebody's trace: W3C Trace Context's `traceparent`, kept as it came and handed on.

We begin no spans of our own, so what the function is given is what the publisher sent.
"""

from __future__ import annotations

import re

from backbone.model import written_form
from backbone.model.errors import InvalidEvent

HEADER = "traceparent"
LENGTH = 55
PATTERN = "(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"
"""Of what a field of an event may say."""

_known = re.compile(PATTERN).fullmatch


def is_one(value: str) -> bool:
    return _known(value) is not None


def checked(value: str | None, path: str = HEADER) -> str | None:
    """As a field of an event says it. Raises InvalidEvent."""
    if value is None or is_one(value):
        return value
    raise InvalidEvent(path, f"{written_form.clipped(value)!r} is not <version>-<trace id>-<parent id>-<flags> of W3C")


def from_header(value: bytes) -> str | None:
    """As a header of a request or a record says it: one that is none is ignored, as W3C wants it. What a later version
    says behind the fields that are known is left out, and with it that version's number."""
    known = value[:LENGTH].decode("latin-1")
    if not is_one(known):
        return None
    if known.startswith("00"):
        return known if len(value) == LENGTH else None
    return "00" + known[2:] if value[LENGTH : LENGTH + 1] in (b"", b"-") else None
