"""Requests that arrive together are written together.

An append of one event costs nearly as much as one of thirty, so after each the next waits for company: for as many
requests as were answered by it or came meanwhile, since who was answered is on the way back. Where clients wait for
their answers that is all of them, and the wait ends with the last. Where they do not, it ends when a moment brings
nobody, or when it was long. In a quiet system it is over before the next request comes, which is written at once.

Each request is answered after the commit that holds its events; a failed append fails exactly the requests in it.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from backbone.kit import metrics
from backbone.kit.few_lines import Few
from backbone.model.errors import Unavailable
from backbone.model.events import Event
from backbone.ports import EventLog

BATCH = 500  # events; a request is not split, so a large one makes a larger batch
ENOUGH = 64  # requests that wait for no more
MOMENT = 0.002  # seconds; who was answered and is coming back is there by then
MOMENTS = 4  # that one waits at most, while each brings somebody
MOST_WAITING = 100_000_000  # bytes
_AN_EVENT = 1_000  # bytes that an event takes beside its documents, about

log = logging.getLogger(__name__)
log.addFilter(Few(2))  # a minute: each failed request has its answer, and the log says that there are such


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
        self._wanted = 1  # requests
        self._enough = asyncio.Event()
        self._next_look: asyncio.TimerHandle | None = None

    async def write(self, events: Sequence[Event], size: int) -> None:
        """Return when the events are safe. Raises Unavailable when they are not, or when too many wait already."""
        weight = size + _AN_EVENT * len(events)
        if self._weight and self._weight + weight > self._most_waiting:
            raise Unavailable("event log", "too many events are waiting to be written")
        request = _Request(events, weight, asyncio.get_running_loop().create_future())
        self._requests.append(request)
        self._weight += weight
        if len(self._requests) >= self._wanted:
            self._enough.set()
        await request.done

    async def run(self) -> None:
        try:
            while True:
                await self._enough.wait()
                batch = self._next_batch()
                if self._next_look is not None:
                    self._next_look.cancel()
                await self._append(batch)
                self._gather(len(batch))
        finally:
            self._fail(self._requests, "the gateway is stopping")

    def _gather(self, answered: int) -> None:
        self._want(min(answered + len(self._requests), ENOUGH))
        self._look_again(MOMENTS, len(self._requests))

    def _look_again(self, moments: int, have: int) -> None:
        self._next_look = asyncio.get_running_loop().call_later(MOMENT, self._look, moments - 1, have)

    def _look(self, moments: int, had: int) -> None:
        have = len(self._requests)
        if moments and have > had:
            self._look_again(moments, have)
        else:
            self._want(1)

    def _want(self, requests: int) -> None:
        self._wanted = requests
        if len(self._requests) >= requests:
            self._enough.set()
        else:
            self._enough.clear()

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
