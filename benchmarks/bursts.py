"""Ordinary bursts and streams, and what the guard makes of them: its own decisions, with the rest of the engine
simulated in steps of 20 ms. No event here is written by an execution, so whatever is taken for a loop is a mistake."""

from __future__ import annotations

import heapq
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from uuid import UUID

from backbone.model import ids
from backbone.model.executions import NewExecution
from backbone.model.loops import LoopKind
from trigger_engine.guard import lineage, watching
from trigger_engine.guard.circuits import MOST_ENTITIES, Key
from trigger_engine.guard.lineage import Run
from trigger_engine.guard.loops import Limits
from trigger_engine.guard.sightings import Sightings, Suspect, milliseconds, who_feeds_itself
from trigger_engine.guard.watching import Evidence, State
from trigger_engine.patrol import FIRST_PARDON, LONGEST_HOLD, MOST_ARRIVALS

START = datetime(2026, 1, 1, tzinfo=UTC)
STEP = 0.02
LOOK = 0.2
"""Seconds between two looks at what is undecided."""

PATIENCE = 3600
"""Seconds after the last arrival, or without an execution, after which it is over."""

NEVER = Limits(generations=10**9, entity_matches=10**9, trigger_matches=10**9)

_TRIGGER = Key("trigger", LoopKind.TRIGGER, "")
_UNKNOWN: tuple[float | None, float | None] = (None, None)

Arrival = tuple[float, str]
"""Seconds, and the entity."""

Reaction = Callable[[float, random.Random], list[Arrival]]
"""What somebody sends who waited for an execution that has ended."""


@dataclass(frozen=True, slots=True)
class Burst:
    arrivals: list[Arrival]
    took: float  #: seconds in the function, about
    places: int  #: executions at a time
    once: bool = True
    reaction: Reaction | None = None


@dataclass(slots=True)
class Outcome:
    held: int = 0
    later: float = 0.0  #: seconds that the last execution began after it would have without the guard
    taken_for_loop: bool = False


@dataclass
class _Service:
    """Runs what was recorded, first come first served."""

    took: float
    places: int
    chance: random.Random
    waiting: deque[UUID] = field(default_factory=deque)
    busy: list[tuple[float, UUID]] = field(default_factory=list)
    runs: dict[UUID, tuple[float | None, float | None]] = field(default_factory=dict)
    last: float = 0.0  #: when the last began

    def take(self, new: NewExecution) -> None:
        self.runs[new.id] = _UNKNOWN
        self.waiting.append(new.id)

    def step(self, now: float) -> list[float]:
        """When those ended that ended now."""
        ended: list[float] = []
        while self.busy and self.busy[0][0] <= now:
            end, id = heapq.heappop(self.busy)
            self.runs[id] = (self.runs[id][0], end)
            ended.append(end)
        while self.waiting and len(self.busy) < self.places:
            id = self.waiting.popleft()
            self.last = max(now - STEP, milliseconds(id) / 1000) + 0.003
            self.runs[id] = (self.last, None)
            heapq.heappush(self.busy, (self.last + self.chance.lognormvariate(0, 0.5) * self.took, id))
        return ended

    def next_end(self, otherwise: float) -> float:
        return self.busy[0][0] if self.busy else otherwise


def simulate(kind: Callable[[random.Random], Burst], seed: str) -> Outcome:
    outcome, last = _simulated(kind, seed, Limits())
    _, unguarded = _simulated(kind, seed, NEVER)
    outcome.later = last - unguarded
    return outcome


def _simulated(kind: Callable[[random.Random], Burst], seed: str, limits: Limits) -> tuple[Outcome, float]:
    """The outcome, and when the last execution began."""
    chance = random.Random(seed)
    burst = kind(chance)
    service = _Service(burst.took, burst.places, chance)
    guarded = _Guarded(service, limits, once=burst.once)
    start = START.timestamp()
    arrivals = [(start + moment, entity) for moment, entity in burst.arrivals]
    heapq.heapify(arrivals)
    now, end = arrivals[0][0], max(arrivals)[0] + PATIENCE
    while (arrivals or guarded.waits or service.waiting or service.busy) and now < end:
        now = max(now + STEP, min(guarded.next_look(now), arrivals[0][0] if arrivals else end, service.next_end(end)))
        while arrivals and arrivals[0][0] <= now:
            guarded.arrive(*heapq.heappop(arrivals))
        for ended in service.step(now):
            for moment, entity in burst.reaction(ended - start, chance) if burst.reaction else ():
                heapq.heappush(arrivals, (start + moment, entity))
                end = max(end, start + moment + PATIENCE)
        guarded.step(now)
    return guarded.outcome, service.last


@dataclass
class _Circuit:
    state: State = State.CLOSED
    since: float = 0.0
    rate: float = 0.0
    until: float = 0.0  #: held, or left alone
    opened: int = 0
    closed: int = 0
    witnesses: list[UUID] = field(default_factory=list)
    held: deque[tuple[float, NewExecution]] = field(default_factory=deque)


class _Guarded:
    """One trigger, its circuits, and the patrol's rounds."""

    def __init__(self, service: _Service, limits: Limits, *, once: bool) -> None:
        self.outcome = Outcome()
        self._service = service
        self._limits = limits
        self._once = once
        self._sightings = Sightings(limits)
        self._circuits: dict[Key, _Circuit] = {}
        self._looked = 0.0
        self._count = 0

    @property
    def waits(self) -> bool:
        return any(circuit.held for circuit in self._circuits.values())

    def next_look(self, now: float) -> float:
        """A closed circuit waits for what arrives and what ends."""
        return now + (LOOK if any(one.state is not State.CLOSED for one in self._circuits.values()) else 1.0)

    def arrive(self, received: float, entity: str) -> None:
        self._count += 1
        new = _execution(self._count, received, entity, once=self._once)
        for key in (_TRIGGER, Key("trigger", LoopKind.ENTITY, new.pair)):
            circuit = self._circuits.get(key)
            if circuit is not None and circuit.state is not State.CLOSED:
                circuit.held.append((received, new))
                self.outcome.held += 1
                return
        self._service.take(new)
        self._sightings.note([new])

    def step(self, now: float) -> None:
        suspects, self._sightings.suspects = list(self._sightings.suspects.values()), {}
        for trigger_id, last in self._sightings.to_look_at(now, 1):
            runs = [Run(milliseconds(new.id) / 1000, *self._service.runs[new.id]) for new in last]
            if lineage.feeds_itself(runs, self._limits.generations):
                suspect = who_feeds_itself(trigger_id, last)
                if not self._sightings.is_pardoned(suspect.key):
                    suspects.append(suspect)
            elif any(run.started is None for run in runs):
                self._sightings.look_again(trigger_id)
        for suspect in suspects:
            self._open(now, suspect)
        if now >= self._looked + LOOK:
            self._looked = now
            for key, circuit in self._circuits.items():
                self._decide(now, key, circuit)
            self._sightings.pardon(
                {
                    key: one.rate * self._limits.window.total_seconds()
                    for key, one in self._circuits.items()
                    if one.state is State.CLOSED and one.until > now
                }
            )

    def _open(self, now: float, suspect: Suspect) -> None:
        key = suspect.key
        if sum(one.loop != "" and of.state is not State.CLOSED for one, of in self._circuits.items()) >= MOST_ENTITIES:
            key = _TRIGGER
        circuit = self._circuits.setdefault(key, _Circuit())
        if circuit.state is State.CLOSED:
            circuit.state, circuit.since, circuit.rate = State.WATCHED, now, suspect.rate
            circuit.witnesses = [new.id for new in self._sightings.witnesses(key)]

    def _decide(self, now: float, key: Key, circuit: _Circuit) -> None:
        if circuit.state is State.CLOSED or (circuit.state is State.OPEN and now < circuit.until):
            return
        evidence = Evidence(
            since=circuit.since,
            now=now,
            rate=circuit.rate,
            witnesses=[Run(milliseconds(id) / 1000, *self._service.runs[id]) for id in circuit.witnesses],
            arrivals=[received for received, _ in circuit.held][-MOST_ARRIVALS:],
            all_arrivals=len(circuit.held) < MOST_ARRIVALS,
            waiting=bool(circuit.held),
        )
        found = watching.next_state(circuit.state, evidence)
        if found is circuit.state:
            return
        circuit.state, circuit.since = found, now
        if found is State.PROBED:
            circuit.witnesses = [self._go_on(circuit).id for _ in range(min(watching.PROBES, len(circuit.held)))]
        elif found is State.OPEN:
            self.outcome.taken_for_loop = True
            circuit.until = now + min(self._limits.hold * 2**circuit.opened, LONGEST_HOLD).total_seconds()
            circuit.opened += 1
        else:
            circuit.until = now + min(FIRST_PARDON * 2 ** min(circuit.closed, 10), LONGEST_HOLD).total_seconds()
            circuit.closed += 1
            while circuit.held:
                self._go_on(circuit)

    def _go_on(self, circuit: _Circuit) -> NewExecution:
        _, new = circuit.held.popleft()
        self._service.take(new)
        return new


def _execution(number: int, received: float, entity: str, *, once: bool) -> NewExecution:
    at = datetime.fromtimestamp(received, UTC)
    return NewExecution(
        id=ids.execution_id(at, "trigger", str(number)),
        project_id="project",
        service_id="service",
        trigger_id="trigger",
        function_name="run",
        max_attempts=1,
        event_day=date(2026, 1, 1),
        event_id=str(number),
        resource="Item",
        action="Created" if once else "Updated",
        entity_id=entity,
        once=once,
        came_by=None,
        input=None,
    )
