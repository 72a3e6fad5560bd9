"""Where in the document we are, kept as a chain and written out only when something is wrong there.

Writing `$and[2].metadata.x` at every step would copy long keys once for each member, which is quadratic.
"""

from __future__ import annotations

from typing import TypeAlias

from backbone.model.dql.wording import clipped
from backbone.model.errors import InvalidFilter

Location: TypeAlias = tuple["Location | None", str | int]


def refusal(at: Location, reason: str) -> InvalidFilter:
    return InvalidFilter(written(at), reason)


def written(at: Location) -> str:
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
