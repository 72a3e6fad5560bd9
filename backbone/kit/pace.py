"""Not more often than it pays: a loop that works in batches takes a turn, and what comes meanwhile is in the next.

Who comes late enough does not wait, so a quiet system loses no time; a busy one does in a third of the round trips
what it would do one by one.
"""

from __future__ import annotations

import asyncio


class Pace:
    def __init__(self, interval: float) -> None:
        """`interval`: seconds from one turn to the next, at least."""
        self._interval = interval
        self._next = 0.0

    async def turn(self) -> None:
        clock = asyncio.get_running_loop().time
        wait = self._next - clock()
        if wait > 0:
            await asyncio.sleep(wait)
        self._next = clock() + self._interval
