"""The guard's rounds: makes suspects circuits, finds out what they are, and lets go on what was held.

The decisions are `guard.lineage`'s and `guard.watching`'s; this brings them what the store knows, and the store what
they decide. Any engine may do it, one at a time for a circuit. Beside that the engine is told what the others opened.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import timedelta
from time import monotonic
from typing import Final
from uuid import UUID

import asyncpg

from backbone.kit import metrics
from backbone.model import causation
from backbone.model.causation import Causation, Link
from backbone.model.executions import NewExecution
from backbone.model.loops import LoopKind
from backbone.store import circuits as store
from backbone.store import executions
from backbone.store.database import Database
from backbone.store.incidents import CHANNEL
from backbone.store.wakeups import LOOK_ANYWAY, PENDING, Wakeups
from trigger_engine.guard import lineage, watching
from trigger_engine.guard.circuits import MOST_ENTITIES, Circuits, Key
from trigger_engine.guard.lineage import Run
from trigger_engine.guard.sightings import Suspect, milliseconds, who_feeds_itself
from trigger_engine.guard.watching import Evidence, State
from trigger_engine.pipeline import Pipeline

AT_A_TIME: Final = 500  # held matches that go on in one transaction
LOOKS: Final = 20  # triggers whose generations are looked at in one go, and circuits that are decided on
LOOK_AGAIN: Final = 0.2  # seconds, while a circuit is undecided
SWEEP_EVERY: Final = 5.0  # seconds between looks for what waits though nobody holds it
MOST_ARRIVALS: Final = 1_000
LINKS: Final = 10  # of the chain that an incident shows where events brought none
LONGEST_HOLD: Final = timedelta(days=1)
FIRST_PARDON: Final = timedelta(minutes=10)

_UNKNOWN: Final = (None, None)

log = logging.getLogger(__name__)


class Patrol:
    def __init__(self, pipeline: Pipeline, wakeups: Wakeups) -> None:
        self._pipeline = pipeline
        self._wakeups = wakeups
        self._next_sweep = 0.0
        self._undecided = False

    async def run(self, database: Database) -> None:
        """For ever."""
        told = self._wakeups.watch(CHANNEL)
        self._pipeline.suspicious = told
        async with database.lane(durable=False) as connection:
            while True:
                asked = told.is_set()
                told.clear()
                await self.look(connection, sweep=asked)
                await self._wakeups.wait(told, LOOK_AGAIN if self._undecided else LOOK_ANYWAY)

    async def look(self, connection: asyncpg.Connection, *, sweep: bool = False) -> None:
        self._undecided = False
        await self._open_suspects(connection)
        closed = await self._decide(connection)
        await self.learn(connection)
        if closed or sweep or monotonic() >= self._next_sweep:
            self._next_sweep = monotonic() + SWEEP_EVERY
            await self._let_go_on(connection)
            await store.forget(connection)

    async def learn(self, connection: asyncpg.Connection) -> None:
        """What all engines know of circuits."""
        known = await store.known(connection)
        keys = {Key(one.trigger_id, one.kind, one.loop): one for one in known}
        open_ = [key for key, one in keys.items() if one.state != State.CLOSED]
        self._pipeline.circuits = Circuits(open_, (Key(*key) for key in await store.allowed(connection)))
        window = self._pipeline.limits.window.total_seconds()
        self._pipeline.sightings.pardon(
            {key: one.rate * window for key, one in keys.items() if one.state == State.CLOSED}
        )
        self._undecided |= any(one.state in (State.WATCHED, State.PROBED) for one in known)
        metrics.circuits_open.set(len(open_))

    # Suspects

    async def _open_suspects(self, connection: asyncpg.Connection) -> None:
        suspects, self._pipeline.sightings.suspects = self._pipeline.sightings.suspects, {}
        for suspect in [*suspects.values(), *await self._those_who_feed_themselves(connection)]:
            await self._open(connection, suspect)

    async def _open(self, connection: asyncpg.Connection, suspect: Suspect) -> None:
        key, circuits = suspect.key, self._pipeline.circuits
        if key.kind is LoopKind.ENTITY and circuits.entities(key.trigger_id) >= MOST_ENTITIES:
            key = Key(key.trigger_id, LoopKind.TRIGGER, "")
        if circuits.is_allowed(key):
            return
        witnesses = [new.id for new in suspect.witnesses]
        chain = causation.encode(_as_it_seems(suspect.witnesses))
        if await store.suspect(connection, key, suspect.project_id, suspect.rate, witnesses, suspect.reason, chain):
            circuits.open(key)
            log.info("suspect is held", extra={"trigger": key.trigger_id, "entity": key.loop, "reason": suspect.reason})
            metrics.circuits_opened.labels(key.kind.value).inc()
        elif not circuits.is_open(key):
            self._pipeline.sightings.leave_alone(key.trigger_id)

    async def _those_who_feed_themselves(self, connection: asyncpg.Connection) -> list[Suspect]:
        seen = self._pipeline.sightings.to_look_at(monotonic(), LOOKS)
        if not seen:
            return []
        runs = await store.runs(connection, [new.id for _, last in seen for new in last])
        found: list[Suspect] = []
        for trigger_id, last in seen:
            if lineage.feeds_itself(_runs(last, runs), self._pipeline.limits.generations):
                suspect = who_feeds_itself(trigger_id, last)
                if not self._pipeline.sightings.is_pardoned(suspect.key):
                    found.append(suspect)
            elif any(runs.get(new.id, _UNKNOWN)[0] is None for new in last):
                self._pipeline.sightings.look_again(trigger_id)
                self._undecided = True
        return found

    # What they are

    async def _decide(self, connection: asyncpg.Connection) -> bool:
        """Whether a circuit was closed."""
        closed = False
        async with connection.transaction():
            for one in await store.lock_undecided(connection, LOOKS):
                key = Key(one.trigger_id, one.kind, one.loop)
                state = State(one.state)
                found = watching.next_state(state, await self._evidence(connection, key, one, state))
                if found is not state:
                    await self._move(connection, key, one, found)
                    closed = closed or found is State.CLOSED
        return closed

    async def _evidence(self, connection: asyncpg.Connection, key: Key, one: store.Undecided, state: State) -> Evidence:
        witnesses = one.witnesses
        if state is State.WATCHED:
            # Some were let through between the suspicion and the circuit.
            latest = [new.id for new in self._pipeline.sightings.witnesses(key)]
            if latest and latest[-1] not in witnesses:
                witnesses = latest
                await store.remember_witnesses(connection, key, witnesses)
        arrivals = await store.arrivals(connection, key, MOST_ARRIVALS)
        runs = await store.runs(connection, witnesses)
        return Evidence(
            since=one.since,
            now=one.now,
            rate=one.rate,
            witnesses=[Run(milliseconds(id) / 1000, *run) for id, run in runs.items()],
            arrivals=arrivals,
            all_arrivals=len(arrivals) < MOST_ARRIVALS,
            waiting=bool(arrivals),
        )

    async def _move(self, connection: asyncpg.Connection, key: Key, one: store.Undecided, found: State) -> None:
        witnesses: list[UUID] = one.witnesses
        lasts = None
        if found is State.PROBED:
            held = await store.next_held(connection, key, watching.PROBES)
            witnesses = [probe.execution.id for probe in held]
            await self._record(connection, held)
        elif found is State.OPEN:
            lasts = min(self._pipeline.limits.hold * 2 ** min(one.opened, 20), LONGEST_HOLD)
            if await store.raise_incident(connection, one):
                metrics.incidents_raised.labels(key.kind.value).inc()
        else:
            lasts = min(FIRST_PARDON * 2 ** min(one.closed, 10), LONGEST_HOLD)
        await store.move(connection, key, found.value, lasts, witnesses, one.rate)
        log.info("circuit is %s", found.value, extra={"trigger": key.trigger_id, "entity": key.loop})

    # What was held

    async def _let_go_on(self, connection: asyncpg.Connection) -> None:
        while True:
            async with connection.transaction():
                held = await store.next_going_on(connection, AT_A_TIME)
                await self._record(connection, held)
            if len(held) < AT_A_TIME:
                return

    async def _record(self, connection: asyncpg.Connection, held: Sequence[store.HeldMatch]) -> None:
        if not held:
            return
        live = await store.live_triggers(connection, {one.execution.trigger_id for one in held})
        queue = self._pipeline.work_queue
        news = [one.execution for one in held if one.execution.trigger_id in live]
        recorded = await executions.record(connection, news, queue_too=queue.in_store) if news else []
        await store.went_on(connection, held)
        metrics.executions_recorded.inc(len(recorded))
        metrics.matches_released.inc(len(held))
        # Not in this transaction, which may take its time; those who wait for work look anyway.
        services = {service_id for _, service_id in recorded}
        self._wakeups.wake(queue.channels(services) if queue.in_store else [PENDING])


def _runs(last: Sequence[NewExecution], runs: dict[UUID, tuple[float | None, float | None]]) -> list[Run]:
    return [Run(milliseconds(new.id) / 1000, *runs.get(new.id, _UNKNOWN)) for new in last]


def _as_it_seems(witnesses: Sequence[NewExecution]) -> Causation:
    return Causation(tuple(Link(new.event_id, new.trigger_id, str(new.id)) for new in witnesses[-LINKS:]))
