"""A batch as the arrays that a statement takes.

Encoding an array costs a third of a microsecond an element, which at ten columns is more than the rest of an event's
way. So what many rows share is sent once, under a number, and a column of nothing is not sent.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


class Kinds:
    """The distinct combinations in a batch. A row names its own by number, from 1, as SQL counts."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[Any, ...], int] = {}

    def number(self, *values: Any) -> int:
        return self._numbers.setdefault(values, len(self._numbers) + 1)

    def columns(self) -> list[list[Any]]:
        return [list(column) for column in zip(*self._numbers, strict=True)]


def text(value: str) -> str:
    """PostgreSQL's text carries every character but NUL, and no half of a surrogate pair."""
    return value.replace("\x00", "\N{REPLACEMENT CHARACTER}").encode(errors="replace").decode()


def optional_text(value: str | None) -> str | None:
    return None if value is None else text(value)


def sparse(values: Iterable[Any]) -> list[Any] | None:
    """The column, or None where there is nothing in it: `unnest` fills up what is missing with NULL."""
    column = list(values)
    return None if column.count(None) == len(column) else column
