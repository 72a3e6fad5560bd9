"""Batches of records into the event log: at least once, in order, and held up by nothing that cannot be read.

Whoever reads the topic marks a batch as read after `take` has returned, and not before. What cannot be read becomes a
dead letter. When the log or the database is away the batch waits for it: nothing is lost then, and nothing set aside.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import msgspec

from backbone.kit import metrics
from backbone.kit.loops import FIRST_PAUSE, LONGEST_PAUSE, Health
from backbone.model import traceparent, tracestate
from backbone.model.errors import Invalid, InvalidEvent, NotFound
from backbone.model.events import DeadLetter, Event
from backbone.model.resources import Catalog
from trigger_engine.connectors.configuration import Connector
from trigger_engine.connectors.record import Record

log = logging.getLogger(__name__)

Done = TypeVar("Done")


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """Where batches go. Each of these may be called again with what it was called with before."""

    append: Callable[[Sequence[Event]], Awaitable[None]]
    set_aside: Callable[[Sequence[DeadLetter]], Awaitable[object]]
    project_id: Callable[[str | None], Awaitable[str]]
    """Of a name, an id, or None for the default. Raises NotFound or Invalid for what will never be one."""


class Intake:
    """Of one connector."""

    def __init__(self, connector: Connector, catalog: Catalog, destination: Destination, health: Health) -> None:
        self.topic = connector.topic
        self._connector = connector
        self._catalog = catalog
        self._to = destination
        self._health = health
        self._name = f"connector {connector.topic}"

    async def take(self, records: Sequence[Record]) -> None:
        """Until each record is an event in the log or a dead letter, or was found to tell of no change."""
        read: list[tuple[Record, Event]] = []
        letters: list[DeadLetter] = []
        project_ids: dict[str | None, str] = {}
        for record in records:
            try:
                if (event := await self._read(record, project_ids)) is not None:
                    read.append((record, event))
            except InvalidEvent as error:
                letters.append(_letter(record, error))
        if read:
            letters += await self._append(read)
        if letters:
            await self._until_done(partial(self._to.set_aside, letters))
        metrics.connector_records.labels(self.topic).inc(len(records))
        metrics.dead_letters.labels("connector").inc(len(letters))

    async def _read(self, record: Record, project_ids: dict[str | None, str]) -> Event | None:
        """`project_ids` are those of this batch; each is asked for once."""
        submission = self._connector.shape.event(record, self._catalog)
        if submission is None:
            return None
        project = submission.project or self._connector.project
        if project not in project_ids:
            project_ids[project] = await self._until_done(partial(self._project_id, project))
        event = msgspec.structs.replace(submission.event, project_id=project_ids[project])
        if event.traceparent is not None:
            return event
        trace = traceparent.from_header(record.headers.get(traceparent.HEADER, b""))
        state = tracestate.beside_header(trace, record.headers.get(tracestate.HEADER, b""))
        return msgspec.structs.replace(event, traceparent=trace, tracestate=state)

    async def _project_id(self, project: str | None) -> str:
        try:
            return await self._to.project_id(project)
        except (Invalid, NotFound) as error:
            raise InvalidEvent("project", error.reason if isinstance(error, Invalid) else str(error)) from None

    async def _append(self, read: Sequence[tuple[Record, Event]]) -> list[DeadLetter]:
        """What a log refuses a batch for, too large an event, is found by appending each alone."""
        try:
            await self._until_done(partial(self._to.append, [event for _, event in read]))
        except InvalidEvent as error:
            if len(read) == 1:
                return [_letter(read[0][0], error)]
            return [letter for one in read for letter in await self._append([one])]
        return []

    async def _until_done(self, act: Callable[[], Awaitable[Done]]) -> Done:
        """What is wrong with the record is raised; anything else passes, sooner or later."""
        pause = FIRST_PAUSE
        while True:
            try:
                done = await act()
            except InvalidEvent:
                raise
            except Exception as error:  # any: whichever server it is that is away
                self._waits(f"{type(error).__name__}: {error}")
            else:
                self._health.well(self._name)
                return done
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)

    def _waits(self, reason: str) -> None:
        if self._health.wrong.get(self._name) != reason:  # said once, and not with every try
            log.warning("connector waits", extra={"topic": self.topic, "reason": reason})
        self._health.broken(self._name, reason)


def _letter(record: Record, error: InvalidEvent) -> DeadLetter:
    return DeadLetter(
        source="connector",
        position=record.position,
        path=error.path,
        reason=error.reason,
        body=b"" if record.value is None else record.value,
    )
