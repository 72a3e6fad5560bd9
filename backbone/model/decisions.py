"""Why a trigger fired at an event, or did not: told from the event, the trigger's version, and what was recorded. Pure.

What was recorded goes before what is computed: an execution is the proof that it fired, whatever the version of that
moment says. Where nothing is recorded, the version in force when the event was received says why, by the test that the
matcher's own filter compiles to (docs/decisions/0017-explanations-are-computed.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import cached_property
from typing import Final
from uuid import UUID

import msgspec

from backbone.model import dql
from backbone.model.causation import Link
from backbone.model.conditions import Labels
from backbone.model.dql import Explanation
from backbone.model.events import RecordedEvent

NEAR: Final = timedelta(seconds=2)
"""A change nearer than this to the event may have been on its way: the engine follows within milliseconds, and looks
each second for what no notification told of."""


class Outcome(StrEnum):
    """In the order in which they are told, as far as the same is missing."""

    FIRED = "fired"
    STOPPED = "stopped"
    CLAIMED = "claimed"
    WAITING = "waiting"
    UNRECORDED = "unrecorded"
    PAUSED = "paused"
    SERVICE_PAUSED = "service-paused"
    DELETED = "deleted"
    NOT_YET = "not-yet"
    UNREADABLE = "unreadable"
    FILTER = "filter"


_NEVER: Final = datetime.max.replace(tzinfo=UTC)
_MATCHED: Final = frozenset({Outcome.FIRED, Outcome.STOPPED})
UNEXPLAINED: Final = frozenset({Outcome.WAITING, Outcome.UNRECORDED})
"""It matches, and without a claim there is no reason why it did not fire."""
_KEPT_OFF: Final = frozenset({Outcome.PAUSED, Outcome.SERVICE_PAUSED, Outcome.DELETED, Outcome.NOT_YET})
_BY_FILTER: Final = _KEPT_OFF | {Outcome.FILTER}
_ORDER: Final = {outcome: place for place, outcome in enumerate(Outcome)}


# Structs that the collector leaves alone, as there are ten thousand in an answer.
class Candidate(msgspec.Struct, frozen=True, gc=False):
    """A version that listens to the event's resource and action, in force when it was received, or the first after."""

    trigger_id: str
    version: int
    written: str  #: its filter
    later: bool  #: made after the event was received
    deleted: bool
    active: bool
    service_active: bool


class Verdict(msgspec.Struct, frozen=True, gc=False):
    trigger_id: str
    version: int
    outcome: Outcome
    missing: int  #: conditions, and whatever else kept it off: 0 for what matched
    failing: Labels = ()

    @property
    def key(self) -> tuple[str, int]:
        """Of the version that it is about."""
        return self.trigger_id, self.version

    @property
    def order(self) -> tuple[int, int, str]:
        """Near misses first."""
        return self.missing, _ORDER[self.outcome], self.trigger_id


@dataclass(frozen=True)
class Version:
    """What else is told of one, for the few that are told of."""

    name: str
    at: datetime
    until: datetime | None
    written: str  #: its filter

    @cached_property
    def filter(self) -> dql.Filter:
        return dql.compile(msgspec.json.decode(self.written))


@dataclass(frozen=True, slots=True)
class FiredExecution:
    id: UUID
    status: str
    trigger_version: int | None  #: None for one recorded before versions were


@dataclass(frozen=True, slots=True)
class Stop:
    reason: str
    chain: tuple[Link, ...]


@dataclass(frozen=True, slots=True)
class HeldClaim:
    event_id: str
    execution_id: UUID
    claimed_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """What is known of an event, by trigger. `claims`: of those that match and have neither execution nor stop."""

    event_id: str
    received: datetime
    executions: Mapping[str, FiredExecution] = field(default_factory=dict)
    stops: Mapping[str, Stop] = field(default_factory=dict)
    claims: Mapping[str, HeldClaim] = field(default_factory=dict)
    waiting: bool = False  #: the engine has not come to it yet
    unreadable: str | None = None  #: why no filter could be asked


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Why triggers fired at this event, or did not."""

    event: RecordedEvent
    entity: object  #: decoded; None when it does not read
    recorded: Recorded

    def sentence(self, of: Verdict, version: Version | None) -> tuple[str, Explanation | None]:
        """The reason in words, and what of the filter decided."""
        if version is None or self.entity is None or of.outcome not in _BY_FILTER:
            return sentence(of, version, self.recorded, None), None
        told = version.filter.explain(self.entity)
        return sentence(of, version, self.recorded, told), told

    def near_change(self, of: Verdict, version: Version | None) -> bool:
        """Of what did not fire: the trigger was changed so near that the engine may have held the other version."""
        if version is None or of.outcome in _MATCHED:
            return False
        received = self.event.received
        return abs(version.at - received) < NEAR or (version.until or _NEVER) - received < NEAR


def verdict(candidate: Candidate, failing: Labels, recorded: Recorded) -> Verdict:
    """`failing`: conditions of the candidate's filter, asked of the entity where it reads."""
    trigger_id = candidate.trigger_id
    execution = recorded.executions.get(trigger_id)
    if execution is not None:
        return Verdict(trigger_id, execution.trigger_version or candidate.version, Outcome.FIRED, 0)
    outcome = _outcome(candidate, failing, recorded)
    if outcome in _MATCHED:
        return Verdict(trigger_id, candidate.version, outcome, 0)
    return Verdict(trigger_id, candidate.version, outcome, len(failing) + (outcome in _KEPT_OFF), failing)


def with_claim(of: Verdict, claim: HeldClaim, event_id: str) -> Verdict:
    outcome = Outcome.FIRED if claim.event_id == event_id else Outcome.CLAIMED
    return msgspec.structs.replace(of, outcome=outcome)


def _outcome(candidate: Candidate, failing: Labels, recorded: Recorded) -> Outcome:
    if candidate.trigger_id in recorded.stops:
        return Outcome.STOPPED
    if candidate.later:
        return Outcome.NOT_YET
    if candidate.deleted:
        return Outcome.DELETED
    if not candidate.active:
        return Outcome.PAUSED
    if not candidate.service_active:
        return Outcome.SERVICE_PAUSED
    if recorded.unreadable is not None:
        return Outcome.UNREADABLE
    if failing:
        return Outcome.FILTER
    return Outcome.WAITING if recorded.waiting else Outcome.UNRECORDED


def sentence(given: Verdict, version: Version | None, recorded: Recorded, told: Explanation | None) -> str:
    """`told`: of the version's filter; None where the entity does not read."""
    said = _said(given, version, recorded, told)
    if given.outcome in _KEPT_OFF and told is not None:
        return f"{said}; its filter holds" if told.verdict else f"{said}; {told.sentence}"
    return said


def _said(given: Verdict, version: Version | None, recorded: Recorded, told: Explanation | None) -> str:
    claim = recorded.claims.get(given.trigger_id)
    match given.outcome:
        case Outcome.FIRED:
            execution = recorded.executions.get(given.trigger_id)
            if execution is None:
                return f"its execution {claim.execution_id if claim else ''} is not kept any more"
            return f"execution {execution.id} is {execution.status}"
        case Outcome.STOPPED:
            return recorded.stops[given.trigger_id].reason
        case Outcome.CLAIMED if claim is not None:
            return f"Once: event {claim.event_id} claimed the entity at {_written(claim.claimed_at)}"
        case Outcome.WAITING:
            return "it matches, and the engine has not come to the event yet"
        case Outcome.PAUSED:
            return "the trigger was paused"
        case Outcome.SERVICE_PAUSED:
            return "the trigger's service was stopped"
        case Outcome.DELETED if version is not None:
            return f"the trigger was deleted at {_written(version.at)}"
        case Outcome.NOT_YET if version is not None:
            return f"the first version that listens to this, {given.version}, was made at {_written(version.at)}"
        case Outcome.UNREADABLE:
            return f"the entity does not read: {recorded.unreadable}"
        case Outcome.FILTER if told is not None:
            return told.sentence
    return (
        f"version {given.version} matches and nothing is recorded: the engine held another version when it came to the"
        " event, or what was recorded is gone"
    )


def _written(moment: datetime) -> str:
    return moment.isoformat(sep=" ", timespec="milliseconds")
