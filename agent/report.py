"""Reports leave in batches: what was said in some milliseconds is one message."""

from __future__ import annotations

import asyncio

from backbone.model.messages import Report
from backbone.ports import Reports

LINGER = 0.004  # seconds between two sends: a quarter of what a person can see, and hundreds of short executions
AT_MOST = 1000


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
            batch = self._waiting[:AT_MOST]
            await self._reports.send(batch)
            del self._waiting[: len(batch)]
            if not self._waiting:
                self._something.clear()
                self._empty.set()
            await asyncio.sleep(LINGER)

    async def drained(self) -> None:
        """Return once all that was put is confirmed; `run` must be running."""
        await self._empty.wait()
