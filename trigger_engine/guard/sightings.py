"""What was recorded lately without a chain: the rates that make a trigger, or one of its entities, suspect.

Counted is what the store had not recorded before, by the minute in which its event was received: a batch that comes
again changes nothing. A suspect is no loop yet: what it is, is found out by `watching` it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from backbone.model.executions import NewExecution
from backbone.model.loops import LoopKind
from trigger_engine.guard.circuits import Key
from trigger_engine.guard.lineage import EXPLAINED
from trigger_engine.guard.loops import Limits

KEPT = 64
"""Executions of a trigger that are remembered: the witnesses."""

MOST_TRIGGERS = 10_000
"""That are remembered from one window to the next, those seen last."""

GROWN = 10
"""A rate that was found ordinary is looked at again when it is so many times as high."""

MOST_AGAIN = 10
"""Looks at the same executions, where those before told nothing."""

_AT_LEAST = 1.0  # seconds: what arrives together has no rate


@dataclass(frozen=True, slots=True)
class Suspect:
    key: Key
    project_id: str
    rate: float  #: matches a second
    reason: str
    witnesses: tuple[NewExecution, ...]


@dataclass(slots=True)
class _Seen:
    window: int = 0
    first: int = 0  #: in this window, when; milliseconds
    count: int = 0
    limit: float = 0.0  #: of `count`, when it is to be thought about
    fresh: int = 0  #: since the generations were looked at
    looked: float = 0.0
    again: int = 0  #: looks at the same ones
    entities: dict[str, int] = field(default_factory=dict)
    last: deque[NewExecution] = field(default_factory=lambda: deque(maxlen=KEPT))


class Sightings:
    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._window = round(limits.window.total_seconds() * 1000)
        self._current = 0
        self._seen: dict[str, _Seen] = {}
        self._usual: dict[Key, float] = {}
        self._left_alone: set[str] = set()
        self.suspects: dict[Key, Suspect] = {}
        self.is_due = False  #: some trigger may have gone through enough generations

    def note(self, recorded: Iterable[NewExecution]) -> None:
        """Executions that were not there before, in the order of their events."""
        limits = self._limits
        for new in recorded:
            if new.came_by is not None:
                continue
            seen = self._seen.get(new.trigger_id)
            if seen is None:
                seen = self._seen[new.trigger_id] = _Seen()
            seen.last.append(new)
            at = milliseconds(new.id)
            if (window := at // self._window) != seen.window:
                seen.window, seen.first, seen.count, seen.limit = window, at, 0, limits.trigger_matches
                seen.entities.clear()
                if window > self._current:
                    self._turn(window)
            seen.count += 1
            seen.fresh += 1
            if seen.fresh == limits.generations:
                seen.again = 0
                self.is_due = True
            if not new.once:
                count = seen.entities[new.pair] = seen.entities.get(new.pair, 0) + 1
                if count > limits.entity_matches:
                    self._suspect_entity(new, seen, count)
            if seen.count > seen.limit:
                self._suspect_trigger(new, seen)

    def pardon(self, usual: dict[Key, float]) -> None:
        """Rates a window that were found ordinary."""
        self._usual = usual

    def is_pardoned(self, key: Key) -> bool:
        """Generations tell nothing new of it; only a rate that has grown does."""
        return key in self._usual

    def look_again(self, trigger_id: str) -> None:
        """Soon, a few times: too little was known of its runs."""
        seen = self._seen.get(trigger_id)
        if seen is not None and seen.again < MOST_AGAIN:
            seen.fresh, seen.looked = self._limits.generations, 0
            seen.again += 1

    def leave_alone(self, trigger_id: str) -> None:
        """Until the next window: the trigger does not want to be kept from loops."""
        self._left_alone.add(trigger_id)

    def to_look_at(self, now: float, limit: int) -> list[tuple[str, list[NewExecution]]]:
        """Triggers that may have gone through enough generations, each at most once a second."""
        found: list[tuple[str, list[NewExecution]]] = []
        self.is_due = False
        for trigger_id, seen in self._seen.items():
            if seen.fresh >= self._limits.generations and now - seen.looked >= 1 and len(found) < limit:
                seen.fresh, seen.looked = 0, now
                if not self.is_pardoned(Key(trigger_id, LoopKind.TRIGGER, "")) and trigger_id not in self._left_alone:
                    found.append((trigger_id, list(seen.last)))
        return found

    def witnesses(self, key: Key) -> tuple[NewExecution, ...]:
        seen = self._seen.get(key.trigger_id)
        if seen is None:
            return ()
        return tuple(new for new in seen.last if key.kind is LoopKind.TRIGGER or new.pair == key.loop)

    def _suspect_entity(self, new: NewExecution, seen: _Seen, count: int) -> None:
        key = Key(new.trigger_id, LoopKind.ENTITY, new.pair)
        if key not in self.suspects and count > GROWN * self._usual.get(key, 0):
            reason = _OFTEN.format(count=count, entity=new.entity_id, seconds=self._window / 1000)
            self._suspect(key, new, rate(count, seen.first, milliseconds(new.id)), reason)

    def _suspect_trigger(self, new: NewExecution, seen: _Seen) -> None:
        key = Key(new.trigger_id, LoopKind.TRIGGER, "")
        seen.limit = GROWN * self._usual.get(key, 0)
        if seen.count > seen.limit:
            seen.limit = 2 * seen.count  # it is asked again if it was left alone
            reason = _MANY.format(count=seen.count, seconds=self._window / 1000)
            self._suspect(key, new, rate(seen.count, seen.first, milliseconds(new.id)), reason)

    def _suspect(self, key: Key, new: NewExecution, rate: float, reason: str) -> None:
        if key not in self.suspects and key.trigger_id not in self._left_alone:
            self.suspects[key] = Suspect(key, new.project_id, rate, reason, self.witnesses(key))

    def _turn(self, window: int) -> None:
        self._current = window
        self._left_alone.clear()
        if len(self._seen) > MOST_TRIGGERS:
            by_age = sorted(self._seen.items(), key=lambda item: milliseconds(item[1].last[-1].id))
            self._seen = dict(by_age[-MOST_TRIGGERS:])


def who_feeds_itself(trigger_id: str, last: Sequence[NewExecution]) -> Suspect:
    """One entity going round is told from new ones each round."""
    pairs = [new.pair for new in last]
    commonest = max(set(pairs), key=pairs.count)
    alone = pairs.count(commonest) >= EXPLAINED * len(pairs)
    key = Key(trigger_id, LoopKind.ENTITY, commonest) if alone else Key(trigger_id, LoopKind.TRIGGER, "")
    pace = rate(len(last), milliseconds(last[0].id), milliseconds(last[-1].id))
    return Suspect(key, last[-1].project_id, pace, _WITHIN.format(count=len(last)), tuple(last))


def milliseconds(execution_id: UUID) -> int:
    """Since 1970, when the event was received."""
    return execution_id.int >> 80


def rate(count: int, first: int, last: int) -> float:
    """A second, of so many between two moments in milliseconds."""
    return count / max((last - first) / 1000, _AT_LEAST)


_OFTEN = "{entity!r} matched {count} times within {seconds:g} s, and no event brought a chain"
_WITHIN = "{count} events without a chain came from within runs of the same trigger, one after the other"
_MANY = "{count} events without a chain matched within {seconds:g} s"
