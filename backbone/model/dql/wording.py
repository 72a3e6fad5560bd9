"""Values inside sentences: error texts and explanations show them as JSON, clipped, whatever they are."""

from __future__ import annotations

import orjson

_LONGEST = 60


def clipped(text: str) -> str:
    start = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
    return start.encode(errors="backslashreplace").decode()


def shown(value: object) -> str:
    if isinstance(value, str):
        return orjson.dumps(clipped(value)).decode()
    try:
        return clipped(orjson.dumps(value).decode())
    except TypeError:  # nested deeper than orjson writes, an integer of more than 64 bits, or no JSON at all
        return _described(value)


def _described(value: object) -> str:
    if isinstance(value, dict):
        return f"an object of {len(value)} members"
    if isinstance(value, list):
        return f"a list of {len(value)} members"
    if isinstance(value, int):
        return str(value) if value.bit_length() <= 128 else f"an integer of {value.bit_length()} bits"
    return f"a {type(value).__name__}"
