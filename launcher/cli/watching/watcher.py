"""The loop that watches a folder: see, let settle, tell the engine, remember.

Notifications only say where to look. A full look at the start finds what happened before, and one every now and then
what notifications missed. What the engine has not taken is not remembered, so it is told again.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta

import watchfiles

from backbone.model.errors import InvalidEvent, NotFound, Unavailable
from launcher.cli import delivery
from launcher.cli.engine import Engine
from launcher.cli.event_lines import Numbered, batches
from launcher.cli.exits import Refused
from launcher.cli.watching import items, looking, provenance, snapshot
from launcher.cli.watching.items import Place
from launcher.cli.watching.settling import STEADY, Settling
from launcher.cli.watching.snapshot import Change, Snapshot, Told

LOOK_AT_ALL = timedelta(seconds=30)
SAVE_EVERY = timedelta(seconds=1)
FIRST_PAUSE = timedelta(milliseconds=500)
LONGEST_PAUSE = timedelta(seconds=5)

Say = Callable[[str], None]


class Watcher:
    def __init__(self, engine: Engine, place: Place, memory: Snapshot, say: Say, complain: Say) -> None:
        self._engine = engine
        self._place = place
        self._memory = memory
        self._say = say
        self._complain = complain
        self._settling = Settling()
        self._unnameable: set[str] = set()
        self._saved = time.monotonic()

    async def once(self) -> None:
        """Tell what changed since the last time, and return."""
        self._look_at_all()
        while self._settling:
            await asyncio.sleep(STEADY.total_seconds())
            await self._tell_settled()

    async def forever(self) -> None:
        looked = None
        tick = int(STEADY.total_seconds() * 1000)
        # It yields also when nothing happened: that is the tick by which files settle. The first comes when the
        # notifications are on, so nothing falls between them and the first look.
        async for changed in watchfiles.awatch(
            self._place.folder,
            watch_filter=None,
            debounce=tick,
            step=tick // 4,
            rust_timeout=tick,
            yield_on_timeout=True,
        ):
            if looked is None or time.monotonic() - looked > LOOK_AT_ALL.total_seconds():
                self._look_at_all()
                looked = time.monotonic()
            self._look_at(path for _, path in changed)
            await self._tell_settled()

    def _look_at_all(self) -> None:
        if not self._place.folder.is_dir():
            raise NotFound("folder", str(self._place.folder))
        self._look_at_files({*looking.files_below(self._place.folder), *self._memory.told})

    def _look_at(self, changed: Iterable[str]) -> None:
        """A name may be a file, a folder that came with files, or a folder that went with them."""
        for name in changed:
            path = os.path.relpath(name, self._place.folder).replace(os.sep, "/")
            if looking.is_watched(path):
                gone = [told for told in self._memory.told if told == path or told.startswith(f"{path}/")]
                self._look_at_files({path, *looking.files_below(self._place.folder, path), *gone})

    def _look_at_files(self, paths: Iterable[str]) -> None:
        now = time.monotonic()
        for path in paths:
            if not looking.is_nameable(path):
                self._tell_unnameable(path)
                continue
            seen = looking.look(self._place.folder, path)
            before = self._memory.told.get(path)
            if (before is None) if seen is None else seen.is_content_of(before.seen if before else None):
                continue
            self._settling.saw(path, seen, now)

    async def _tell_settled(self) -> None:
        for path in self._settling.paths():
            self._settling.saw(path, looking.look(self._place.folder, path), time.monotonic())
        settled = self._settling.settled(time.monotonic())
        changes = snapshot.changes(self._memory.told, settled)
        if changes:
            await self._tell(changes)
            self._memory.save()

    async def _tell(self, changes: Sequence[Change]) -> None:
        carried = [self._carried(change) for change in changes]
        lines = [
            Numbered(change.path, self._event(change, written))
            for change, written in zip(changes, carried, strict=True)
        ]
        told = 0
        for batch in batches(lines, delivery.BATCH, delivery.BATCH_BYTES):
            await self._deliver(batch)
            for change, written in zip(changes[told : told + len(batch)], carried[told:], strict=False):
                self._remember(change, written)
            told += len(batch)
            if time.monotonic() - self._saved > SAVE_EVERY.total_seconds():
                self._memory.save()
                self._saved = time.monotonic()

    def _carried(self, change: Change) -> str:
        return "" if change.action == "Deleted" else provenance.written_form(self._place.folder / change.path)

    def _event(self, change: Change, written: str) -> bytes:
        try:
            causation = provenance.of(change, written)
        except InvalidEvent as error:
            self._complain(f"{change.path}: its causation does not read, it is told without: {error}")
            causation = None
        return items.event(self._place, change, causation)

    async def _deliver(self, batch: Sequence[Numbered]) -> None:
        """Returns when the engine has the batch, however long that takes."""
        pause = FIRST_PAUSE
        while True:
            try:
                receipt = await delivery.deliver(self._engine, [line.document for line in batch], self._place.project)
                break
            except (Unavailable, Refused) as error:
                if isinstance(error, Refused) and error.status < 500:
                    raise
                if pause is FIRST_PAUSE:
                    self._complain(f"{error}; {len(batch)} events wait")
                await asyncio.sleep(pause.total_seconds())
                pause = min(pause * 2, LONGEST_PAUSE)
        if pause is not FIRST_PAUSE:
            self._say("the engine answers again")
        for rejected in receipt.rejected:
            self._complain(f"{batch[rejected.index].place}: {rejected}")

    def _remember(self, change: Change, written: str) -> None:
        self._say(f"{change.action:<8}  /{change.path}  {items.mimetype(change.path)}, {change.seen.size:,} bytes")
        if change.action == "Deleted":
            del self._memory.told[change.path]
        else:
            created = change.before.created_ns if change.before else change.seen.mtime_ns
            self._memory.told[change.path] = Told(change.seen, created, written)

    def _tell_unnameable(self, path: str) -> None:
        if path not in self._unnameable:
            self._unnameable.add(path)
            self._complain(f"{os.fsencode(path)!r} is left out: its name is not UTF-8")
