"""Which fires come and which are missed, decided for a clock that is handed in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from backbone.model import schedules
from backbone.model.fires import DueTrigger, MissedReason, Missing, Turn
from backbone.model.schedules import Misfire, Overlap, Schedule
from dispatcher import fires

DAY = datetime(2025, 6, 15, tzinfo=UTC)
ONE, TWO = UUID(int=1), UUID(int=2)


def at(time: str) -> datetime:
    return datetime.combine(DAY, datetime.strptime(time, "%H:%M:%S" if time.count(":") == 2 else "%H:%M").time(), UTC)


def turn(now: str, next_fire: str, cron: str = "0 * * * *", **more: Any) -> Turn:
    state = {
        name: more.pop(name) for name in ("active", "service_active", "running", "ended", "missing") if name in more
    }
    trigger = DueTrigger(
        **{
            "id": "t1",
            "version": 1,
            "schedule": Schedule(cron=cron, **more),
            "next_fire": at(next_fire),
            "active": True,
            "service_active": True,
            "running": (),
            "ended": frozenset(),
            "missing": None,
            **state,
        }
    )
    [decided] = fires.decide([trigger], at(now))
    return decided


def came(decided: Turn) -> list[str]:
    return [f"{fire:%H:%M}" for fire in decided.fires]


def missed(decided: Turn) -> list[tuple[str, str, int, str]]:
    return [(f"{one.first:%H:%M}", f"{one.last:%H:%M}", one.fires, one.reason.value) for one in decided.missed]


@pytest.mark.parametrize("misfire", Misfire)
def test_a_fire_on_time_comes_under_every_policy(misfire: Misfire) -> None:
    decided = turn("10:00:00", "10:00", misfire=misfire)
    assert (came(decided), missed(decided), decided.next_fire) == (["10:00"], [], at("11:00"))
    late = turn("10:00:30", "10:00", misfire=misfire)
    assert (came(late), missed(late)) == (["10:00"], [])


@pytest.mark.parametrize(
    ("misfire", "coming", "lost"),
    [
        (Misfire.SKIP, [], [("10:00", "12:00", 3, "downtime")]),
        (Misfire.ONE, ["12:00"], [("10:00", "11:00", 2, "downtime")]),
        (Misfire.ALL, ["10:00", "11:00", "12:00"], []),
    ],
)
def test_three_hours_of_downtime(misfire: Misfire, coming: list[str], lost: list[Any]) -> None:
    decided = turn("12:40", "10:00", misfire=misfire)
    assert (came(decided), missed(decided), decided.next_fire) == (coming, lost, at("13:00"))


@pytest.mark.parametrize(
    ("misfire", "coming", "lost"),
    [
        (Misfire.SKIP, [], [("10:00", "10:00", 1, "downtime")]),
        (Misfire.ONE, [], [("10:00", "10:00", 1, "downtime")]),  # it is three hours late
        (Misfire.ALL, ["10:00"], []),
    ],
)
def test_three_hours_of_downtime_of_a_daily_trigger(misfire: Misfire, coming: list[str], lost: list[Any]) -> None:
    decided = turn("13:00", "10:00", "0 10 * * *", misfire=misfire)
    assert (came(decided), missed(decided)) == (coming, lost)


def test_a_fire_that_is_on_time_stands_for_those_that_were_missed_before_it() -> None:
    decided = turn("12:00:05", "10:00", misfire=Misfire.ONE)
    assert (came(decided), missed(decided)) == (["12:00"], [("10:00", "11:00", 2, "downtime")])


def test_all_makes_up_the_latest_hundred_of_the_last_day() -> None:
    decided = turn("12:59:40", "10:00", "* * * * *", misfire=Misfire.ALL)
    assert len(decided.fires) == fires.MOST_MADE_UP
    assert (came(decided)[0], came(decided)[-1]) == ("11:20", "12:59")
    assert missed(decided) == [("10:00", "11:19", 80, "downtime")]


def test_years_of_downtime_are_looked_through_at_once() -> None:
    started = at("10:00") - timedelta(days=3650)
    trigger = DueTrigger(
        id="t1",
        version=1,
        schedule=Schedule(cron="* * * * * *"),
        next_fire=started,
        active=True,
        service_active=True,
        running=(),
        ended=frozenset(),
        missing=None,
    )
    [decided] = fires.decide([trigger], at("10:00"))
    assert decided.fires == tuple(at("09:59:30") + timedelta(seconds=seconds) for seconds in range(31))
    [lost] = decided.missed
    assert (lost.first, lost.last) == (started, at("09:59:29"))
    assert lost.fires >= fires.COUNTED
    assert decided.next_fire == at("10:00:01")


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ({"active": False}, "paused"),
        ({"service_active": False}, "service-paused"),
        ({"active": False, "service_active": False}, "paused"),
    ],
)
def test_a_paused_trigger_keeps_its_schedule_and_misses_its_fires(state: dict[str, bool], reason: str) -> None:
    decided = turn("10:00", "10:00", **state)
    assert (came(decided), missed(decided)) == ([], [("10:00", "10:00", 1, reason)])
    assert decided.next_fire == at("11:00")


def test_what_is_missed_in_a_row_for_one_reason_is_one() -> None:
    missing = Missing(since=at("07:00"), reason=MissedReason.PAUSED)
    going_on = turn("10:00", "10:00", active=False, missing=missing)
    assert missed(going_on) == [("07:00", "10:00", 1, "paused")]
    assert going_on.missing == missing
    other = turn("10:00", "10:00", service_active=False, missing=missing)
    assert missed(other) == [("10:00", "10:00", 1, "service-paused")]
    over = turn("10:00", "10:00", missing=missing)
    assert (came(over), missed(over), over.missing) == (["10:00"], [], None)


@pytest.mark.parametrize(
    ("overlap", "ended", "coming", "waiting", "lost"),
    [
        (Overlap.ALLOW, False, ["10:00"], 0, []),
        (Overlap.SKIP, False, [], 0, [("10:00", "10:00", 1, "overlap")]),
        (Overlap.SKIP, True, ["10:00"], 0, []),
        (Overlap.QUEUE, False, ["10:00"], 1, []),
        (Overlap.QUEUE, True, ["10:00"], 0, []),
    ],
)
def test_a_fire_while_the_one_before_goes_on(
    overlap: Overlap, ended: bool, coming: list[str], waiting: int, lost: list[Any]
) -> None:
    decided = turn(
        "10:00", "10:00", overlap=overlap, running=(ONE, TWO), ended=frozenset({ONE, TWO} if ended else {TWO})
    )
    assert (came(decided), decided.waiting, missed(decided)) == (coming, waiting, lost)


def test_fires_that_are_made_up_together_overlap_too() -> None:
    skipping = turn("12:40", "10:00", misfire=Misfire.ALL, overlap=Overlap.SKIP)
    assert (came(skipping), missed(skipping)) == (["10:00"], [("11:00", "12:00", 2, "overlap")])
    queueing = turn("12:40", "10:00", misfire=Misfire.ALL, overlap=Overlap.QUEUE)
    assert (came(queueing), queueing.waiting) == (["10:00", "11:00", "12:00"], 2)


def test_no_more_than_a_hundred_wait() -> None:
    running = tuple(UUID(int=number) for number in range(fires.MOST_WAITING))
    decided = turn("10:00", "10:00", overlap=Overlap.QUEUE, running=running)
    assert (came(decided), missed(decided)) == ([], [("10:00", "10:00", 1, "overlap")])


def test_a_fire_with_jitter_is_due_later_and_not_late_by_it() -> None:
    jitter = timedelta(minutes=20)
    schedule = Schedule(cron="0 * * * *", jitter=jitter, misfire=Misfire.SKIP)
    due = at("10:00") + schedules.delay(schedule, "t1", at("10:00"))
    decided = turn(f"{due + timedelta(seconds=1):%H:%M:%S}", "10:00", jitter=jitter, misfire=Misfire.SKIP)
    assert came(decided) == ["10:00"]
    assert decided.due == at("11:00") + schedules.delay(schedule, "t1", at("11:00"))


def test_after_the_end_there_is_no_next_fire() -> None:
    decided = turn("10:00", "10:00", end_at=at("10:30"))
    assert (came(decided), decided.next_fire, decided.due) == (["10:00"], None, None)
