"""The SQL of the project by name: `sql("event/append")` is the statement `append` of `sql/event.sql`.

A statement begins at its line `-- name: append` and ends where the next begins.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from importlib import resources

_HEAD = "-- name: "


def sql(name: str) -> str:
    """Raises KeyError for a name that no file has: a mistake of ours, found by the first call."""
    return every()[name]


@functools.cache
def every() -> Mapping[str, str]:
    statements: dict[str, str] = {}
    for file in resources.files(__package__).joinpath("sql").iterdir():
        if file.name.endswith(".sql"):
            statements.update(_split(file.name.removesuffix(".sql"), file.read_text()))
    return statements


def _split(topic: str, text: str) -> dict[str, str]:
    statements: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in text.splitlines():
        if line.startswith(_HEAD):
            lines = statements.setdefault(f"{topic}/{line.removeprefix(_HEAD).strip()}", [])
        else:
            lines.append(line)
    return {name: "\n".join(lines).strip() for name, lines in statements.items()}
