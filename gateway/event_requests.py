"""`POST /events`, the hot path: bytes in, prepared bytes out, nothing in between that the events do not need.

Each event of a request is judged alone. The good ones are taken, also when others are bad; the bad ones become dead
letters, and the answer is 400 with the index of each. Repeating such a request is harmless where the events have ids
of their own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec

from backbone.kit import metrics
from backbone.model import causation, envelopes
from backbone.model.errors import Invalid, InvalidEvent, NotFound
from backbone.model.events import DeadLetter, Event
from backbone.store import dead_letters
from gateway import answers, shapes
from gateway.answers import Answer
from gateway.carried import NOTHING, Carried
from gateway.parts import Parts

MOST_EVENTS = 10_000
"""Of one request."""

_TURN = 200
"""Events of a large request that are read before others get their turn."""

_ids = msgspec.json.Encoder()


@dataclass(frozen=True, slots=True)
class _Bad:
    index: int
    document: bytes
    reason: Invalid


async def answer(
    parts: Parts, body: bytes, content_type: str, project: str | None, carried: Carried = NOTHING
) -> Answer:
    """`project` is the one of events that name none, `carried` what those get that bring none of it."""
    events, bad = await read(parts, body, content_type, project, carried)
    if events:
        await parts.writer.write(events, len(body))
    if bad:
        return await _partly(parts, events, bad, project)
    return Answer(202, b'{"accepted":%d,"ids":%b}' % (len(events), _ids.encode([event.id for event in events])))


async def read(
    parts: Parts, body: bytes, content_type: str, project: str | None = None, carried: Carried = NOTHING
) -> tuple[list[Event], list[_Bad]]:
    """The events of a body, and what of it is none."""
    try:
        documents = envelopes.split(body, content_type)
        if len(documents) > MOST_EVENTS:
            raise answers.Refused(
                413, f"the request holds {len(documents):,} events; at most {MOST_EVENTS:,} are taken"
            )
    except InvalidEvent as error:
        return [], [_Bad(0, body, error)]
    now = datetime.now(UTC)
    events: list[Event] = []
    bad: list[_Bad] = []
    for index, document in enumerate(documents):
        if index % _TURN == _TURN - 1:
            await asyncio.sleep(0)
        try:
            submission = envelopes.decode(document, parts.settings.catalog, now)
            key = submission.project or project
            project_id = parts.projects.known(key) or await _resolved(parts, key)
            event = submission.event
            if event.causation is not None:
                causation.verify(event.causation, await parts.signing_key.get())
            placed = event if event.traceparent else carried  # a state belongs to its own place in a trace
            events.append(
                msgspec.structs.replace(
                    event,
                    project_id=project_id,
                    causation=event.causation or carried.causation,
                    traceparent=placed.traceparent,
                    tracestate=placed.tracestate,
                )
            )
        except InvalidEvent as error:
            bad.append(_Bad(index, document, error))
    return events, bad


async def _resolved(parts: Parts, key: str | None) -> str:
    try:
        return await parts.projects.found_or_made(key)
    except (Invalid, NotFound) as error:
        raise InvalidEvent("project", error.reason if isinstance(error, Invalid) else str(error)) from None


async def _partly(parts: Parts, events: Sequence[Event], bad: Sequence[_Bad], project: str | None) -> Answer:
    letters = await dead_letters.record(
        parts.database.pool,
        [
            DeadLetter(
                source="http",
                position=str(one.index),
                path=one.reason.path,
                reason=one.reason.reason,
                body=one.document,
                project_id=project,
            )
            for one in bad
        ],
    )
    metrics.dead_letters.labels("gateway").inc(len(bad))
    total = len(events) + len(bad)
    return answers.document(
        shapes.PartlyAccepted(
            message=f"{len(bad)} of {total} events were refused",
            status=400,
            accepted=len(events),
            ids=[event.id for event in events],
            rejected=[
                shapes.Rejected(index=one.index, path=one.reason.path, reason=one.reason.reason, dead_letter=letter)
                for one, letter in zip(bad, letters, strict=True)
            ],
        ),
        400,
    )
