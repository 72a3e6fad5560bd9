"""Versions of triggers with their filters compiled, kept for the next question: compiling costs more than asking."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import asyncpg

from backbone.model.decisions import Conditions, KnownVersion
from backbone.store import ledger

MOST = 20_000
"""Some 3 kB each."""

SLICE = 500
"""Read and compiled at a time, a hundredth of a second, with other requests in between."""

VersionKey = tuple[str, int]


class KnownVersions:
    """A version never changes, so what is known stays known."""

    def __init__(self) -> None:
        self._known: dict[VersionKey, KnownVersion] = {}
        self._conditions = Conditions()

    async def of(self, connection: asyncpg.Connection, wanted: Sequence[VersionKey]) -> dict[VersionKey, KnownVersion]:
        """Those of them that there are."""
        found = {key: known for key in wanted if (known := self._known.get(key)) is not None}
        unknown = [key for key in wanted if key not in found]
        for start in range(0, len(unknown), SLICE):
            new = await ledger.known_versions(connection, unknown[start : start + SLICE], self._conditions)
            found.update(new)
            if len(self._known) + len(new) <= MOST:
                self._known.update(new)
            await asyncio.sleep(0)
        if len(found) <= MOST < len(self._known) + len(unknown):
            self._known = dict(found)  # other questions are asked now
            self._conditions = Conditions()
        return found
