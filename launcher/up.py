"""`trigger-engine up`: the whole engine on this machine, in one terminal.

    PostgreSQL ── engine ── dispatcher ── gateway ── an agent process for each replica of each service

Each part is a process of its own, begun again when it ends by itself. Ctrl-C ends them in the opposite order, the
database last. What was unfinished is in the database and goes on at the next start. Where the settings name a database,
none is started.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import uvloop

from backbone.drivers.agent_pool.processes import ProcessAgentPool
from backbone.kit import logs
from backbone.kit.loops import Health, keep
from backbone.model.errors import Invalid, Unavailable
from backbone.store.migrations import migrate
from dispatcher.scale import autoscaler
from gateway import service as gateway_service
from launcher import agent_host, embedded, processes, roles, servers
from launcher.data_folder import DataFolder
from launcher.postgres import PostgresServer
from launcher.processes import Part
from launcher.settings import PREFIX, Settings, from_environment

EVERY_ROLE = ("postgres", "engine", "dispatcher", "gateway", "agents")

log = logging.getLogger("launcher.up")


def up(data: Path, only: str | None, **told: Any) -> int:
    """Run until Ctrl-C or SIGTERM; the exit code. What is `told` wins over the settings. Raises Conflict when somebody
    else has the folder."""
    if only is not None and only not in EVERY_ROLE:
        raise Invalid("--only", f"{only!r} is not a role; roles: {', '.join(EVERY_ROLE)}")
    settings = from_environment(needs=(), **told)
    wanted = tuple(
        role for role in EVERY_ROLE if role == (only or role) and not (role == "postgres" and settings.database)
    )
    if not wanted:
        raise Invalid("--only", f"postgres: {PREFIX}DATABASE names another, so none is started here")
    if "gateway" in wanted:
        roles.gateway_rules(settings)
    logs.configure("up", form=settings.log_format)
    folder = DataFolder(data)
    folder.hold(wanted)
    try:
        if "gateway" in wanted:
            with gateway_service.listening(settings.host, settings.port):
                pass  # better a sentence now than a gateway that begins again and again
        return uvloop.run(_Up(folder, wanted, settings).run())
    finally:
        folder.release()


class _Up:
    def __init__(self, folder: DataFolder, wanted: tuple[str, ...], settings: Settings) -> None:
        self._folder = folder
        self._wanted = wanted
        self._settings = settings
        self._host = settings.host
        self._port = settings.port
        self._token = settings.token
        self._stop = asyncio.Event()
        self._ready = asyncio.Event()
        self._running: list[asyncio.Future[None]] = []
        self._agents: list[asyncio.Future[None]] = []
        self._failure: BaseException | None = None

    async def run(self) -> int:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._stop.set)
        server = PostgresServer(self._folder.postgres) if "postgres" in self._wanted else None
        self._begin(partial(self._start, server))
        try:
            await self._stop.wait()
        finally:
            log.info("stopping")
            await self._end(server)
        if self._failure is not None:
            raise self._failure
        return 0

    async def _start(self, server: PostgresServer | None) -> None:
        self._forget_addresses()  # of a former one that was killed
        if server is not None:
            self._folder.clear_metrics()
            await server.start()
            self._dsn = server.dsn()
            await migrate(self._dsn)
            self._folder.write("postgres.json", {"dsn": self._dsn})
            self._begin(partial(_keep_server, server))
            log.info("PostgreSQL runs", extra={"folder": self._folder.postgres})
        else:
            await self._find_database()
        for role in ("engine", "dispatcher", "gateway"):
            if role in self._wanted:
                self._begin(Part(role, self._environment, self._heard).run)
        if "agents" in self._wanted:
            if "gateway" in self._wanted:
                await self._ready.wait()
            self._agents = [self._begin(self._run_agents)]

    async def _find_database(self) -> None:
        if self._settings.database:
            self._dsn = self._settings.database
            self._folder.clear_metrics()
            await migrate(self._dsn)
        else:
            self._dsn = self._folder.read("postgres.json")["dsn"]

    def _begin(self, body: Callable[[], Awaitable[None]]) -> asyncio.Future[None]:
        task = asyncio.ensure_future(body())
        task.add_done_callback(self._look_at)
        self._running.append(task)
        return task

    def _look_at(self, task: asyncio.Future[None]) -> None:
        """What fails, the start too, ends us with its error."""
        if not task.cancelled() and task.exception() is not None:
            self._failure = self._failure or task.exception()
            self._stop.set()

    async def _end(self, server: PostgresServer | None) -> None:
        """The start first, should it not be over; then the agents, whose last words go to the database; then the parts
        beside each other, and the server when nobody needs it any more."""
        await _cancel(self._running[:1])
        await _cancel(self._agents)
        await _cancel(self._running)
        if server is not None:
            await server.stop()
        self._forget_addresses()
        log.info("stopped")

    def _forget_addresses(self) -> None:
        for role in ("postgres", "gateway"):
            if role in self._wanted:
                self._folder.remove(f"{role}.json")

    def _environment(self) -> Mapping[str, str]:
        given = {
            "DATABASE": self._dsn,
            "HOST": self._host,
            "PORT": str(self._port),
            "TOKEN": self._token,
            "DATA": str(self._folder.path),
        }
        return {
            **processes.given_to(os.environ, given),
            roles.PARENT: str(os.getpid()),
            "PROMETHEUS_MULTIPROC_DIR": str(self._folder.metrics),
        }

    def _heard(self, line: str) -> None:
        """The gateway says where it listens; asked for port 0, only it knows."""
        word, _, address = line.partition(" ")
        if word != "listening":
            return
        host, _, port = address.rpartition(" ")
        self._port = int(port)
        reachable = "127.0.0.1" if host in ("0.0.0.0", "::", "") else host
        self._folder.write("gateway.json", {"url": f"http://{reachable}:{port}", "token": self._token})
        self._ready.set()

    async def _run_agents(self) -> None:
        gateway = self._folder.read("gateway.json")
        environment = processes.given_to(self._environment(), {"URL": gateway["url"]})
        settings = from_environment(environment)
        inherited = agent_host.without_the_keys(environment) if settings.rabbitmq else environment
        management = servers.rabbitmq_management(settings)
        of_service = partial(agent_host.environment_of, inherited, gateway["token"], settings.rabbitmq, management)
        pool = ProcessAgentPool(agent_host.command, of_service)
        health = Health()
        try:
            async with embedded.parts(settings, "agents", health) as parts:
                await keep("agents", partial(autoscaler.run, pool, parts.database, parts.wakeups), health)
        finally:
            await pool.close(settings.stop_grace)


async def _cancel(tasks: Sequence[asyncio.Future[None]]) -> None:
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)


async def _keep_server(server: PostgresServer) -> None:
    while True:
        code = await server.wait()
        log.warning("PostgreSQL ended, starting it again", extra={"exit_code": code})
        await _start_again(server)


async def _start_again(server: PostgresServer) -> None:
    """For as long as it takes: a disk that is full now may have room soon."""
    while True:
        try:
            return await server.start()
        except Unavailable as error:
            log.error("PostgreSQL does not start: %s", error)
            await asyncio.sleep(processes.LONGEST_PAUSE)
