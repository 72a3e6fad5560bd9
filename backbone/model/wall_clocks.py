"""From the times that a schedule names to the moments they are, where clocks are put forward and back. Pure.

A schedule that names its hours means each of these times once a day: a time that is passed over in spring comes at the
moment the clock is put forward, and one that comes twice in autumn counts the first time. A schedule of every hour goes
on by the hour: what spring passes over is not there, and in autumn both hours count.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

NextWall = Callable[[datetime], datetime | None]

_AN_INSTANT = timedelta(microseconds=1)
_NONE = timedelta(0)


def following(after: datetime, zone: ZoneInfo, next_wall: NextWall, *, every_hour: bool) -> datetime | None:
    """The first moment after `after`, in UTC. `next_wall` gives the first time after another, by the clock on the
    wall; both are naive."""
    if zone.key == "UTC":
        found = next_wall(after.astimezone(UTC).replace(tzinfo=None))
        return None if found is None else found.replace(tzinfo=UTC)
    local = after.astimezone(zone)
    wall = local.replace(tzinfo=None, fold=0)
    if every_hour:
        return _by_the_hour(after, wall, local.fold, zone, next_wall)
    return _each_once(after, wall, local.fold, zone, next_wall)


def _each_once(after: datetime, wall: datetime, fold: int, zone: ZoneInfo, next_wall: NextWall) -> datetime | None:
    if fold:
        # In an hour that comes again: all of it was there already, so what follows is after its end.
        again = -_step(wall, zone)
        back = _change(zone, after - again, after)
        wall = _wall(back, zone) + again - _AN_INSTANT
    following = next_wall(wall)
    while following is not None and _moment(following, zone) <= after:
        following = next_wall(following)
    return None if following is None else _moment(following, zone)


def _by_the_hour(after: datetime, wall: datetime, fold: int, zone: ZoneInfo, next_wall: NextWall) -> datetime | None:
    following = next_wall(wall)
    again = -_step(wall, zone)
    if again > _NONE and not fold and (following is None or _step(following, zone) >= _NONE):
        # The last time of an hour that comes again: on with its second coming.
        fold = 1
        following = next_wall(_wall(_change(zone, after, after + again), zone) - _AN_INSTANT)
    while following is not None and _step(following, zone) > _NONE:
        following = next_wall(_wall(_moment(following, zone), zone) - _AN_INSTANT)
    return None if following is None else following.replace(tzinfo=zone, fold=fold).astimezone(UTC)


def _moment(wall: datetime, zone: ZoneInfo) -> datetime:
    """The first moment of this time; of a time that is passed over, the moment when the clock is put forward."""
    first = wall.replace(tzinfo=zone).astimezone(UTC)
    if _step(wall, zone) > _NONE:
        return _change(zone, wall.replace(tzinfo=zone, fold=1).astimezone(UTC), first)
    return first


def _step(wall: datetime, zone: ZoneInfo) -> timedelta:
    """How far the clock is put forward over this time: less than nothing for one that comes twice."""
    before, after = (wall.replace(tzinfo=zone, fold=fold).utcoffset() for fold in (0, 1))
    return (after or _NONE) - (before or _NONE)


def _wall(moment: datetime, zone: ZoneInfo) -> datetime:
    return moment.astimezone(zone).replace(tzinfo=None, fold=0)


def _change(zone: ZoneInfo, low: datetime, high: datetime) -> datetime:
    """The moment between the two, to the second, at which the clock is put forward or back."""
    low_second, high_second = int(low.timestamp()), -int(-high.timestamp() // 1)
    before = datetime.fromtimestamp(low_second, zone).utcoffset()
    while high_second - low_second > 1:
        middle = (low_second + high_second) // 2
        if datetime.fromtimestamp(middle, zone).utcoffset() == before:
            low_second = middle
        else:
            high_second = middle
    return datetime.fromtimestamp(high_second, UTC)
