"""Schedules: what an expression means, in which zone, and what is refused; judged by croniter and by the calendar."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from croniter import croniter

from backbone.model import cron_expressions, cron_words, schedules, triggers
from backbone.model.errors import InvalidTrigger
from backbone.model.resources import Catalog
from backbone.model.schedules import Misfire, Overlap, Schedule

NOON = datetime(2025, 6, 15, 12, tzinfo=UTC)


def cron(**spec: Any) -> dict[str, Any]:
    operation = {"type": "function", "serviceId": "s1", "functionName": "run"}
    return {"name": "n", "type": "Cron", "spec": {"cron": "0 5 * * *", "operation": operation, **spec}}


def parsed(document: object) -> triggers.TriggerDraft:
    return triggers.parse(document, Catalog(), strict=True)


def fires(expression: str, after: str, count: int, timezone: str = "UTC", **more: Any) -> list[str]:
    """By the clock on the wall, with the offset."""
    zone = ZoneInfo(timezone)
    start = datetime.fromisoformat(after)
    start = start if start.tzinfo else start.replace(tzinfo=zone)
    schedule = Schedule(cron=expression, timezone=timezone, **more)
    found = schedules.next_fires(schedule, start.astimezone(UTC), count)
    return [fire.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S%z") for fire in found]


# What is written


def test_the_document_of_the_platforms_client_is_read() -> None:
    document = {
        "type": "Cron",
        "active": True,
        "projectId": "p1",
        "name": "cron-trigger-name",
        "spec": {
            "startAt": "2020-08-23T00:00:00",
            "endAt": "2024-08-23T00:00:00",
            "cron": "0 5 * * *",
            "input": {},
            "operation": {"type": "function", "serviceId": "s1", "functionName": "my_function"},
        },
    }
    draft = parsed(document)
    assert (draft.service, draft.function_name, draft.project, draft.input) == ("s1", "my_function", "p1", {})
    assert draft.schedule == Schedule(
        cron="0 5 * * *",
        start_at=datetime(2020, 8, 23, tzinfo=UTC),
        end_at=datetime(2024, 8, 23, tzinfo=UTC),
        misfire=Misfire.ONE,
        overlap=Overlap.ALLOW,
    )
    assert schedules.next_fire(draft.schedule, NOON) is None  # it has ended


def test_a_stored_schedule_is_the_one_that_was_written() -> None:
    draft = parsed(
        cron(timezone="Asia/Tokyo", startAt="2025-01-01T09:00:00", misfire="all", overlap="queue", jitter=30)
    )
    assert draft.schedule is not None
    assert draft.schedule.start_at == datetime(2025, 1, 1, tzinfo=UTC)
    assert schedules.from_stored(schedules.stored(draft.schedule)) == draft.schedule
    assert parsed(cron(**schedules.document(draft.schedule))).schedule == draft.schedule


@pytest.mark.parametrize(
    ("document", "path", "reason"),
    [
        (cron(cron="60 * * * *"), "spec.cron", "minute '60': 60 is out of range; expected 0 to 59"),
        (cron(cron="* 24 * * *"), "spec.cron", "hour '24': 24 is out of range; expected 0 to 23"),
        (cron(cron="* * 0 * *"), "spec.cron", "day of month '0': 0 is out of range; expected 1 to 31"),
        (cron(cron="* * * 13 *"), "spec.cron", "month '13': 13 is out of range; expected 1 to 12"),
        (cron(cron="* * * * 8"), "spec.cron", "day of week '8': 8 is out of range; expected 0 to 7"),
        (cron(cron="60 * * * * *"), "spec.cron", "second '60': 60 is out of range; expected 0 to 59"),
        (cron(cron="* * * mai *"), "spec.cron", "month 'mai': 'mai' is no number; names: jan, feb,"),
        (cron(cron="*/0 * * * *"), "spec.cron", "minute '*/0': the step 0 is out of range; expected 1 to 60"),
        (cron(cron="*/90 * * * *"), "spec.cron", "minute '*/90': the step 90 is out of range; expected 1 to 60"),
        (cron(cron="* 22-2 * * *"), "spec.cron", "hour '22-2': '22-2' runs backwards; write two ranges"),
        (cron(cron="1,,2 * * * *"), "spec.cron", "minute '1,,2': a list misses a part"),
        (cron(cron="1-2-3 * * * *"), "spec.cron", "minute '1-2-3': '1-2-3' is no number, range, step or list"),
        (cron(cron="*-5 * * * *"), "spec.cron", "minute '*-5': '*-5' is no range"),
        (cron(cron="0 0 ? * 1"), "spec.cron", "day of month '?': '?' is no number; write *"),
        (cron(cron="0 0 L * *"), "spec.cron", "day of month 'L': 'L' is no number; this is no cron(5)"),
        (cron(cron="٣ * * * *"), "spec.cron", "minute '٣': '٣' is no number"),
        (cron(cron="0 0 30 2 *"), "spec.cron", "'0 0 30 2 *' never comes: no such month has such a day"),
        (cron(cron="* * * *"), "spec.cron", "'* * * *' has 4 fields; expected 5"),
        (cron(cron=""), "spec.cron", "'' has 0 fields"),
        (cron(cron="@dayly"), "spec.cron", "'@dayly' is not known; did you mean '@daily'?"),
        (cron(cron="@reboot"), "spec.cron", "'@reboot' is no time"),
        (cron(cron="0" * 300), "spec.cron", "has 300 characters; expected at most 255"),
        (cron(cron=5), "spec.cron", "expected a string, got a whole number"),
        ({"type": "Cron", "spec": {}}, "spec.cron", "is missing"),
        ({"type": "Cron"}, "spec", "is missing"),
        (cron(timezone="Europe/Berln"), "spec.timezone", "'Europe/Berln' is not a known time zone; did you mean"),
        (cron(timezone="Europe"), "spec.timezone", "'Europe' is not a known time zone"),
        (cron(timezone="../etc/passwd"), "spec.timezone", "is not a known time zone"),
        (cron(startAt="tomorrow"), "spec.startAt", "is not a time such as 2024-05-01T12:00:00Z"),
        (cron(endAt="9999-12-31T00:00:00Z"), "spec.endAt", "the year 9999 is out of range; expected 1971 to 2998"),
        (
            cron(startAt="2025-01-02T00:00:00Z", endAt="2025-01-01T00:00:00Z"),
            "spec.endAt",
            "'2025-01-01T00:00:00Z' is before startAt, '2025-01-02T00:00:00Z'",
        ),
        (cron(misfire="none"), "spec.misfire", "'none' is not known; expected 'skip' or 'one' or 'all'"),
        (cron(overlap="no"), "spec.overlap", "'no' is not known; expected 'allow' or 'skip' or 'queue'"),
        (cron(jitter=-1), "spec.jitter", "-1 is out of range; expected 0 to 3600 seconds"),
        (cron(jitter="30s"), "spec.jitter", "expected a whole number, got a string"),
        (cron(crn="x"), "spec.crn", "did you mean 'cron'?"),
        (cron(resource="Item"), "spec.resource", "is not a known field"),
        (cron(input=[1]), "spec.input", "expected an object of constant arguments"),
        (cron(operation={"type": "webhook"}), "spec.operation.type", "'webhook' is not supported"),
        (cron() | {"global": True}, "global", "a Cron trigger runs in the project of its service alone"),
        (cron() | {"name": ""}, "name", "has 0 characters"),
    ],
)
def test_what_is_wrong_is_told_by_the_field_and_its_value(document: object, path: str, reason: str) -> None:
    with pytest.raises(InvalidTrigger) as found:
        parsed(document)
    assert found.value.path == path
    assert reason in found.value.reason


# What it means


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("@yearly", "2026-01-01 00:00:00"),
        ("@monthly", "2025-07-01 00:00:00"),
        ("@weekly", "2025-06-22 00:00:00"),
        ("@daily", "2025-06-16 00:00:00"),
        ("@hourly", "2025-06-15 13:00:00"),
        ("0 0 * * 0", "2025-06-22 00:00:00"),  # a Sunday
        ("0 0 * * 7", "2025-06-22 00:00:00"),
        ("0 0 * * SUN", "2025-06-22 00:00:00"),
        ("0 0 * * 1", "2025-06-16 00:00:00"),  # a Monday
        ("0 0 * * sat-sun", "2025-06-21 00:00:00"),
        ("0 0 1 JAN-mar *", "2026-01-01 00:00:00"),
        ("30 * * * * *", "2025-06-15 12:00:30"),
        ("5/20 * * * *", "2025-06-15 12:05:00"),
    ],
)
def test_names_and_numbers_are_those_of_cron(expression: str, expected: str) -> None:
    assert fires(expression, "2025-06-15T12:00:00", 1) == [f"{expected}+0000"]


def test_either_day_is_enough_when_both_are_restricted_and_both_must_hold_when_one_begins_with_a_star() -> None:
    # Mondays of June 2025: 2, 9, 16, 23, 30.
    either = fires("0 0 1,16 * 1", "2025-05-31T12:00:00", 6)
    assert [fire[8:10] for fire in either] == ["01", "02", "09", "16", "23", "30"]
    both = fires("0 0 */15 * 1", "2025-05-31T12:00:00", 2)  # the 1st, 16th, 31st, if it is a Monday
    assert [fire[:10] for fire in both] == ["2025-06-16", "2025-09-01"]


def test_a_leap_day_comes_in_leap_years_alone() -> None:
    years = [fire[:4] for fire in fires("0 0 29 2 *", "2092-01-01T00:00:00", 4)]
    assert years == ["2092", "2096", "2104", "2108"]


def test_start_and_end_are_part_of_the_schedule() -> None:
    start, end = datetime(2025, 6, 16, 5, tzinfo=UTC), datetime(2025, 6, 17, 5, tzinfo=UTC)
    schedule = Schedule(cron="0 5 * * *", start_at=start, end_at=end)
    assert schedules.next_fires(schedule, NOON - timedelta(days=100), 9) == [start, end]
    assert schedules.next_fires(schedule, end, 9) == []


def test_expressions_mean_what_croniter_says_they_mean() -> None:
    """10,000 of them. croniter is told to take a star in a day as cron(5) does."""
    chance = random.Random(5)
    for _ in range(10_000):
        expression = random_expression(chance)
        after = datetime(2000, 1, 1) + timedelta(seconds=chance.randrange(10**9))
        judge = croniter(expression, after, implement_cron_bug=True, second_at_beginning=True, ret_type=datetime)
        ours = cron_expressions.next_wall(cron_expressions.parse(expression, "cron"), after)
        assert ours == judge.get_next(), f"{expression!r} after {after}"


DAYS = (1, 28)


def random_expression(chance: random.Random) -> str:
    kinds = [(0, 59), (0, 23), DAYS, (1, 12), (0, 6)]
    if chance.random() < 0.3:
        kinds.insert(0, (0, 59))
    return " ".join(random_field(chance, low, high) for low, high in kinds)


def random_field(chance: random.Random, low: int, high: int) -> str:
    first = chance.randint(low, high - 1)
    last = chance.randint(first + 1, high)  # croniter takes 5-5/2 for something else
    step = chance.randint(1, max(1, (high - low) // 2))
    if (low, high) == DAYS:
        step = chance.choice([4, 7, 8, 9, 11])  # croniter 5 is wrong in February where the 30th or 31st is meant
    number, span = str(first), f"{first}-{last}"
    few = ",".join(str(chance.randint(low, high)) for _ in range(3))
    return chance.choice(["*", "*", f"*/{step}", number, number, span, f"{span}/{step}", few, f"{span},{few}"])


# Summer and winter


SPRING = [
    # zone, the day, a time that is passed over, when the clock is put forward, as it is then
    ("Europe/Berlin", "2025-03-30", "02:30", "03:00:00+0200"),
    ("America/New_York", "2025-03-09", "02:30", "03:00:00-0400"),
    ("Australia/Lord_Howe", "2025-10-05", "02:15", "02:30:00+1100"),  # half an hour
]
AUTUMN = [
    # zone, the day, a time that comes twice, its two offsets
    ("Europe/Berlin", "2025-10-26", "02:30", "+0200", "+0100"),
    ("America/New_York", "2025-11-02", "01:30", "-0400", "-0500"),
    ("Australia/Lord_Howe", "2025-04-06", "01:45", "+1100", "+1030"),
]


@pytest.mark.parametrize(("zone", "day", "time", "moment"), SPRING)
def test_a_time_that_is_passed_over_comes_once_when_the_clock_is_put_forward(
    zone: str, day: str, time: str, moment: str
) -> None:
    hour, minute = time.split(":")
    found = fires(f"{minute} {hour} * * *", f"{day}T00:00:00", 2, zone)
    assert found[0] == f"{day} {moment}"
    assert found[1].split()[1].startswith(f"{time}:00")
    several = fires(f"{int(minute)},{int(minute) + 1} {hour} * * *", f"{day}T00:00:00", 2, zone)
    assert several[0] == f"{day} {moment}"
    assert several[1][:10] > day


@pytest.mark.parametrize(("zone", "day", "time", "first", "second"), AUTUMN)
def test_a_time_that_comes_twice_counts_once(zone: str, day: str, time: str, first: str, second: str) -> None:
    hour, minute = time.split(":")
    found = fires(f"{minute} {hour} * * *", f"{day}T00:00:00", 2, zone)
    assert found[0] == f"{day} {time}:00{first}"
    assert found[1][:10] > day
    within = fires(f"{minute} {hour} * * *", f"{day}T{time}:01{second[:3]}:{second[3:]}", 1, zone)
    assert within == [found[1]]


@pytest.mark.parametrize(("zone", "day"), [(zone, day) for zone, day, *_ in SPRING])
def test_every_quarter_of_an_hour_goes_on_by_the_quarter_in_spring(zone: str, day: str) -> None:
    assert_even("*/15 * * * *", zone, day, timedelta(minutes=15))


@pytest.mark.parametrize(("zone", "day"), [(zone, day) for zone, day, *_ in AUTUMN])
def test_every_quarter_of_an_hour_goes_on_by_the_quarter_in_autumn(zone: str, day: str) -> None:
    assert_even("*/15 * * * *", zone, day, timedelta(minutes=15))
    assert_even("*/10 * * * * *", zone, day, timedelta(seconds=10))


def assert_even(expression: str, zone: str, day: str, step: timedelta) -> None:
    start = datetime.fromisoformat(day).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
    found = schedules.next_fires(Schedule(cron=expression, timezone=zone), start, timedelta(hours=6) // step)
    assert {later - earlier for earlier, later in zip([start, *found], found, strict=False)} == {step}


def test_an_hour_that_comes_twice_on_a_named_day_comes_twice() -> None:
    found = fires("0 * 26 10 *", "2025-10-26T00:00:00", 25, "Europe/Berlin")
    assert [fire[11:13] for fire in found[:4]] == ["01", "02", "02", "03"]
    assert found[-1][:10] == "2026-10-26"


# Jitter and words


def test_jitter_is_within_its_bounds_and_the_same_for_the_same_fire() -> None:
    schedule = Schedule(cron="* * * * *", jitter=timedelta(seconds=30))
    several = {schedules.delay(schedule, f"t{at}", NOON) for at in range(1_000)}
    assert several == {schedules.delay(schedule, f"t{at}", NOON) for at in range(1_000)}
    assert timedelta(0) <= min(several) < timedelta(seconds=1)
    assert timedelta(seconds=29) < max(several) < timedelta(seconds=30)


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("* * * * *", "every minute every day"),
        ("*/5 * * * *", "every 5 minutes every day"),
        ("0 5 * * *", "at 05:00 every day"),
        ("30 9,17 * * 1-5", "at 09:30 and 17:30 on weekdays"),
        ("*/15 9-17 * * *", "every 15 minutes in the hours 09 to 17 every day"),
        ("5 * * * *", "at minute 5 of every hour every day"),
        ("0 0 1,15 * 1", "at 00:00 on the 1st and 15th of the month or on Mondays"),
        ("0 0 */15 * 1", "at 00:00 on the 1st, 16th and 31st of the month if it is Monday"),
        ("0 0 29 2 *", "at 00:00 on the 29th of the month in February"),
        ("*/10 * * * * *", "every 10 seconds every day"),
        ("15 0 5 * * 0", "at 05:00:15 on Sundays"),
        ("0 */2 * 6-8 *", "at minute 0 of every 2nd hour from 00:00 every day in June to August"),
        ("@weekly", "at 00:00 on Sundays"),
    ],
)
def test_an_expression_is_told_in_words(expression: str, words: str) -> None:
    assert cron_words.sentence(cron_expressions.parse(expression, "cron")) == words


def test_the_same_words_mean_the_same_fires() -> None:
    chance = random.Random(6)
    said: dict[str, str] = {}
    for _ in range(5_000):
        expression = random_expression(chance)
        words = cron_words.sentence(cron_expressions.parse(expression, "cron"))
        before = said.setdefault(words, expression)
        if before != expression:
            assert fires(before, "2025-01-01T00:00:00", 3) == fires(expression, "2025-01-01T00:00:00", 3)
    assert len(said) > 4_000


def test_zone_start_and_end_are_in_the_sentence() -> None:
    schedule = Schedule(cron="0 5 * * *", timezone="Asia/Tokyo", end_at=NOON)
    assert schedules.in_words(schedule) == "at 05:00 every day, Asia/Tokyo, until 2025-06-15 12:00"
