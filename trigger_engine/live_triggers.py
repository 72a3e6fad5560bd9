"""Keeps the index like the table of triggers.

At the start all of them are read, page by page. From then on a notification says that something changed, and only what
changed is read; a look each second finds what no notification told of. Beside that the whole table is compared with the
index for ever, a page a second, so that nothing stays wrong whatever the reason.

All is done between two batches of events, in slices that keep a batch waiting for milliseconds only.
"""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Iterable, Sequence
from datetime import timedelta
from time import monotonic
from typing import Final

import asyncpg

from backbone.kit import huge_pages
from backbone.kit.loops import Health
from backbone.model import dql
from backbone.model.errors import InvalidFilter
from backbone.model.matches import LiveTrigger
from backbone.store import definitions
from backbone.store import live_triggers as store
from backbone.store.database import Database
from backbone.store.wakeups import LOOK_ANYWAY, Wakeups
from trigger_engine.match import Index

LOOP: Final = "triggers"
"""Its name in `Health`."""

PAGE: Final = 1_000
"""Triggers read at a time at the start, and versions compared a second."""

SLICE: Final = 50
"""Triggers changed at a time, with a batch of events in between."""

FREEZE_EVERY: Final = 1_000
"""Triggers. The garbage collector would look through what they are made of, millions of objects, for seconds."""

GATHER_EVERY: Final = 20_000
"""Triggers, which is some hundred megabytes. In huge pages a hundred thousand are matched a fifth faster."""

KEEP_CHANGES: Final = timedelta(hours=1)
"""Longer than anybody who follows is away without reading all anew."""

log = logging.getLogger(__name__)


class LiveTriggers:
    def __init__(self, index: Index) -> None:
        self._index = index
        self._versions: dict[str, int] = {}  #: of the triggers in the index
        self._seen = ""  #: the snapshot up to which changes are in the index
        self._compared = ""  #: the id up to which this round of comparing came
        self._unmet: set[str] = set()  #: in the index when the round began, and not met in the table yet
        self._frozen = 0  #: filings up to which the index is out of the collector's sight,
        self._gathered = 0  #: and up to which it is in huge pages

    async def load(self, connection: asyncpg.Connection, health: Health) -> None:
        """All of them. What changes meanwhile comes with the first `catch_up`."""
        began = told = monotonic()
        health.broken(LOOP, "loading")
        self._seen = await store.snapshot(connection)
        total = await store.count(connection)
        after = ""
        while rows := await store.after(connection, after, PAGE):
            self._put(rows)
            after = rows[-1].id
            if monotonic() - told >= 1:
                told = monotonic()
                log.info("triggers loading", extra={"loaded": len(self._index), "of": total})
                health.broken(LOOP, f"loading: {len(self._index):,} of {total:,}")
        await self._gather()
        health.well(LOOP)
        log.info("triggers loaded", extra={"triggers": len(self._index), "seconds": round(monotonic() - began, 1)})

    async def follow(self, database: Database, wakeups: Wakeups) -> None:
        """For ever, after `load`."""
        signal = wakeups.watch(definitions.TRIGGERS_CHANNEL)
        next_page = monotonic()
        async with database.lane(durable=False) as connection:
            while True:
                signal.clear()
                await self.catch_up(connection)
                await self._gather()
                if monotonic() >= next_page:
                    # A little sooner than the looks that nobody asks for, so that none of them is without a page.
                    next_page = monotonic() + 0.9 * LOOK_ANYWAY
                    await self.compare_page(connection)
                await wakeups.wait(signal)

    async def catch_up(self, connection: asyncpg.Connection) -> None:
        """Take in what changed since this was called before."""
        now = await store.snapshot(connection)
        await self._look_at(connection, await store.changed_since(connection, self._seen))
        self._seen = now
        self._freeze()  # matching files triggers anew by itself, when it learns of lists

    async def compare_page(self, connection: asyncpg.Connection) -> None:
        """Go on comparing the table with the index by versions; after the last page, begin anew."""
        if not self._compared:
            self._unmet = set(self._versions)
        page = await store.versions_after(connection, self._compared, PAGE)
        self._unmet.difference_update(page)
        await self._look_at(connection, [id for id, version in page.items() if self._versions.get(id) != version])
        self._compared = next(reversed(page)) if len(page) == PAGE else ""
        if not self._compared:
            await self._look_at(connection, [id for id in self._unmet if id in self._versions])
            await store.forget_changes(connection, KEEP_CHANGES)

    async def _look_at(self, connection: asyncpg.Connection, ids: Sequence[str]) -> None:
        """Make these in the index as they are in the table."""
        put = removed = 0
        for start in range(0, len(ids), SLICE):
            slice_ = ids[start : start + SLICE]
            rows = await store.by_id(connection, slice_)
            changed = [row for row in rows if self._versions.get(row.id) != row.version]
            gone = self._versions.keys() & (set(slice_) - {row.id for row in rows})
            self._put(changed)
            self._remove(gone)
            put, removed = put + len(changed), removed + len(gone)
        if put or removed:
            log.info("triggers changed", extra={"triggers": len(self._index), "put": put, "removed": removed})

    def _put(self, rows: Sequence[store.LiveTriggerRow]) -> None:
        self._index.put_all([_live(row) for row in rows])
        self._versions.update((row.id, row.version) for row in rows)
        self._freeze()

    def _freeze(self) -> None:
        if self._index.filed - self._frozen >= FREEZE_EVERY:
            gc.freeze()
            self._frozen = self._index.filed

    async def _gather(self) -> None:
        if self._index.filed - self._gathered >= GATHER_EVERY:
            self._gathered = self._index.filed
            gathered = await asyncio.to_thread(huge_pages.gather)
            log.info("triggers are in huge pages", extra={"megabytes": gathered >> 20})

    def _remove(self, ids: Iterable[str]) -> None:
        for trigger_id in ids:
            self._index.remove(trigger_id)
            del self._versions[trigger_id]


def _live(row: store.LiveTriggerRow) -> LiveTrigger:
    actions = row.actions
    try:
        compiled = dql.compile(row.filter)
    except InvalidFilter as error:
        # Filters are checked when a trigger is made; one that an older version let in must not stop the others. It is
        # in the index, so that this is said once, and under no action, so that no event matches it.
        log.error("trigger left out, its filter is wrong", extra={"trigger": row.id, "reason": str(error)})
        actions, compiled = (), dql.compile(None)
    return LiveTrigger(
        id=row.id,
        name=row.name,
        version=row.version,
        project_id=row.project_id,
        service_id=row.service_id,
        function_name=row.function_name,
        resource=row.resource,
        actions=actions,
        filter=compiled,
        once=row.once,
        input=row.input,
        max_attempts=row.max_attempts,
        loop_protection=row.loop_protection,
    )
