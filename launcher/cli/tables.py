"""What commands print: plain tables that fit the terminal, JSON on demand, one look for all of them.

Everything shown may come from somebody's event: characters that would steer a terminal are taken out.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Any

import click
import msgspec

GAP = "  "
LEAST_WIDTH = 80
NARROWEST = 8  # a column gives way down to this
NOTHING = "-"

COLOURS = {
    "success": "green",
    "ready": "green",
    "active": "green",
    "fired": "green",
    "in-progress": "yellow",
    "paused": "yellow",
    "failed": "red",
    "aborted": "red",
    "terminated": "red",
    "system-failure": "red",
    "create": "green",
    "update": "yellow",
    "delete": "red",
}

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Column:
    title: str
    value: Callable[[Row], object]
    gives_way: bool = False  #: is cut where the terminal is too narrow; ids never are


def field(name: str, title: str | None = None, *, gives_way: bool = False) -> Column:
    return Column(title or name.upper(), lambda row: row.get(name), gives_way)


def show(rows: Sequence[Row], columns: Sequence[Column], *, as_json: bool, empty: str) -> None:
    """A table, or the rows themselves as JSON. `empty` tells on stderr that there is nothing."""
    if as_json:
        show_json(rows)
    elif not rows:
        click.echo(empty, err=True)
    else:
        cells = [[text(column.value(row)) for column in columns] for row in rows]
        for line in lines(
            [column.title for column in columns], cells, [column.gives_way for column in columns], width()
        ):
            click.echo(line)


def show_json(document: object) -> None:
    click.echo(msgspec.json.format(msgspec.json.encode(document), indent=2).decode())


def show_facts(facts: Iterable[tuple[str, object]]) -> None:
    """Name and value, one a line; what is not there is left out."""
    told = [(name, text(value)) for name, value in facts if value is not None]
    longest = max((len(name) for name, _ in told), default=0)
    for name, value in told:
        click.echo(f"{name:<{longest}}{GAP}{coloured(value)}")


def lines(titles: Sequence[str], cells: Sequence[Sequence[str]], gives_way: Sequence[bool], room: int) -> list[str]:
    widths = [max(len(row[at]) for row in (titles, *cells)) for at in range(len(titles))]
    widths = fitted(widths, gives_way, room - len(GAP) * (len(titles) - 1))
    return [
        GAP.join(padded(cell, size) for cell, size in zip(row, widths, strict=True)).rstrip()
        for row in (titles, *cells)
    ]


def fitted(widths: Sequence[int], gives_way: Sequence[bool], room: int) -> list[int]:
    """The widest column that may give way does, until all fit or none can any more."""
    fitting = list(widths)
    while sum(fitting) > room:
        at = max((at for at, may in enumerate(gives_way) if may), key=lambda at: fitting[at], default=None)
        if at is None or fitting[at] <= NARROWEST:
            break
        fitting[at] -= 1
    return fitting


def padded(cell: str, size: int) -> str:
    shown = cell if len(cell) <= size else cell[: size - 1] + "…"
    return coloured(shown) + " " * (size - len(shown))


def coloured(word: str) -> str:
    return click.style(word, fg=COLOURS[word]) if word in COLOURS else word


def text(value: object) -> str:
    """One line for any value of a document."""
    if value is None or value == "":
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list) and all(isinstance(member, str) for member in value):
        return plain(", ".join(value))
    if isinstance(value, dict | list):
        return plain(msgspec.json.encode(value).decode())
    return plain(str(value))


def plain(words: str) -> str:
    return "".join(character if character.isprintable() else " " for character in words)


def plain_lines(words: str) -> str:
    """Several lines as they are, but for what would steer the terminal."""
    return "\n".join(plain(line.expandtabs()) for line in words.splitlines())


def moment(written: object, zone: tzinfo = UTC) -> str:
    """`2025-11-21 13:58:01`, in UTC unless told otherwise, of an ISO time."""
    if not isinstance(written, str):
        return NOTHING
    try:
        return datetime.fromisoformat(written).astimezone(zone).strftime("%Y-%m-%d %H:%M:%S")
    except ValueError:
        return plain(written)


def width() -> int:
    return max(LEAST_WIDTH, shutil.get_terminal_size((120, 24)).columns)
