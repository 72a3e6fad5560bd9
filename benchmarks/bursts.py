"""Ordinary bursts and streams, and what the guard makes of them: its own decisions, with the rest of the engine
simulated in steps of 20 ms. No event here is caused by an execution, so whatever is taken for a loop is a mistake."""

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
from trigger_engine.guard.circuits import Key
from trigger_engine.guard.lineage import Run
from trigger_engine.guard.loops import Limits
from trigger_engine.guard.sightings import Sightings, milliseconds, rate
from trigger_engine.guard.watching import Evidence, State

START = datetime(2026, 1, 1, tzinfo=UTC)
STEP = 0.02
_KEY = Key("trigger", LoopKind.TRIGGER, "")


@dataclass(frozen=True, slots=True)
class Burst:
    arrivals: list[float]  #: seconds
    took: float  #: seconds in the function, about
    places: int  #: executions at a time


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

    def step(self, now: float) -> None:
        while self.busy and self.busy[0][0] <= now:
            end, id = heapq.heappop(self.busy)
            self.runs[id] = (self.runs[id][0], end)
        while self.waiting and len(self.busy) < self.places:
            id = self.waiting.popleft()
            started = max(now - STEP, milliseconds(id) / 1000) + 0.003
            self.runs[id] = (started, None)
            heapq.heappush(self.busy, (started + self.chance.lognormvariate(0, 0.5) * self.took, id))


def simulate(kind: str, seed: int) -> Outcome:
    outcome, last = _simulated(kind, seed, Limits())
    _, unguarded = _simulated(kind, seed, Limits(generations=10**9, trigger_matches=10**9))
    outcome.later = last - unguarded
    return outcome


def _simulated(kind: str, seed: int, limits: Limits) -> tuple[Outcome, float]:
    """The outcome, and when the last execution began."""
    chance = random.Random(f"{kind} {seed}")
    burst = KINDS[kind](chance)
    service = _Service(burst.took, burst.places, chance)
    guarded = _Guarded(service, limits)
    arrivals = deque(START.timestamp() + arrival for arrival in burst.arrivals)
    now = arrivals[0]
    end = arrivals[-1] + 3600
    while (arrivals or guarded.held or service.waiting or service.busy) and now < end:
        now += STEP
        while arrivals and arrivals[0] <= now:
            guarded.arrive(arrivals.popleft())
        service.step(now)
        guarded.step(now)
    return guarded.outcome, max(run[0] for run in service.runs.values() if run[0] is not None)


class _Guarded:
    """One trigger, its circuit, and the patrol's rounds."""

    def __init__(self, service: _Service, limits: Limits) -> None:
        self.outcome = Outcome()
        self.state = State.CLOSED
        self.held: deque[tuple[float, NewExecution]] = deque()
        self._service = service
        self._limits = limits
        self._sightings = Sightings(self._limits)
        self._witnesses: list[UUID] = []
        self._since = self._rate = self._next_look = self._until = 0.0
        self._count = 0

    def arrive(self, received: float) -> None:
        self._count += 1
        new = _execution(self._count, received)
        if self.state is State.CLOSED:
            self._record(new)
            self._sightings.note([new])
        else:
            self.held.append((received, new))
            self.outcome.held += 1

    def step(self, now: float) -> None:
        if self.state is State.CLOSED:
            self._suspect(now)
        elif now >= self._next_look:
            self._next_look = now + 0.2
            self._decide(now)

    def _record(self, new: NewExecution) -> None:
        self._service.runs[new.id] = (None, None)
        self._service.waiting.append(new.id)

    def _suspect(self, now: float) -> None:
        for _, last in self._sightings.to_look_at(now, 1):
            runs = [Run(milliseconds(new.id) / 1000, *self._service.runs[new.id]) for new in last]
            if lineage.feeds_itself(runs, self._limits.generations):
                self._open(now, rate(len(last), milliseconds(last[0].id), milliseconds(last[-1].id)))
        suspects, self._sightings.suspects = self._sightings.suspects, {}
        for suspect in suspects.values():
            self._open(now, suspect.rate)

    def _open(self, now: float, rate: float) -> None:
        self.state, self._since, self._rate = State.WATCHED, now, rate
        self._witnesses = [new.id for new in self._sightings.witnesses(_KEY)]

    def _decide(self, now: float) -> None:
        if self.state is State.OPEN and now < self._until:
            return
        evidence = Evidence(
            since=self._since,
            now=now,
            rate=self._rate,
            witnesses=[Run(milliseconds(id) / 1000, *self._service.runs[id]) for id in self._witnesses],
            arrivals=[received for received, _ in self.held],
            waiting=bool(self.held),
        )
        found = watching.next_state(self.state, evidence)
        if found is self.state:
            return
        self.state, self._since = found, now
        if found is State.PROBED:
            self._witnesses = [self._go_on().id for _ in range(min(watching.PROBES, len(self.held)))]
        elif found is State.OPEN:
            self.outcome.taken_for_loop = True
            self._until = now + self._limits.hold.total_seconds()
        else:
            self._sightings.pardon({_KEY: self._rate * self._limits.window.total_seconds()})
            while self.held:
                self._go_on()

    def _go_on(self) -> NewExecution:
        _, new = self.held.popleft()
        self._record(new)
        return new


def _execution(number: int, received: float) -> NewExecution:
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
        action="Created",
        entity_id=str(number),
        once=True,
        came_by=None,
        input=None,
    )


# The kinds


def _upload(chance: random.Random, a_second: float) -> list[float]:
    """10,000 items, one after the other as fast as somebody uploads."""
    now, arrivals = 0.0, []
    for _ in range(10_000):
        now += chance.expovariate(a_second)
        arrivals.append(now)
    return arrivals


def _in_requests(chance: random.Random) -> list[float]:
    """10,000 items in requests of a hundred: all of a request at one moment."""
    return [moment for moment in _upload(chance, 20)[:100] for _ in range(100)]


def _stream(chance: random.Random) -> list[float]:
    """Ten minutes, by chance, 1 to 20 a second."""
    return [moment for moment in _upload(chance, chance.uniform(1, 20)) if moment < 600]


def _clockwork(chance: random.Random) -> list[float]:
    """Ten minutes of something that comes at equal intervals, 0.2 to 5 a second: a camera, a sensor."""
    interval = 1 / chance.uniform(0.2, 5)
    return [number * interval for number in range(int(600 / interval))]


def _crowds(chance: random.Random) -> list[float]:
    """Ten uploads of 300 with minutes between them."""
    arrivals: list[float] = []
    for _ in range(10):
        began = (arrivals[-1] if arrivals else 0) + chance.uniform(30, 300)
        arrivals += [began + moment for moment in _upload(chance, chance.uniform(10, 500))[:300]]
    return arrivals


def _with(
    arrivals: Callable[[random.Random], list[float]], took: tuple[float, float], places: tuple[int, int]
) -> Callable[[random.Random], Burst]:
    def made(chance: random.Random) -> Burst:
        low, high = took
        return Burst(arrivals(chance), low * (high / low) ** chance.random(), chance.randint(*places))

    return made


_ANY = ((0.005, 2.0), (1, 64))
KINDS: dict[str, Callable[[random.Random], Burst]] = {
    "upload, 50 a second": _with(lambda chance: _upload(chance, 50), *_ANY),
    "upload, 500 a second": _with(lambda chance: _upload(chance, 500), *_ANY),
    "upload, 5,000 a second": _with(lambda chance: _upload(chance, 5000), *_ANY),
    "upload in requests of 100": _with(_in_requests, *_ANY),
    "stream by chance": _with(_stream, *_ANY),
    "clockwork": _with(_clockwork, (0.2, 10.0), (4, 64)),
    "ten uploads of 300": _with(_crowds, *_ANY),
}
