"""Moments as people type them: an age (`90s`, `30m`, `1h`, `7d`) or a time with its offset."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import click

_AGE = re.compile(r"([0-9]{1,6})([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


class _Moment(click.ParamType):
    name = "moment"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        age = _age(str(value))
        try:
            if age is not None:
                return (datetime.now(UTC) - age).isoformat()
            moment = datetime.fromisoformat(str(value))
        except (ValueError, OverflowError):
            self.fail(f"{value!r} is no age such as 30m or 7d, and no time such as 2026-03-04T05:06:07Z", param, ctx)
        if moment.tzinfo is None:
            self.fail(f"{value!r} does not say its offset; in UTC it is {value}Z", param, ctx)
        return moment.isoformat()


class _Age(click.ParamType):
    name = "age"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """In seconds."""
        age = _age(str(value))
        if age is None:
            self.fail(f"{value!r} is no age such as 90s, 30m, 1h or 7d", param, ctx)
        return round(age.total_seconds())


def _age(text: str) -> timedelta | None:
    found = _AGE.fullmatch(text)
    return timedelta(**{_UNITS[found[2]]: int(found[1])}) if found else None


MOMENT = _Moment()
AGE = _Age()
