"""Where in the document we are, kept as a chain and written out only when something is wrong there.

Writing `$and[2].metadata.x` at every step would copy long keys once a member, which is quadratic.
"""

from __future__ import annotations

from typing import TypeAlias, TypeGuard

import orjson

from backbone.model.errors import InvalidFilter

Location: TypeAlias = tuple["Location | None", str | int]

_SHOWN = 60


def refusal(at: Location, reason: str) -> InvalidFilter:
    return InvalidFilter(_written(at), reason)


def _written(at: Location) -> str:
    pieces: list[str | int] = []
    step: Location | None = at
    while step is not None:
        step, piece = step
        pieces.append(piece)
    text = str(pieces.pop())
    for piece in reversed(pieces):
        if isinstance(piece, int):
            text += f"[{piece}]"
        else:
            text += f".{clipped(piece)}" if text else clipped(piece)
    return text


def clipped(text: str) -> str:
    shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
    return shown.encode(errors="backslashreplace").decode()


def shown(value: object) -> str:
    """A value for an error text or an explanation: JSON, clipped; never raises, whatever the value is."""
    if isinstance(value, str):
        value = clipped(value)
    try:
        return clipped(orjson.dumps(value).decode())
    except TypeError:  # deeper than orjson goes, more than 64 bits, or no JSON at all
        return f"{_article(value)} of {len(value)} members" if _sized(value) else clipped(_plainly(value))


def _sized(value: object) -> TypeGuard[dict[object, object] | list[object]]:
    return isinstance(value, dict | list)


def _article(value: object) -> str:
    return "an object" if isinstance(value, dict) else "a list"


def _plainly(value: object) -> str:
    if isinstance(value, int | float):
        return f"{float(value):g}" if abs(value) < 10**308 else "a number beyond 1e308"
    return f"a {type(value).__name__}"
