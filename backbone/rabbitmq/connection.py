"""The way to RabbitMQ: two connections a process, one to publish and one to consume.

A connection is opened when it is first needed, and again when it is needed after it was lost: whoever meets a lost one
is told by `Unavailable`, and its loop begins again after a pause (`backbone.kit.loops`). So nothing waits silently for
a server that is away, and nothing has to be told that it is back.

aio-pika opens connections and declares what is declared; what goes and comes by the thousand uses aiormq below it.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from itertools import cycle
from typing import Any, cast
from urllib.parse import parse_qsl, unquote, urlsplit

import aio_pika
import aiormq
from aio_pika.abc import AbstractChannel
from aiormq.connection import TransportFactory
from yarl import URL

from backbone.kit import metrics
from backbone.kit.loops import Health
from backbone.model.errors import Unavailable
from backbone.rabbitmq.deliveries import Frames, Into

HEARTBEAT = 6  # seconds; aiormq hangs up after 21 seconds of silence
CONNECTS_WITHIN = 5.0  # seconds
CLOSES_WITHIN = 2.0
ANSWERS_WITHIN = 10.0
"""For what the server is told to do, and for the confirmation of a batch."""

MOST_CHANNELS = 2047
"""Of a connection; the server's own limit where nobody has changed it."""

LOOK_EVERY = 0.25  # seconds between two looks whether the server has blocked us

# aiormq raises RuntimeError of what is closed.
_WRONG = (aiormq.AMQPError, RuntimeError, OSError, asyncio.CancelledError)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    url: str = field(repr=False)
    """`amqp[s]://user:password@host:port/vhost`"""

    tls: ssl.SSLContext | None = None
    """For `amqps`: whom to trust, and who we are. None: the machine's certificates."""

    @property
    def user(self) -> str | None:
        """As the server knows us; None where a certificate says it."""
        parts = urlsplit(self.url)
        by_password = dict(parse_qsl(parts.query)).get("auth", "plain").lower() == "plain"
        return unquote(parts.username or "guest") if by_password else None


@contextmanager
def unavailable() -> Iterator[None]:
    """What goes wrong with RabbitMQ in one word of ours.

    aiormq also cancels what waits for a connection that is lost: nobody asked us to end then, and passed on, it would
    end the loop above us without a sound. And where a cancellation of ours meets an answer, it forgets that.
    """
    task = asyncio.current_task()
    before = task.cancelling() if task else 0
    wrong: BaseException | None = None
    try:
        yield
    except _WRONG as error:
        wrong = error
    if task is not None and task.cancelling() > before:
        raise asyncio.CancelledError from wrong
    if wrong is not None:
        raise Unavailable("RabbitMQ", _reason(wrong)) from wrong


def _reason(error: BaseException) -> str:
    if isinstance(error, asyncio.CancelledError):
        return "the connection was lost"
    if isinstance(error, TimeoutError):
        return "it does not answer"
    return f"{type(error).__name__}: {error}".rstrip(": ")


class Rabbit:
    """What a process holds of RabbitMQ. `name` is what the server's operator sees of us."""

    def __init__(self, address: Address, name: str, health: Health | None = None) -> None:
        self.publishing = Link(address, f"{name}, publishes", health)
        self.consuming = Link(address, f"{name}, consumes", health)

    async def close(self) -> None:
        await self.publishing.close()
        await self.consuming.close()


class Link:
    """One connection, opened when it is needed."""

    def __init__(self, address: Address, name: str, health: Health | None = None) -> None:
        self._address = address
        self._name = name
        self._health = health
        self._one_at_a_time = asyncio.Lock()
        self._connection: aio_pika.Connection | None = None
        self._socket: _Socket | None = None
        self._looking: asyncio.TimerHandle | None = None
        self._numbers = cycle(range(1, MOST_CHANNELS + 1))
        self._free = asyncio.Event()
        self._free.set()
        self.on_blocked: list[Callable[[], None]] = []
        """Called when it begins: what was published last may lie on the way until it ends."""

    @property
    def user(self) -> str | None:
        return self._address.user

    @property
    def blocked(self) -> bool:
        """The server is short of memory or disk and takes nothing from us."""
        return not self._free.is_set()

    async def unblocked(self) -> None:
        """Wait until the server takes what is published; for no longer than for an answer."""
        with unavailable():
            try:
                async with asyncio.timeout(ANSWERS_WITHIN):
                    await self._free.wait()
            except TimeoutError:
                raise Unavailable("RabbitMQ", "it is blocked: short of memory or disk, it takes nothing") from None

    async def channel(self, *, confirms: bool = False, into: Into | None = None) -> aiormq.Channel:
        """A channel of aiormq; what is delivered over it goes `into`. It is lost with the connection, and the next
        call opens both anew."""
        with unavailable():
            async with asyncio.timeout(ANSWERS_WITHIN):
                connection, socket = await self._opened()
                opening = _below(connection).channel(self._number(connection), publisher_confirms=confirms)
                channel = await _whole(opening)
                socket.into.pop(channel.number, None)
                if into is not None:
                    socket.into[channel.number] = into
                return channel

    @asynccontextmanager
    async def topology(self) -> AsyncIterator[AbstractChannel]:
        """A channel of aio-pika for declaring; a declaration that is refused costs the channel."""
        with unavailable():
            async with asyncio.timeout(ANSWERS_WITHIN):
                connection, _ = await self._opened()
                async with connection.channel(self._number(connection)) as channel:
                    yield channel

    @property
    def generation(self) -> object | None:
        """Another object for every connection; None while there is none."""
        return self._connection if self._is_open else None

    def hang_up(self) -> None:
        """For a server that has fallen silent: waiting for its farewell would wait for ever."""
        if self._socket is not None:
            self._socket.abort()

    async def close(self) -> None:
        connection, self._connection = self._connection, None
        if self._looking is not None:
            self._looking.cancel()
            self._looking = None
        self._seen(blocked=False)
        if connection is None:
            return
        try:
            async with asyncio.timeout(CLOSES_WITHIN):
                await connection.close()
        except (TimeoutError, aiormq.AMQPError, OSError):
            self.hang_up()

    async def _opened(self) -> tuple[aio_pika.Connection, _Socket]:
        async with self._one_at_a_time:
            if self._connection is None or self._socket is None or not self._is_open:
                await self.close()
                self._connection, self._socket = await self._open()
                self._look()
            return self._connection, self._socket

    async def _open(self) -> tuple[aio_pika.Connection, _Socket]:
        for chatty in ("aiormq", "aio_pika"):
            # A line and a traceback with every try, of what our loops say once.
            logging.getLogger(chatty).setLevel(logging.CRITICAL)
        socket = _Socket()
        connection = aio_pika.Connection(
            URL(self._address.url).update_query(heartbeat=HEARTBEAT),
            ssl_context=self._address.tls,
            client_properties={"connection_name": self._name},
        )
        connection.kwargs["transport_factory"] = socket
        try:
            async with asyncio.timeout(CONNECTS_WITHIN):
                await connection.connect()
        except BaseException:
            socket.abort()
            await connection.close()
            raise
        return connection, socket

    def _number(self, connection: aio_pika.Connection) -> int:
        """Of the next channel: none that was in use lately. aiormq has a number again as soon as the server closes its
        channel, and may open another before it has said that it heard: the server then closes the connection."""
        in_use = _below(connection).channels
        return next(number for number in self._numbers if number not in in_use)

    @property
    def _is_open(self) -> bool:
        connection = self._connection
        if connection is None or connection.transport is None or self._socket is None or self._socket.is_dropped:
            return False
        return bool(_below(connection).is_opened)

    def _look(self) -> None:
        # aiormq has no callback for it, and `connection.ready()` can only be waited for.
        connection = self._connection
        if connection is None:
            return
        self._seen(blocked=self._is_open and not _below(connection)._Connection__connection_unblocked.is_set())
        self._looking = asyncio.get_running_loop().call_later(LOOK_EVERY, self._look)

    def _seen(self, *, blocked: bool) -> None:
        if blocked == self.blocked:
            return
        log.warning("RabbitMQ has blocked us" if blocked else "RabbitMQ takes again", extra={"connection": self._name})
        metrics.broker_blocked.set(blocked)
        name = f"rabbitmq {self._name}"
        if blocked:
            self._free.clear()
            for tell in self.on_blocked:
                tell()
            if self._health is not None:
                self._health.broken(name, "blocked: the server is short of memory or disk and takes nothing")
        else:
            self._free.set()
            if self._health is not None:
                self._health.well(name)


class _Socket(TransportFactory):
    """Keeps hold of the socket, to be able to drop it."""

    def __init__(self) -> None:
        self._writer: asyncio.StreamWriter | None = None
        self.into: dict[int, Into] = {}
        self.is_dropped = False

    async def create(self, url: URL, **given: Any) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        contexts = given.pop("ssl_context_provider")
        tls = await contexts.get_context() if url.scheme == "amqps" else None
        stream, self._writer = await asyncio.open_connection(url.host, url.port, ssl=tls, **given)
        return cast(asyncio.StreamReader, Frames(stream, self.into)), self._writer

    def abort(self) -> None:
        self.is_dropped = True
        if self._writer is not None:
            self._writer.transport.abort()


async def _whole(opening: Coroutine[Any, Any, Any]) -> aiormq.Channel:
    """A channel, opened to the end also when we are cancelled meanwhile: aiormq would close one that the server has not
    heard of yet, and the server would hang up."""
    task = asyncio.ensure_future(opening)
    try:
        return cast(aiormq.Channel, await asyncio.shield(task))
    except asyncio.CancelledError:
        await asyncio.wait([task], timeout=CLOSES_WITHIN)
        if task.done() and not task.cancelled() and task.exception() is None:
            await closed(task.result())
        raise


async def closed(channel: aiormq.Channel) -> None:
    try:
        with unavailable():
            await channel.close(timeout=CLOSES_WITHIN)
    except Unavailable:
        pass  # lost is closed, too


def _below(connection: aio_pika.Connection) -> Any:
    """The connection of aiormq."""
    if connection.transport is None:
        raise Unavailable("RabbitMQ", "the connection was lost")
    return connection.transport.connection
