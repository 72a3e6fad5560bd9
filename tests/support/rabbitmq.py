"""RabbitMQ for tests: one server a run, and a virtual host of its own for each test that asks.

The server is the one that `TRIGGER_ENGINE_TEST_RABBITMQ` names (an administrator's amqp:// address; its management
plugin listens ten thousand ports above, as usual), or one that is started here from the binary on this machine.

A quorum queue that was declared less than half a second before the server is killed comes back empty or never, with
all that was confirmed (RabbitMQ 3.10). Who kills a server and means to find things again awaits `kept()` first.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urlsplit

from tests.support.servers import Failed, Missing, Program, free_port

if TYPE_CHECKING:
    import httpx

VARIABLE = "TRIGGER_ENGINE_TEST_RABBITMQ"
# Debian's own is a wrapper that goes on as another user: wrong process id, wrong cookie.
BINARIES = Path("/usr/lib/rabbitmq/bin")
HELLO = b"AMQP\0\0\x09\x01"
EVERYTHING = {"configure": ".*", "write": ".*", "read": ".*"}
# What is written survives the server, and need not survive the machine. A full disk is not what tests are about.
ADVANCED = "[{ra, [{wal_sync_method, none}]}]."
SETTINGS = {"disk_free_limit.absolute": "1MB", "log.file.level": "warning"}


@dataclass(frozen=True, slots=True)
class Broker:
    """Where a server is, for an administrator."""

    user: str
    password: str
    host: str
    port: int
    management_port: int

    def url(self, vhost: str = "/", *, port: int | None = None) -> str:
        who = f"{quote(self.user, safe='')}:{quote(self.password, safe='')}"
        return f"amqp://{who}@{self.host}:{port or self.port}/{quote(vhost, safe='')}"

    def management(self) -> httpx.AsyncClient:
        """Its HTTP API: `await client.get("/overview")`."""
        import httpx  # tests that need no broker do not wait for it

        return httpx.AsyncClient(
            base_url=f"http://{self.host}:{self.management_port}/api",
            auth=(self.user, self.password),
            timeout=60,
            trust_env=False,
            verify=False,  # of certificates there are none, and finding those that one may trust takes 40 ms
        )


def given(address: str) -> Broker:
    parts = urlsplit(address)
    port = parts.port or 5672
    user, password = unquote(parts.username or "guest"), unquote(parts.password or "guest")
    return Broker(user, password, parts.hostname or "127.0.0.1", port, port + 10_000)


class RabbitMQServer:
    """A server of our own. `start()` may follow `kill()` and `stop()`: same ports, same folder.

    The management plugin makes a vhost in 20 ms where rabbitmqctl takes 400, and costs 1 s at the start and 5 s at a
    stop in order. Without it there is `control()`.
    """

    def __init__(
        self,
        folder: Path,
        *,
        management: bool = True,
        settings: Mapping[str, str] | None = None,
        advanced: str = ADVANCED,
    ) -> None:
        self._binaries = binaries()
        self._folder = folder
        self.broker = Broker("guest", "guest", "127.0.0.1", free_port(), free_port())
        self._environment = _environment(folder)
        self._names: Program | None = None
        self._program: Program | None = None
        self._write(management, {**SETTINGS, **(settings or {})}, advanced)

    @property
    def pid(self) -> int:
        if self._program is None:
            raise Failed("RabbitMQ does not run")
        return self._program.pid

    async def start(self) -> None:
        if self._names is None:
            # Erlang would start a daemon to find names by, and leave it behind.
            self._names = Program([_found("epmd")], self._environment, self._folder / "epmd.log")
            await self._names.until_it_answers(int(self._environment["ERL_EPMD_PORT"]))
        self._program = Program(
            [self._binaries / "rabbitmq-server"], self._environment, self._folder / "rabbitmq-server.log"
        )
        await self._program.until_it_answers(self.broker.port, HELLO)
        await self.control("await_startup")  # it answers before it can declare a quorum queue

    def kill(self) -> None:
        """SIGKILL, and no farewell to anybody."""
        if self._program is not None:
            self._program.kill()
            self._program = None

    async def stop(self) -> None:
        """In order."""
        if self._program is not None:
            await self._program.stop()
        self.end()

    def end(self) -> None:
        """For a server that nobody needs any more, nor what it keeps."""
        self.kill()
        if self._names is not None:
            self._names.kill()
            self._names = None

    async def kept(self) -> None:
        """Every queue that was declared before is known again after a kill."""
        await self.control("eval", "[ok = dets:sync(Table) || Table <- dets:all()].")

    async def control(self, *words: str) -> str:
        """What `rabbitmqctl` prints."""
        process = await asyncio.create_subprocess_exec(
            str(self._binaries / "rabbitmqctl"),
            *words,
            env=self._environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await process.communicate()
        if process.returncode != 0:
            raise Failed(f"rabbitmqctl {' '.join(words)} ended with {process.returncode}: {said.decode()}")
        return said.decode()

    def _write(self, management: bool, settings: Mapping[str, str], advanced: str) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        cookie = self._folder / ".erlang.cookie"
        cookie.write_text(secrets.token_hex(10))
        cookie.chmod(0o400)
        listening = {"listeners.tcp.1": f"127.0.0.1:{self.broker.port}"}
        if management:
            listening["management.tcp.ip"] = "127.0.0.1"
            listening["management.tcp.port"] = str(self.broker.management_port)
        lines = [f"{name} = {value}\n" for name, value in {**listening, **settings}.items()]
        (self._folder / "rabbitmq.conf").write_text("".join(lines))
        (self._folder / "advanced.config").write_text(advanced)
        (self._folder / "plugins").write_text("[rabbitmq_management]." if management else "[].")


def binaries() -> Path:
    """The folder of rabbitmq-server and rabbitmqctl."""
    if (BINARIES / "rabbitmq-server").exists():
        return BINARIES
    return Path(_found("rabbitmq-server")).resolve().parent


def _found(program: str) -> str:
    found = shutil.which(program)
    if found is None:
        raise Missing(f"there is no {program} on this machine: `make servers`, or name a server with {VARIABLE}")
    return found


def _environment(folder: Path) -> dict[str, str]:
    """All that a node and its rabbitmqctl go by, and nothing of an installation's own."""
    return {
        "PATH": os.environ["PATH"],
        "LANG": "C.UTF-8",
        "HOME": str(folder),
        "RUNNING_UNDER_SYSTEMD": "true",  # the script becomes the server, in place of watching over it
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "ERL_EPMD_PORT": str(free_port()),
        "RABBITMQ_NODENAME": "test@localhost",
        "RABBITMQ_DIST_PORT": str(free_port()),
        "RABBITMQ_SCHEDULER_BIND_TYPE": "u",  # as in compose.yaml: the processors are others' too
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
        "RABBITMQ_CONF_ENV_FILE": "/none",
        "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq"),  # the server adds .conf
        "RABBITMQ_ADVANCED_CONFIG_FILE": str(folder / "advanced.config"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
        "RABBITMQ_GENERATED_CONFIG_DIR": str(folder / "generated"),
        "RABBITMQ_MNESIA_BASE": str(folder / "data"),
        "RABBITMQ_LOG_BASE": str(folder / "log"),
    }


@asynccontextmanager
async def broker_of_the_run(folder: Path) -> AsyncIterator[Broker]:
    if address := os.environ.get(VARIABLE):
        yield given(address)
        return
    server = RabbitMQServer(folder)
    try:
        await server.start()
        yield server.broker
    finally:
        server.end()


@asynccontextmanager
async def vhost_of_one_test(broker: Broker) -> AsyncIterator[str]:
    """Its name; whoever is still connected to it at the end is thrown out."""
    name = f"test-{secrets.token_hex(6)}"
    async with broker.management() as management:
        (await management.put(f"/vhosts/{name}")).raise_for_status()
        (await management.put(f"/permissions/{name}/{broker.user}", json=EVERYTHING)).raise_for_status()
        try:
            yield name
        finally:
            (await management.delete(f"/vhosts/{name}")).raise_for_status()
