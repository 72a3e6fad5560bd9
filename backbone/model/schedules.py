"""When a Cron trigger fires: its expression, its time zone, and what becomes of fires that could not be. Pure."""

from __future__ import annotations

import difflib
import functools
import zoneinfo
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from hashlib import blake2b
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from backbone.model import cron_expressions, cron_words, wall_clocks, written_form
from backbone.model.cron_expressions import Expression
from backbone.model.errors import InvalidTrigger

JITTER_LIMITS = (0, 3600)  # seconds
YEARS = (1970, 2999)
_AN_INSTANT = timedelta(microseconds=1)


class Misfire(StrEnum):
    """What becomes of fires that nobody was there to make."""

    SKIP = "skip"
    ONE = "one"
    ALL = "all"


class Overlap(StrEnum):
    """What becomes of a fire while an execution of the same trigger goes on."""

    ALLOW = "allow"
    SKIP = "skip"
    QUEUE = "queue"


class WrittenSchedule(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """The fields of `spec` that say when."""

    cron: str
    start_at: datetime | None = None
    end_at: datetime | None = None
    timezone: str | None = None
    misfire: Misfire = Misfire.ONE
    overlap: Overlap = Overlap.ALLOW
    jitter: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    cron: str  #: as it was written
    timezone: str = "UTC"
    start_at: datetime | None = None  #: the first moment that may be a fire
    end_at: datetime | None = None  #: the last one
    misfire: Misfire = Misfire.ONE
    overlap: Overlap = Overlap.ALLOW
    jitter: timedelta = timedelta(0)

    @property
    def expression(self) -> Expression:
        return cron_expressions.parse(self.cron, "cron")


def parse(written: WrittenSchedule, prefix: str) -> Schedule:
    """Raises InvalidTrigger naming the field and its value."""
    cron_expressions.parse(written.cron, f"{prefix}cron")
    timezone = written.timezone or "UTC"
    zone = _zone(timezone, f"{prefix}timezone")
    low, high = JITTER_LIMITS
    if not low <= written.jitter <= high:
        raise InvalidTrigger(f"{prefix}jitter", f"{written.jitter} is out of range; expected {low} to {high} seconds")
    start_at = _moment(written.start_at, zone, f"{prefix}startAt")
    end_at = _moment(written.end_at, zone, f"{prefix}endAt")
    if start_at and end_at and end_at < start_at:
        raise InvalidTrigger(f"{prefix}endAt", f"'{_text(end_at)}' is before startAt, '{_text(start_at)}'")
    return Schedule(
        cron=written.cron,
        timezone=timezone,
        start_at=start_at,
        end_at=end_at,
        misfire=written.misfire,
        overlap=written.overlap,
        jitter=timedelta(seconds=written.jitter),
    )


def _zone(name: str, path: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):  # OSError: a name such as Europe, which is a folder
        known = {zone.lower(): zone for zone in zoneinfo.available_timezones()}
        near = difflib.get_close_matches(written_form.clipped(name).lower(), known, n=1, cutoff=0.5)
        hint = f"did you mean {known[near[0]]!r}?" if near else "expected an IANA name such as 'Europe/Berlin'"
        raise InvalidTrigger(path, f"{written_form.clipped(name)!r} is not a known time zone; {hint}") from None


def _moment(written: datetime | None, zone: ZoneInfo, path: str) -> datetime | None:
    """A time without an offset is one of the trigger's own zone."""
    if written is None:
        return None
    low, high = YEARS
    if not low < written.year < high:
        raise InvalidTrigger(path, f"the year {written.year} is out of range; expected {low + 1} to {high - 1}")
    return (written if written.tzinfo else written.replace(tzinfo=zone)).astimezone(UTC)


def document(schedule: Schedule) -> dict[str, Any]:
    """As `spec` shows it, and as it is stored."""
    return {
        "cron": schedule.cron,
        "startAt": _text(schedule.start_at),
        "endAt": _text(schedule.end_at),
        "timezone": schedule.timezone,
        "misfire": schedule.misfire.value,
        "overlap": schedule.overlap.value,
        "jitter": int(schedule.jitter.total_seconds()),
    }


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat().replace("+00:00", "Z")


def stored(schedule: Schedule) -> str:
    return msgspec.json.encode(document(schedule)).decode()


@functools.lru_cache(maxsize=100_000)
def from_stored(text: str) -> Schedule:
    """What `stored` gave. Remembered: a scheduler reads the same ones again and again."""
    return parse(msgspec.json.decode(text, type=WrittenSchedule), "")


def next_fire(schedule: Schedule, after: datetime) -> datetime | None:
    """The first fire after `after`; None when there is none any more."""
    if schedule.start_at is not None:
        after = max(after, schedule.start_at - _AN_INSTANT)
    if (schedule.end_at is not None and after >= schedule.end_at) or after.year >= YEARS[1]:
        return None
    expression = schedule.expression
    next_wall = functools.partial(cron_expressions.next_wall, expression)
    fire = wall_clocks.following(after, ZoneInfo(schedule.timezone), next_wall, every_hour=expression.hour.all)
    return None if fire is None or (schedule.end_at is not None and fire > schedule.end_at) else fire


def next_fires(schedule: Schedule, after: datetime, count: int) -> list[datetime]:
    """At most `count`, in order."""
    fires: list[datetime] = []
    while len(fires) < count and (fire := next_fire(schedule, after)) is not None:
        fires.append(fire)
        after = fire
    return fires


def delay(schedule: Schedule, trigger_id: str, fire: datetime) -> timedelta:
    """How much later than its time this fire is due: some part of the jitter, always the same for the same fire."""
    if not schedule.jitter:
        return timedelta(0)
    digest = blake2b(f"{trigger_id}\x00{fire.isoformat()}".encode(), digest_size=4).digest()
    return schedule.jitter * int.from_bytes(digest, "big") / 2**32


def due_at(schedule: Schedule, trigger_id: str, fire: datetime | None) -> datetime | None:
    return None if fire is None else fire + delay(schedule, trigger_id, fire)


def in_words(schedule: Schedule) -> str:
    """`at 05:00 every day, Europe/Berlin`"""
    words = f"{cron_words.sentence(schedule.expression)}, {schedule.timezone}"
    if schedule.start_at:
        words += f", from {schedule.start_at:%Y-%m-%d %H:%M}"
    if schedule.end_at:
        words += f", until {schedule.end_at:%Y-%m-%d %H:%M}"
    return words
