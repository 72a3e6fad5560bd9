"""A cron expression as a sentence: `at 05:00 on Mondays`. Pure.

Expressions that mean different times read differently.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from backbone.model.cron_expressions import Expression, Field, runs

MOST_TIMES = 6
"""More times of the day than this are told by hours and minutes."""

_WEEKDAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
_MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip


def sentence(expression: Expression) -> str:
    parts = [_times(expression), _days(expression)]
    if not expression.month.all:
        parts.append(f"in {_listed(expression.month, lambda at: _MONTHS[at - 1])}")
    return " ".join(part for part in parts if part)


def _times(expression: Expression) -> str:
    second, minute, hour = expression.second, expression.minute, expression.hour
    if len(second.values) * len(minute.values) * len(hour.values) <= MOST_TIMES:
        times = [(h, m, s) for h in hour.values for m in minute.values for s in second.values]
        short = second.values == (0,)
        return "at " + _joined([f"{h:02}:{m:02}" if short else f"{h:02}:{m:02}:{s:02}" for h, m, s in times])
    words = []
    if second.values != (0,):
        words.append(_every(second, "second", 60))
    if not minute.all or second.values == (0,):
        words.append(_every(minute, "minute", 60))
    elif not second.all and not _steps(second, 60):
        words.append("of every minute")
    if not hour.all:
        words.append(_hours(hour))
    elif not _steps(minute, 60) and not minute.all:
        words.append("of every hour")
    return " ".join(words)


def _every(field: Field, unit: str, size: int) -> str:
    if field.all:
        return f"every {unit}"
    if step := _steps(field, size):
        return f"every {step} {unit}s"
    return f"at {unit}{'s' if len(field.values) > 1 else ''} {_listed(field, str)}"


def _hours(hour: Field) -> str:
    if step := _steps(hour, 24):
        return f"of every {_ordinal(step)} hour from 00:00"
    return f"in the hour{'s' if len(hour.values) > 1 else ''} {_listed(hour, lambda at: f'{at:02}')}"


def _steps(field: Field, size: int) -> int | None:
    """The step of values that go evenly round from 0."""
    step = field.values[1] if len(field.values) > 1 else 0
    return step if step > 1 and size % step == 0 and field.values == tuple(range(0, size, step)) else None


def _days(expression: Expression) -> str:
    day, weekday = expression.day, expression.weekday
    of_month = "" if day.all else f"on the {_listed(day, _ordinal)} of the month"
    if expression.either_day:
        # Either of them is enough, so that one which means every day makes it every day.
        if day.all or weekday.all:
            return "every day"
        return f"{of_month} or {_on_weekdays(weekday)}"
    if weekday.all:
        return of_month or "every day"
    if day.all:
        return _on_weekdays(weekday)
    return f"{of_month} if it is {_listed(weekday, lambda at: _WEEKDAYS[at], 'or')}"


def _on_weekdays(weekday: Field) -> str:
    if weekday.values == (1, 2, 3, 4, 5):
        return "on weekdays"
    return f"on {_joined([f'{_WEEKDAYS[at]}s' for at in weekday.values])}"


def _listed(field: Field, name: Callable[[int], str], last: str = "and") -> str:
    """`1, 5 to 9 and 20`"""
    words = []
    for low, high in runs(field.values):
        near = high - low < 2
        words += [name(at) for at in range(low, high + 1)] if near else [f"{name(low)} to {name(high)}"]
    return _joined(words, last)


def _joined(words: Sequence[str], last: str = "and") -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} {last} {words[-1]}"


def _ordinal(number: int) -> str:
    ending = "th" if number in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"
