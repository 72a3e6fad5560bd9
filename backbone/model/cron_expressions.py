"""Cron expressions as in cron(5): five fields, six with the seconds first, or a name such as `@daily`. Pure.

Read here and not by APScheduler, which counts weekdays from Monday and wants day of month and day of week both to hold.
The calendar's arithmetic is APScheduler's: it is given each field as plain numbers, in its own way of counting.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NoReturn

from backbone.model import written_form
from backbone.model.errors import InvalidTrigger

LONGEST = 255
_SECOND = timedelta(seconds=1)
_LONGEST_MONTH = {1: 31, 2: 29, 3: 31, 4: 30, 5: 31, 6: 30, 7: 31, 8: 31, 9: 30, 10: 31, 11: 30, 12: 31}

NAMED = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
MONTHS = {name: number for number, name in enumerate(_MONTHS, start=1)}
WEEKDAYS = {name: number for number, name in enumerate(_WEEKDAYS)}
_FOREIGN = {"?": "write *", "L": "this is no cron(5)", "W": "this is no cron(5)", "#": "this is no cron(5)"}

_item = re.compile(r"(\*|[^-/]+)(?:-([^-/]+))?(?:/([0-9]+))?")


@dataclass(frozen=True, slots=True)
class Kind:
    """One of the six fields. `high` is the last number that may be written: Sunday is 0 and 7."""

    name: str
    low: int
    high: int
    names: dict[str, int]


KINDS = (
    Kind("second", 0, 59, {}),
    Kind("minute", 0, 59, {}),
    Kind("hour", 0, 23, {}),
    Kind("day of month", 1, 31, {}),
    Kind("month", 1, 12, MONTHS),
    Kind("day of week", 0, 7, WEEKDAYS),
)


@dataclass(frozen=True, slots=True)
class Field:
    values: tuple[int, ...]  #: in order; of weekdays 0 is Sunday
    star: bool  #: it begins with one, so it does not restrict the day by itself
    all: bool


# Compared by identity: `parse` gives the same one for the same text, and answers are remembered by it.
@dataclass(frozen=True, slots=True, eq=False)
class Expression:
    second: Field
    minute: Field
    hour: Field
    day: Field
    month: Field
    weekday: Field

    @property
    def either_day(self) -> bool:
        """Both days are restricted: cron(5) then takes a day that either of them means."""
        return not self.day.star and not self.weekday.star


@functools.lru_cache(maxsize=100_000)
def parse(text: str, path: str) -> Expression:
    """Raises InvalidTrigger naming the field and its value."""
    if len(text) > LONGEST:
        raise InvalidTrigger(path, f"has {len(text)} characters; expected at most {LONGEST}")
    written = text.split()
    if len(written) == 1 and written[0].startswith("@"):
        written = _named(written[0], path).split()
    if len(written) not in (5, 6):
        raise InvalidTrigger(
            path,
            f"{written_form.clipped(text)!r} has {len(written)} fields; expected 5 (minute, hour, day of month, month,"
            " day of week), 6 with the second first, or a name such as '@daily'",
        )
    if len(written) == 5:
        written = ["0", *written]
    expression = Expression(*(_field(part, kind, path) for part, kind in zip(written, KINDS, strict=True)))
    _refuse_never(expression, text, path)
    return expression


def _named(name: str, path: str) -> str:
    if name.lower() == "@reboot":
        raise InvalidTrigger(path, "'@reboot' is no time; there is nothing to boot here")
    if name.lower() not in NAMED:
        raise InvalidTrigger(path, f"{written_form.clipped(name)!r} is not known; {written_form.hint(name, NAMED)}")
    return NAMED[name.lower()]


def _field(written: str, kind: Kind, path: str) -> Field:
    values: set[int] = set()
    for item in written.split(","):
        values.update(_values(item, written, kind, path))
    if kind.name == "day of week":
        values = {value % 7 for value in values}
    size = 7 if kind.name == "day of week" else kind.high - kind.low + 1
    return Field(tuple(sorted(values)), written.startswith("*"), len(values) == size)


def _values(item: str, written: str, kind: Kind, path: str) -> range:
    found = _item.fullmatch(item)
    if not found:
        _refuse(kind, written, f"{item!r} is no number, range, step or list" if item else "a list misses a part", path)
    first, last, step = found.groups()
    if first == "*":
        if last is not None:
            _refuse(kind, written, f"{item!r} is no range", path)
        low, high = kind.low, 6 if kind.high == 7 else kind.high
    else:
        low = _number(first, written, kind, path)
        high = low if last is None else _number(last, written, kind, path)
        if last is None and step is not None:
            high = 6 if kind.high == 7 else kind.high
        if kind.high == 7 and high == 0 and last is not None:
            high = 7  # a week may end with Sunday, too
    if low > high:
        _refuse(kind, written, f"{item!r} runs backwards; write two ranges", path)
    every = int(step) if step is not None and len(step) < 5 else 1 if step is None else 10_000
    size = 7 if kind.high == 7 else kind.high - kind.low + 1
    if not 1 <= every <= size:
        _refuse(kind, written, f"the step {step[:20]} is out of range; expected 1 to {size}", path)
    return range(low, high + 1, every)


def _number(written: str, whole: str, kind: Kind, path: str) -> int:
    if written.lower() in kind.names:
        return kind.names[written.lower()]
    if not (written.isascii() and written.isdigit()):
        known = f"; names: {', '.join(kind.names)}" if kind.names else ""
        foreign = next((why for sign, why in _FOREIGN.items() if sign in written), None)
        _refuse(kind, whole, f"{written!r} is no number{f'; {foreign}' if foreign else known}", path)
    if len(written) > 4 or not kind.low <= int(written) <= kind.high:
        _refuse(kind, whole, f"{written[:20]} is out of range; expected {kind.low} to {kind.high}", path)
    return int(written)


def _refuse(kind: Kind, written: str, reason: str, path: str) -> NoReturn:
    raise InvalidTrigger(path, f"{kind.name} {written_form.clipped(written)!r}: {written_form.clipped(reason)}")


def _refuse_never(expression: Expression, text: str, path: str) -> None:
    """No month has the day. A weekday that must hold too comes sooner or later, also on the 29th of February."""
    if not expression.either_day and all(
        expression.day.values[0] > _LONGEST_MONTH[month] for month in expression.month.values
    ):
        raise InvalidTrigger(path, f"{written_form.clipped(text)!r} never comes: no such month has such a day")


# The arithmetic


@functools.lru_cache(maxsize=100_000)
def next_wall(expression: Expression, wall: datetime) -> datetime | None:
    """The first time after `wall` that the expression means, by a clock that is never put forward or back; both are
    naive. Remembered, as many triggers share an expression."""
    start = wall.replace(microsecond=0, tzinfo=UTC) + _SECOND
    found = [fire for trigger in _triggers(expression) if (fire := trigger(None, start)) is not None]
    return min(found).replace(tzinfo=None) if found else None


@functools.lru_cache(maxsize=100_000)
def _triggers(expression: Expression) -> tuple[Callable[[datetime | None, datetime], datetime | None], ...]:
    from apscheduler.triggers.cron import CronTrigger  # a tenth of a second, and not every command needs it

    def made(day: Field | None, weekday: Field | None) -> Callable[[datetime | None, datetime], datetime | None]:
        monday_first = weekday and Field(tuple(sorted((at + 6) % 7 for at in weekday.values)), False, weekday.all)
        trigger = CronTrigger(
            month=_numbers(expression.month),
            day=_numbers(day),
            day_of_week=_numbers(monday_first),
            hour=_numbers(expression.hour),
            minute=_numbers(expression.minute),
            second=_numbers(expression.second),
            timezone=UTC,
        )
        fire: Callable[[datetime | None, datetime], datetime | None] = trigger.get_next_fire_time
        return fire

    if expression.either_day:
        return made(expression.day, None), made(None, expression.weekday)
    return (made(expression.day, expression.weekday),)


def _numbers(field: Field | None) -> str:
    """As APScheduler reads it; runs as ranges, as it looks at every part of a list."""
    if field is None or field.all:
        return "*"
    return ",".join(str(low) if low == high else f"{low}-{high}" for low, high in runs(field.values))


def runs(values: tuple[int, ...]) -> list[tuple[int, int]]:
    """Neighbours together, from the first to the last."""
    found: list[tuple[int, int]] = []
    for value in values:
        if found and found[-1][1] == value - 1:
            found[-1] = (found[-1][0], value)
        else:
            found.append((value, value))
    return found
