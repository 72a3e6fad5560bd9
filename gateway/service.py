"""The gateway's process: a listening socket, uvicorn on it, and the loop that writes events."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator

import uvicorn

from backbone.kit.loops import Health, keep
from backbone.model.errors import Unavailable
from backbone.ports import EventLog, WorkQueue
from backbone.store.database import Database
from backbone.store.wakeups import Wakeups
from gateway.app import App
from gateway.joined_writes import Connection
from gateway.parts import Parts
from gateway.settings import GatewaySettings

__all__ = ["GatewaySettings", "Server", "listening", "run"]

BACKLOG = 2048
MOST_CONNECTIONS = 1_000
LEAVING = 5  # seconds for requests that are being answered when we stop


async def run(
    database: Database,
    wakeups: Wakeups,
    event_log: EventLog,
    work_queue: WorkQueue,
    health: Health,
    settings: GatewaySettings,
    *,
    on_listening: Callable[[str, int], None],
) -> None:
    """Until cancelled. Raises Invalid when it would listen to strangers without a token."""
    settings.check()
    health.broken("http", "starting")
    parts = Parts.of(database, wakeups, event_log, work_queue, settings)
    with listening(settings.host, settings.port) as listener:
        server = Server(_config(App(parts)))
        writer = asyncio.create_task(keep("write", parts.writer.run, health))
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            await server.started_up.wait()
            health.well("http")
            on_listening(settings.host, listener.getsockname()[1])
            await asyncio.shield(serving)
        finally:
            # Requests first, then what writes for them.
            server.should_exit = True
            await asyncio.wait([serving])
            writer.cancel()
            await asyncio.wait([writer])
            await parts.leases.close()


class Server(uvicorn.Server):
    """uvicorn inside somebody else's process: signals are not its business, and it says when it is up."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.started_up = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.started_up.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _config(app: App) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=Connection,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        backlog=BACKLOG,
        limit_concurrency=MOST_CONNECTIONS,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=LEAVING,
    )


@contextlib.contextmanager
def listening(host: str, port: int) -> Iterator[socket.socket]:
    """Raises Unavailable naming the address when it is taken, or none of this machine."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise Unavailable(f"{host}:{port}", error.strerror or str(error)) from None
    with listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(address)
        except OSError as error:
            raise Unavailable(f"{host}:{port}", error.strerror or str(error)) from None
        yield listener
