"""Stage 1: what the log gives. What in it cannot be read goes to the dead letters and blocks nothing; what matched, or
all of it, is kept in the store, where the log is not there itself."""

from __future__ import annotations

from collections.abc import Sequence

import asyncpg
import msgspec

from backbone.model import causation, envelopes
from backbone.model.errors import InvalidEvent
from backbone.model.events import DeadLetter, RecordedEvent
from backbone.model.matches import Matches
from backbone.store import dead_letters, events


def genuine(records: Sequence[RecordedEvent], signing_key: bytes) -> tuple[Sequence[RecordedEvent], list[DeadLetter]]:
    """Those whose chains are their own, and the others. What is in the store was looked at by the gateway; a log
    elsewhere is written by others too."""
    forged: list[DeadLetter] = []
    for record in records:
        if record.event.causation is not None:
            try:
                causation.verify(record.event.causation, signing_key)
            except InvalidEvent as error:
                forged.append(_refused(record, error))
    if not forged:
        return records, forged
    ids = {letter.position for letter in forged}
    return [record for record in records if record.event.id not in ids], forged


def _refused(record: RecordedEvent, error: InvalidEvent) -> DeadLetter:
    event = record.event
    return DeadLetter(
        source="log",
        position=event.id,
        path=error.path,
        reason=error.reason,
        body=envelopes.encode(event),
        project_id=event.project_id,
    )


async def keep(connection: asyncpg.Connection, records: Sequence[RecordedEvent]) -> list[RecordedEvent]:
    """The same events, in the store now. One that came before is taken for what it was then: a log elsewhere may give
    one twice, and its executions' ids go by the time it was received."""
    received = await events.keep(connection, records)
    return [
        record if record.received == first else msgspec.structs.replace(record, received=first)
        for record, first in zip(records, received, strict=True)
    ]


async def keep_matched(connection: asyncpg.Connection, matches: Sequence[Matches]) -> list[Matches]:
    kept = await keep(connection, [one.recorded for one in matches])
    return [
        one if one.recorded is record else msgspec.structs.replace(one, recorded=record)
        for one, record in zip(matches, kept, strict=True)
    ]


async def set_aside(connection: asyncpg.Connection, rejects: Sequence[DeadLetter]) -> None:
    if rejects:
        await dead_letters.record(connection, rejects)
