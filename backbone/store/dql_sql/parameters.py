"""The parameters of a statement that is being written: whatever came from outside stands here, and only `$n` in SQL."""

from __future__ import annotations

from decimal import Decimal
from typing import TypeAlias

from backbone.model.errors import InvalidFilter

Item: TypeAlias = str | int | float | Decimal | None
Parameter: TypeAlias = "Item | tuple[Item, ...]"

MOST = 32_000
"""PostgreSQL takes 65,535 and asyncpg half of them; some are the statement's own."""


class Parameters:
    """Numbered from `first`. The same value of the same type is sent once."""

    def __init__(self, first: int) -> None:
        self._first = first
        self._numbers: dict[tuple[str, str], int] = {}
        self.values: list[Parameter] = []

    def put(self, value: Parameter, type_: str) -> str:
        """The place of the value in the statement. Raises InvalidFilter for what PostgreSQL cannot be sent."""
        # By its repr, because Python takes 1 for 1.0 and for True.
        key = (type_, repr(value))
        if key not in self._numbers:
            _check_text(value, type_)
            if len(self.values) == MOST:
                raise InvalidFilter("filter", f"compares with more than {MOST:,} values; narrow it")
            self._numbers[key] = self._first + len(self.values)
            self.values.append(value)
        return f"${self._numbers[key]}::{type_}"


def _check_text(value: Parameter, type_: str) -> None:
    for text in value if isinstance(value, tuple) else (value,):
        if isinstance(text, str):
            nul = "\\u0000" in text.replace("\\\\", "") if type_.startswith("json") else "\x00" in text
            if nul:
                raise InvalidFilter("filter", "a text in it holds the character NUL, which nothing that is stored has")
