"""How an event becomes an execution. Read this page first.

    EventLog ─► ingest ─► match ─► guard ─► record ─► WorkQueue

One batch is carried through at a time. Every stage is a function of its own that can be read and tested alone; they
meet only here. A crash anywhere before `batch.commit()` brings the batch again, and the database then sees that
what it has already is not recorded twice: nothing is lost, nothing is doubled, and no stage needs to know.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import asyncpg

from backbone.kit import metrics
from backbone.model.events import DeadLetter, RecordedEvent
from backbone.model.executions import StoppedMatch
from backbone.ports import EventBatch, EventLog, WorkQueue
from backbone.store.incidents import Stopped
from backbone.store.wakeups import PENDING, Wakeups
from trigger_engine import guard, ingest, record
from trigger_engine.match import Index


@dataclass
class Pipeline:
    event_log: EventLog
    work_queue: WorkQueue
    wakeups: Wakeups
    signing_key: bytes
    limits: guard.Limits = field(default_factory=guard.Limits)
    keeps_all: bool = False
    """Every event of a log that is not in the store is kept there, and not those alone that matched."""

    index: Index = field(default_factory=Index)
    """Changed between two batches by whoever follows the triggers."""

    circuits: guard.Circuits = field(default_factory=guard.Circuits)
    """Changed between two batches by the patrol."""

    suspicious: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the patrol should look."""

    def __post_init__(self) -> None:
        self.sightings = guard.Sightings(self.limits)

    async def carry(self, batch: EventBatch, connection: asyncpg.Connection) -> None:
        """Carry one batch from the log to the queue. Raises when the store does; the batch comes again then."""
        records, forged = batch.records, list[DeadLetter]()
        if not self.event_log.in_store:
            records, forged = ingest.genuine(records, self.signing_key)
            if self.keeps_all:
                records = await ingest.keep(connection, records)
        matches, unreadable = self.index.match(records)
        if not self.event_log.in_store and not self.keeps_all:
            matches = await ingest.keep_matched(connection, matches)
        admitted, stopped = guard.judge(matches, self.limits, self.circuits)
        set_aside = [*batch.rejects, *forged, *unreadable]
        await ingest.set_aside(connection, set_aside)
        in_store = self.work_queue.in_store
        channels = self.work_queue.channels({new.service_id for new in admitted}) if in_store else [PENDING]
        # A commit that waits for the disk must not notify: all others would wait behind its lock.
        with_commit = channels if self.event_log.in_store and admitted else []
        news, of_stopped = await record.record(connection, admitted, stopped, queue_too=in_store, notify=with_commit)
        if news and not with_commit:
            self.wakeups.wake(channels)
        await batch.commit()
        self.sightings.note(news)
        if self.sightings.suspects or self.sightings.is_due:
            self.suspicious.set()
        metrics.events_read.inc(len(batch.records) + len(batch.rejects))
        metrics.matches.inc(len(admitted) + len(stopped))
        metrics.executions_recorded.inc(len(news))
        _count(stopped, of_stopped)
        metrics.dead_letters.labels("engine").inc(len(set_aside))
        _observe(batch.records)


def _count(stopped: Sequence[StoppedMatch], new: Stopped) -> None:
    if not stopped:
        return
    metrics.matches_stopped.inc(new.stopped)
    metrics.matches_held.inc(new.held)
    if new.raised:
        metrics.incidents_raised.labels("chain or actor").inc(new.raised)


def _observe(records: Sequence[RecordedEvent]) -> None:
    now = datetime.now(UTC)
    metrics.observe(metrics.event_to_recorded, [(now - recorded.received).total_seconds() for recorded in records])
