"""Reports leave in batches: what was said in some milliseconds is one message."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from backbone.model.messages import Finished, Logged, Progressed, Report, Started
from backbone.ports import Reports

LINGER = 0.016  # seconds between two sends: less than a person sees, and hundreds of short executions
AT_MOST = 1000  # reports in one message
AT_MOST_BYTES = 8_000_000  # of documents in one message; a single report may have more


class Outbox:
    """`put` from anywhere on the loop; `run` sends. What was not confirmed is sent again."""

    def __init__(self, reports: Reports) -> None:
        self._reports = reports
        self._waiting: list[Report] = []
        self._something = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()

    def put(self, report: Report) -> None:
        self._waiting.append(report)
        if not self._something.is_set():
            self._something.set()
            self._empty.clear()

    async def run(self) -> None:
        while True:
            await self._something.wait()
            count = _fitting(self._waiting)
            await self._reports.send(without_needless_starts(self._waiting[:count]))
            del self._waiting[:count]
            if not self._waiting:
                self._something.clear()
                self._empty.set()
            await asyncio.sleep(LINGER)

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
        if isinstance(report, Logged):
            size += len(report.lines)
        elif isinstance(report, Finished | Progressed):
            size += len(report.output or b"")
        if size > AT_MOST_BYTES:
            return max(index, 1)
    return min(len(waiting), AT_MOST)
