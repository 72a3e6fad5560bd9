"""Why a trigger fired at an event, or did not: told from the event, the trigger's version, and what was recorded. Pure.

What was recorded goes before what is computed: an execution is the proof that it fired, whatever the version of that
moment says. Where nothing is recorded, the version in force when the event was received says why, by the test that the
matcher's own filter compiles to (docs/decisions/0017-explanations-are-computed.md).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

import msgspec

from backbone.model.causation import Link
from backbone.model.dql import Comparison, ElementMatch, Explanation, Expression, Filter, Nor
from backbone.model.dql.conjunctions import Literal
from backbone.model.dql.evaluation import compiled
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
_KEPT_OFF: Final = frozenset({Outcome.PAUSED, Outcome.SERVICE_PAUSED, Outcome.DELETED, Outcome.NOT_YET})
_ORDER: Final = {outcome: place for place, outcome in enumerate(Outcome)}


class Condition:
    """A condition of filters, one for all that say the same, so that it is asked once of an event."""

    __slots__ = ("holds", "label")

    def __init__(self, expression: Expression) -> None:
        self.holds = compiled(expression)
        self.label = _label(expression)


def _label(of: Expression) -> str:
    """Without what it asks for: triggers that miss by the same label are told of together."""
    if isinstance(of, Comparison):
        return f"{of.path} {of.operator}"
    if isinstance(of, ElementMatch):
        return f"{of.path} $match"
    return "$nor" if isinstance(of, Nor) else "$or"


class Conditions:
    """Those of many filters."""

    def __init__(self) -> None:
        self._by_key: dict[Hashable, Condition] = {}

    def of(self, filter_: Filter) -> tuple[Condition, ...]:
        return tuple([self._one(expression) for expression in filter_.conditions()])

    def _one(self, expression: Expression) -> Condition:
        # By its words: True and 1 are equal to Python.
        key = Literal(expression, True).key() if isinstance(expression, Comparison) else repr(expression)
        found = self._by_key.get(key)
        if found is None:
            found = self._by_key[key] = Condition(expression)
        return found


@dataclass(frozen=True, slots=True)
class KnownVersion:
    """What of a version never changes, its filter compiled."""

    name: str
    once: bool
    org_wide: bool
    filter: Filter
    conditions: tuple[Condition, ...]


# Structs, as there are ten thousand in an answer.
class Candidate(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A version that listens to the event's resource and action, in force when it was received, or the first after."""

    trigger_id: str
    version: int
    at: datetime
    until: datetime | None
    active: bool
    deleted: bool
    service_active: bool


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


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    trigger_id: str
    version: int
    outcome: Outcome
    missing: int  #: conditions, and whatever else kept it off: 0 for what matched
    failing: tuple[Condition, ...] = ()

    @property
    def order(self) -> tuple[int, int, str]:
        """Near misses first."""
        return self.missing, _ORDER[self.outcome], self.trigger_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """An event and the triggers that are asked about, each by one version."""

    event: RecordedEvent
    entity: object  #: decoded; None when it does not read
    candidates: Mapping[str, Candidate]
    known: Mapping[tuple[str, int], KnownVersion]
    recorded: Recorded
    held: dict[Condition, bool] = field(default_factory=dict)  #: what was asked of the entity already

    def version_of(self, trigger_id: str) -> KnownVersion | None:
        candidate = self.candidates[trigger_id]
        return self.known.get((trigger_id, candidate.version))

    def verdict(self, trigger_id: str) -> Verdict:
        return verdict(self.candidates[trigger_id], self._failing(trigger_id), self.recorded)

    def _failing(self, trigger_id: str) -> tuple[Condition, ...]:
        known, entity, held = self.version_of(trigger_id), self.entity, self.held
        if known is None or entity is None:
            return ()
        failing: tuple[Condition, ...] = ()
        for condition in known.conditions:
            holds = held.get(condition)
            if holds is None:
                holds = held[condition] = condition.holds(entity)
            if not holds:
                failing = (*failing, condition)
        return failing

    def sentence(self, of: Verdict) -> tuple[str, Explanation | None]:
        """The reason in words, and what of the filter decided."""
        known = self.version_of(of.trigger_id)
        told = known.filter.explain(self.entity) if known is not None and self.entity is not None else None
        return sentence(of, self.candidates[of.trigger_id], self.recorded, told), told

    def near_change(self, of: Verdict) -> bool:
        """Of what did not fire: the trigger was changed so near that the engine may have held the other version."""
        if of.outcome in (Outcome.FIRED, Outcome.STOPPED):
            return False
        candidate, received = self.candidates[of.trigger_id], self.event.received
        return abs(candidate.at - received) < NEAR or (candidate.until or _NEVER) - received < NEAR

    def undecided(self, verdicts: Iterable[Verdict]) -> dict[str, tuple[str, str]]:
        """Those that only a claim can explain, and its key: trigger and entity as it stands there."""
        event = self.event.event
        keys = {}
        unexplained = [one for one in verdicts if one.outcome in (Outcome.WAITING, Outcome.UNRECORDED)]
        for one in unexplained:
            known = self.version_of(one.trigger_id)
            if known is not None and known.once:
                prefix = f"{event.project_id}/" if known.org_wide else ""
                keys[one.trigger_id] = (one.trigger_id, prefix + event.entity_id)
        return keys


def verdict(candidate: Candidate, failing: tuple[Condition, ...], recorded: Recorded) -> Verdict:
    outcome = _outcome(candidate, failing, recorded)
    matched = outcome in (Outcome.FIRED, Outcome.STOPPED)
    execution = recorded.executions.get(candidate.trigger_id)
    return Verdict(
        trigger_id=candidate.trigger_id,
        version=(execution and execution.trigger_version) or candidate.version,
        outcome=outcome,
        missing=0 if matched else len(failing) + (outcome in _KEPT_OFF),
        failing=() if matched else failing,
    )


def _outcome(candidate: Candidate, failing: tuple[Condition, ...], recorded: Recorded) -> Outcome:
    if candidate.trigger_id in recorded.executions:
        return Outcome.FIRED
    if candidate.trigger_id in recorded.stops:
        return Outcome.STOPPED
    if candidate.at > recorded.received:
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
    claim = recorded.claims.get(candidate.trigger_id)
    if claim is not None:
        return Outcome.FIRED if claim.event_id == recorded.event_id else Outcome.CLAIMED
    return Outcome.WAITING if recorded.waiting else Outcome.UNRECORDED


def sentence(given: Verdict, candidate: Candidate, recorded: Recorded, told: Explanation | None) -> str:
    """`told`: of the version's filter; None where the entity does not read."""
    said = _said(given, candidate, recorded, told)
    if given.outcome in _KEPT_OFF and told is not None:
        return f"{said}; its filter holds" if told.verdict else f"{said}; {told.sentence}"
    return said


def _said(given: Verdict, candidate: Candidate, recorded: Recorded, told: Explanation | None) -> str:
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
        case Outcome.DELETED:
            return f"the trigger was deleted at {_written(candidate.at)}"
        case Outcome.NOT_YET:
            return f"the first version that listens to this, {given.version}, was made at {_written(candidate.at)}"
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
