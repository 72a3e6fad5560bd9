"""Stage 1: what the log gives. What in it cannot be read goes to the dead letters and blocks nothing; what matched is
kept in the store, where the log is not there itself."""

from __future__ import annotations

from collections.abc import Sequence

import asyncpg
import msgspec

from backbone.model.events import DeadLetter
from backbone.model.matches import Matches
from backbone.store import dead_letters, events


async def keep(connection: asyncpg.Connection, matches: Sequence[Matches]) -> list[Matches]:
    """The same matches, whose events are in the store now. An event that came before is taken for what it was then:
    a log elsewhere may give one twice, and its executions' ids go by the time it was received."""
    received = await events.keep(connection, [one.recorded for one in matches])
    return [
        one
        if one.recorded.received == first
        else msgspec.structs.replace(one, recorded=msgspec.structs.replace(one.recorded, received=first))
        for one, first in zip(matches, received, strict=True)
    ]


async def set_aside(connection: asyncpg.Connection, rejects: Sequence[DeadLetter]) -> None:
    if rejects:
        await dead_letters.record(connection, rejects)
