"""The queue of a service that was deleted goes too, with what waited in it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from backbone.store import definitions
from backbone.store.database import Database
from backbone.store.wakeups import SERVICES, Wakeups

Drop = Callable[[str], Awaitable[None]]


async def run(database: Database, wakeups: Wakeups, drop: Drop) -> None:
    """For ever. A service that is deleted while no dispatcher runs leaves its queue, empty or to be passed over."""
    signal = wakeups.watch(SERVICES)
    known: set[str] = set()
    while True:
        signal.clear()
        there = set(await definitions.service_ids(database.pool))
        for service_id in known - there:
            await drop(service_id)
        known = there
        await wakeups.wait(signal)
