"""Who waits for rows is woken when there are some.

NOTIFY goes over a connection of its own: inside a transaction whose commit waits for the disk it would make all
commits queue up behind one lock. (`execution/record` does not wait, and notifies by itself.) A notification may be lost
(a crash, a reconnect), so nobody waits for one longer than `LOOK_ANYWAY`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from contextlib import AsyncExitStack

import asyncpg

from backbone.store.database import Database

LOOK_ANYWAY = 1.0  # seconds

PENDING = "pending"
"""The channel of executions that wait to be put in their queue."""

SERVICES = "services"
"""Woken after every change of a service: who keeps something for each of them listens."""

log = logging.getLogger(__name__)


class Wakeups:
    """`run` is a loop of its own; `wake` and `wait` may be called before it is up, they are only slower then."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._signals: dict[str, asyncio.Event] = {}
        self._to_send: set[str] = set()
        self._something = asyncio.Event()
        self._listener: asyncpg.Connection | None = None

    def wake(self, channels: Iterable[str]) -> None:
        """Those who wait for one of the channels look again, in this process and in every other."""
        self._to_send.update(channels)
        self._something.set()

    def watch(self, channel: str) -> asyncio.Event:
        """The channel's signal. Clear it, look, and wait for it only when there was nothing."""
        if channel not in self._signals:
            self._signals[channel] = asyncio.Event()
            self._something.set()
        return self._signals[channel]

    async def wait(self, signal: asyncio.Event, at_most: float = LOOK_ANYWAY) -> None:
        try:
            async with asyncio.timeout(at_most):
                await signal.wait()
        except TimeoutError:
            pass

    async def run(self) -> None:
        async with AsyncExitStack() as stack:
            # Losing a notification costs a second, waiting for the disk costs every event of that second.
            sender = await stack.enter_async_context(self._database.lane(durable=False))
            listener = await stack.enter_async_context(self._database.lane(durable=False))
            for connection in (sender, listener):
                connection.add_termination_listener(self._cut)
            listening: set[str] = set()
            while True:
                self._something.clear()
                if sender.is_closed() or listener.is_closed():
                    raise ConnectionError("a connection for notifications was closed")
                for channel in self._signals.keys() - listening:
                    await listener.add_listener(channel, self._heard)
                    listening.add(channel)
                    self._signals[channel].set()
                await self._send(sender)
                await self._something.wait()

    async def _send(self, sender: asyncpg.Connection) -> None:
        channels, self._to_send = self._to_send, set()
        if not channels:
            return
        try:
            await sender.fetch("SELECT pg_notify(channel, '') FROM unnest($1::text[]) AS channel", list(channels))
        except Exception:
            self._to_send |= channels  # for the next connection
            raise

    def _cut(self, _connection: object) -> None:
        self._something.set()

    def _heard(self, _connection: object, _pid: int, channel: str, _payload: object) -> None:
        signal = self._signals.get(channel)
        if signal is not None:
            signal.set()
