"""Not more often than it pays: a loop that works in batches pauses after each, and what comes meanwhile is the next.

A round trip costs as much as a dozen items. After a single item the pause is too short to be met by another in a quiet
system, so nothing waits there; the more a batch held, the more is on its way, and the longer it pays to gather.
"""

from __future__ import annotations

import asyncio

AN_ITEM = 0.001  # seconds
LONGEST = 0.016


async def pause_after(items: int) -> None:
    await asyncio.sleep(min(items * AN_ITEM, LONGEST))
