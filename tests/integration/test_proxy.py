"""The network of the tests breaks in the ways that networks break, and mends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.support import servers
from tests.support.proxy import Proxy

PATIENCE = 30
ABSENCE = 0.1


class Echo:
    """A server that says back what it hears."""

    def __init__(self) -> None:
        self.port = servers.free_port()
        self.heard = 0
        self.lost = asyncio.Event()

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while said := await reader.read(100):
                self.heard += len(said)
                writer.write(said)
        except ConnectionError:
            self.lost.set()
        finally:
            writer.close()


@pytest.fixture
async def echo() -> AsyncIterator[Echo]:
    echo = Echo()
    async with await asyncio.start_server(echo.answer, "127.0.0.1", echo.port):
        yield echo


@pytest.fixture
async def network(echo: Echo) -> AsyncIterator[Proxy]:
    async with Proxy("127.0.0.1", echo.port) as network:
        yield network


class Client:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def say(self, word: bytes) -> None:
        self.writer.write(word)
        await self.writer.drain()

    async def hears(self, word: bytes) -> bool:
        return await asyncio.wait_for(self.reader.readexactly(len(word)), PATIENCE) == word


@asynccontextmanager
async def client_of(network: Proxy) -> AsyncIterator[Client]:
    client = Client(*await asyncio.open_connection("127.0.0.1", network.port))
    try:
        yield client
    finally:
        client.writer.transport.abort()


@pytest.fixture
async def client(network: Proxy) -> AsyncIterator[Client]:
    async with client_of(network) as client:
        await client.say(b"hello")
        assert await client.hears(b"hello")
        yield client


async def test_what_is_said_while_it_stalls_arrives_when_it_is_restored(network: Proxy, client: Client) -> None:
    network.stall()
    await client.say(b"held")
    async with client_of(network) as late:
        await late.say(b"late")
        for each in (client, late):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(each.reader.read(1), ABSENCE)
        await network.restore()
        assert await client.hears(b"held")
        assert await late.hears(b"late")


async def test_a_reset_is_an_error_on_both_sides_and_the_next_connection_works(
    network: Proxy, client: Client, echo: Echo
) -> None:
    network.reset()
    with pytest.raises(ConnectionResetError):
        await asyncio.wait_for(client.reader.read(1), PATIENCE)
    await asyncio.wait_for(echo.lost.wait(), PATIENCE)
    async with client_of(network) as again:
        await again.say(b"again")
        assert await again.hears(b"again")


async def test_a_stalled_connection_can_be_reset(network: Proxy, client: Client) -> None:
    network.stall()
    await client.say(b"lost")
    network.reset()
    with pytest.raises(ConnectionResetError):
        await asyncio.wait_for(client.reader.read(1), PATIENCE)


async def test_a_half_closed_connection_reads_its_end_and_still_sends(
    network: Proxy, client: Client, echo: Echo
) -> None:
    network.half_close()
    assert await asyncio.wait_for(client.reader.read(), PATIENCE) == b""
    before = echo.heard
    await client.say(b"more")
    async with asyncio.timeout(PATIENCE):
        while echo.heard < before + len(b"more"):
            await asyncio.sleep(0.001)


async def test_a_refused_port_can_be_restored_and_is_the_same(network: Proxy, client: Client) -> None:
    network.refuse()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", network.port)
    await client.say(b"still")
    assert await client.hears(b"still")
    await network.restore()
    async with client_of(network) as late:
        await late.say(b"late")
        assert await late.hears(b"late")


async def test_an_end_is_passed_on_and_nothing_said_before_it_is_lost(network: Proxy, client: Client) -> None:
    said = 10_000_000

    async def listen_slowly() -> int:
        heard = 0
        while chunk := await client.reader.read(100_000):
            heard += len(chunk)
            await asyncio.sleep(0)
        return heard

    listening = asyncio.create_task(listen_slowly())
    await client.say(b"x" * said)
    client.writer.write_eof()
    assert await asyncio.wait_for(listening, PATIENCE) == said
