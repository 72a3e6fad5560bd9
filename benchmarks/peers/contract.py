"""What a peer has to show to be measured. The modules pgqueuer, procrastinate and dbos show it."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol, cast

Item = dict[str, Any]
"""What a job is given: as large as our events, with the time it was sent."""

Add = Callable[[Sequence[Item]], Coroutine[Any, Any, None]]
Ran = Callable[[Item], None]


class Peer(Protocol):
    FINISHED: str
    """SQL: how many jobs are recorded as finished well."""

    async def install(self, dsn: str) -> None:
        """Its tables, in an empty database."""

    def producer(self, dsn: str, callers: int) -> AbstractAsyncContextManager[Add]:
        """Adds jobs, from so many callers at the same time; together in one statement where there are several."""

    async def work(self, dsn: str, ran: Ran, over: asyncio.Event) -> None:
        """Each job is one call of `ran`, in this process. Ends in order once `over` is set."""


def peer(name: str) -> Peer:
    """Raises ImportError where it is not installed."""
    return cast(Peer, importlib.import_module(f"benchmarks.peers.{name}"))
