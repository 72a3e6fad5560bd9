"""Reports leave in batches: what was said in some milliseconds is one message."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from uuid import UUID

from backbone.model.messages import Finished, Logged, Progressed, Report, Started
from backbone.ports import Reports

LINGER = 0.016  # seconds between two sends: less than a person sees, and hundreds of short executions
AT_MOST = 1000  # reports in one message
AT_MOST_BYTES = 8_000_000  # of documents in one message; a single report may have more
MANY = 2 * AT_MOST  # reports that wait, or bytes of documents: more is not begun until they are told
MANY_BYTES = 2 * AT_MOST_BYTES
LONG = 1.0  # seconds for one message


class Outbox:
    """`put` from anywhere on the loop; `run` sends. What was not confirmed is sent again."""

    def __init__(self, reports: Reports) -> None:
        self._reports = reports
        self._clock = asyncio.get_running_loop().time
        self._waiting: list[Report] = []
        self._bytes = 0
        self._sending_since: float | None = None
        self._room = asyncio.Event()
        self._room.set()
        self._something = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()

    def put(self, report: Report) -> None:
        self._waiting.append(report)
        self._bytes += _size(report)
        if not self._something.is_set():
            self._something.set()
            self._empty.clear()

    async def run(self) -> None:
        while True:
            await self._something.wait()
            if self._sending_since is None:
                self._sending_since = self._clock()
            count = _fitting(self._waiting)
            await self._reports.send(without_needless_starts(self._waiting[:count]))
            self._bytes -= sum(map(_size, self._waiting[:count]))
            del self._waiting[:count]
            self._sending_since = None
            self._room.set()
            if not self._waiting:
                self._something.clear()
                self._empty.set()
            await asyncio.sleep(LINGER)

    @property
    def is_full(self) -> bool:
        """So much is untold that more of it should not come to be: who ends now takes it with them."""
        return len(self._waiting) >= MANY or self._bytes >= MANY_BYTES

    async def room(self) -> None:
        while self.is_full:
            self._room.clear()
            await self._room.wait()

    def untold(self) -> list[UUID]:
        """Executions whose beginning or end nobody takes from us, for so long that we may be taken for one who never
        knew of them. None while reports go out."""
        if self._sending_since is None or self._clock() - self._sending_since < LONG:
            return []
        return list({one.execution_id for one in self._waiting if isinstance(one, Started | Finished)})

    async def drained(self) -> None:
        """Return once all that was put is confirmed; `run` must be running."""
        await self._empty.wait()


def without_needless_starts(batch: Sequence[Report]) -> list[Report]:
    """The end of an attempt tells when it began: a start in the same message says nothing more."""
    ended = {report.execution_id for report in batch if isinstance(report, Finished)}
    return [report for report in batch if not (isinstance(report, Started) and report.execution_id in ended)]


def _fitting(waiting: Sequence[Report]) -> int:
    """How many of them fit into one message: at least one."""
    size = 0
    for index, report in enumerate(waiting[:AT_MOST]):
        size += _size(report)
        if size > AT_MOST_BYTES:
            return max(index, 1)
    return min(len(waiting), AT_MOST)


def _size(report: Report) -> int:
    """Of its documents."""
    if isinstance(report, Logged):
        return len(report.lines)
    return len(report.output or b"") if isinstance(report, Finished | Progressed) else 0
