"""Requests that arrive together are written together.

While an append is on its way to the disk the next requests gather, and the next append takes them all; when many have
gathered, a second one goes beside the first. Each request is answered after the commit that holds its events; a failed
append fails exactly the requests that were in it.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from backbone.kit import metrics
from backbone.model.errors import Unavailable
from backbone.model.events import Event
from backbone.ports import EventLog

A_SECOND = 8  # requests that wait while an append waits for the disk are worth a second one beside it
REST = 0.002  # seconds after an append of a single request
BATCH = 500  # events; a request is not split, so a large one makes a larger batch
QUIET_TURNS = 4  # of the event loop: from the bytes to the request waiting here it takes about two
MOST_WAITING = 100_000_000  # bytes
_AN_EVENT = 1_000  # bytes that an event takes beside its documents, about

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class _Request:
    events: Sequence[Event]
    weight: int
    done: asyncio.Future[None]


class EventWriter:
    """`run` is a loop of its own; without it `write` waits."""

    def __init__(self, event_log: EventLog, most_waiting: int = MOST_WAITING) -> None:
        self._event_log = event_log
        self._most_waiting = most_waiting
        self._requests: deque[_Request] = deque()
        self._weight = 0
        self._something = asyncio.Event()
        self._gathering = asyncio.Lock()

    async def write(self, events: Sequence[Event], size: int) -> None:
        """Return when the events are safe. Raises Unavailable when they are not, or when too many wait already."""
        weight = size + _AN_EVENT * len(events)
        if self._weight and self._weight + weight > self._most_waiting:
            raise Unavailable("event log", "too many events are waiting to be written")
        request = _Request(events, weight, asyncio.get_running_loop().create_future())
        self._requests.append(request)
        self._weight += weight
        self._something.set()
        await request.done

    async def run(self) -> None:
        try:
            async with asyncio.TaskGroup() as appends:
                appends.create_task(self._write(at_least=1))
                appends.create_task(self._write(at_least=A_SECOND))
        finally:
            self._fail(self._requests, "the gateway is stopping")

    async def _write(self, at_least: int) -> None:
        while True:
            await self._enough(at_least)
            async with self._gathering:
                await self._gather()
                batch = self._next_batch()
            if batch:
                await self._append(batch)
                # An append of one costs nearly what one of eight costs: after a small one, more are worth waiting for.
                await asyncio.sleep(max(0.0, REST - len(batch) * REST / A_SECOND))

    async def _enough(self, at_least: int) -> None:
        while len(self._requests) < at_least:
            self._something.clear()
            await self._something.wait()

    async def _gather(self) -> None:
        """Wait as long as turns of the event loop bring more: who was answered by the last commit is on the way back.

        An append of one event takes nearly as long as one of twenty, and nobody waits here while nothing comes.
        """
        quiet = 0
        while quiet < QUIET_TURNS and len(self._requests) < BATCH:
            before = len(self._requests)
            await asyncio.sleep(0)
            quiet = quiet + 1 if len(self._requests) == before else 0

    def _next_batch(self) -> list[_Request]:
        batch: list[_Request] = []
        events = 0
        while self._requests and events < BATCH:
            request = self._requests.popleft()
            batch.append(request)
            events += len(request.events)
        return batch

    async def _append(self, batch: Sequence[_Request]) -> None:
        events = [event for request in batch for event in request.events]
        try:
            await self._event_log.append(events)
        except Exception as error:  # any: whatever it is, the requests in it must hear of it, and the next may pass
            log.warning("append failed", extra={"events": len(events), "reason": f"{type(error).__name__}: {error}"})
            self._fail(batch, f"{type(error).__name__}: the append failed")
        except BaseException:
            self._fail(batch, "the gateway is stopping")
            raise
        else:
            metrics.events_accepted.inc(len(events))
            for request in batch:
                self._weight -= request.weight
                if not request.done.done():
                    request.done.set_result(None)

    def _fail(self, requests: Sequence[_Request] | deque[_Request], reason: str) -> None:
        for request in requests:
            self._weight -= request.weight
            if not request.done.done():
                request.done.set_exception(Unavailable("event log", reason))
