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
        age = _AGE.fullmatch(str(value))
        try:
            if age:
                return (datetime.now(UTC) - timedelta(**{_UNITS[age[2]]: int(age[1])})).isoformat()
            moment = datetime.fromisoformat(str(value))
        except (ValueError, OverflowError):
            self.fail(
                f"{value!r} is neither an age such as 30m or 7d, nor a time such as 2026-03-04T05:06:07Z", param, ctx
            )
        if moment.tzinfo is None:
            self.fail(f"{value!r} does not say its offset; in UTC it is {value}Z", param, ctx)
        return moment.isoformat()


MOMENT = _Moment()
