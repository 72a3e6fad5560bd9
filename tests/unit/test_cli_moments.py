"""Moments as people type them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import click
import pytest

from launcher.cli.moments import AGE, MOMENT


@pytest.mark.parametrize(("typed", "age"), [("90s", 90), ("30m", 1800), ("1h", 3600), ("7d", 604_800)])
def test_an_age_is_a_time_ago(typed: str, age: int) -> None:
    assert AGE.convert(typed, None, None) == age
    moment = datetime.fromisoformat(MOMENT.convert(typed, None, None))
    assert abs(datetime.now(UTC) - timedelta(seconds=age) - moment) < timedelta(minutes=1)


def test_a_time_with_its_offset_is_itself() -> None:
    assert MOMENT.convert("2026-03-04T05:06:07Z", None, None) == "2026-03-04T05:06:07+00:00"


@pytest.mark.parametrize("typed", ["", "yesterday", "1y", "-1h", "2026-03-04T05:06:07", "999999d"])
def test_what_is_no_moment_is_refused_with_an_example(typed: str) -> None:
    with pytest.raises(click.BadParameter):
        MOMENT.convert(typed, None, None)
