"""A network that breaks when a test says so: a TCP proxy in front of one address.

    async with Proxy("127.0.0.1", 5672) as network:
        connect(f"127.0.0.1:{network.port}")
        network.stall()          # connections are accepted and kept, nothing passes
        network.reset()          # every connection there is ends with RST
        network.half_close()     # every client reads its end; what it sends still passes
        network.refuse()         # no new connections
        await network.restore()  # new connections and bytes pass, also those that were held back

They may be combined: `refuse()` and `reset()` together are a server that is gone.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self

from tests.support.servers import free_port

CHUNK = 64 * 1024
RST_ON_CLOSE = struct.pack("ii", 1, 0)

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Proxy:
    def __init__(self, host: str, port: int, *, listening: int | None = None) -> None:
        self._target = host, port
        self.port = listening or free_port()
        self._listener: asyncio.Server | None = None
        self._flowing = asyncio.Event()
        self._links: dict[asyncio.Task[None], _Link] = {}

    @property
    def connections(self) -> int:
        return len(self._links)

    async def __aenter__(self) -> Self:
        await self.restore()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.refuse()
        tasks = list(self._links)
        self.reset()
        await asyncio.gather(*tasks, return_exceptions=True)

    def stall(self) -> None:
        self._flowing.clear()

    def reset(self) -> None:
        for task, link in self._links.items():
            link.reset()
            task.cancel()

    def half_close(self) -> None:
        for link in self._links.values():
            link.half_close()

    def refuse(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    async def restore(self) -> None:
        self._flowing.set()
        if self._listener is None:
            self._listener = await asyncio.start_server(self._accepted, "127.0.0.1", self.port)

    async def reach(self) -> Streams:
        """What is behind."""
        return await asyncio.open_connection(*self._target)

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        link = self._links[task] = _Link(reader, writer, self._flowing)
        try:
            await link.carry(self.reach)
        finally:
            del self._links[task]
            link.reset()


class _Link:
    """One client's connection, and the one that is made for it."""

    def __init__(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter, flowing: asyncio.Event) -> None:
        self._reader = reader
        self._client = client
        self._server: asyncio.StreamWriter | None = None
        self._flowing = flowing
        self._ended: set[asyncio.StreamWriter] = set()

    async def carry(self, reach: Callable[[], Awaitable[Streams]]) -> None:
        """Until both sides have ended, or one is lost."""
        await self._flowing.wait()
        try:
            reader, self._server = await reach()
            async with asyncio.TaskGroup() as ways:
                ways.create_task(self._pass(self._reader, self._server))
                ways.create_task(self._pass(reader, self._client))
            for writer in (self._client, self._server):
                writer.close()
                await writer.wait_closed()
        except* OSError:
            pass  # whoever it was that broke it, the other side learns it from `reset`

    def reset(self) -> None:
        for writer in filter(None, (self._client, self._server)):
            if not writer.is_closing():
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RST_ON_CLOSE)
            writer.transport.abort()

    def half_close(self) -> None:
        self._end(self._client)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while chunk := await reader.read(CHUNK):
            await self._flowing.wait()
            if writer not in self._ended:
                writer.write(chunk)
                await writer.drain()
        await self._flowing.wait()
        self._end(writer)

    def _end(self, writer: asyncio.StreamWriter) -> None:
        if writer not in self._ended and not writer.is_closing():
            self._ended.add(writer)
            writer.write_eof()
