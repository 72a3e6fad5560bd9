"""Kafka for tests: one server a run, and a prefix for topics for each test that asks.

The server is the one that `TRIGGER_ENGINE_TEST_KAFKA` names (`host:port`), or one that is started here with the Java on
this machine, from the jars in `$TRIGGER_ENGINE_KAFKA_HOME/libs` (an unpacked distribution has them there) or else in
`~/.cache/trigger-engine/kafka-VERSION/libs`, where Maven puts them once:

    python -m tests.support.kafka
"""

from __future__ import annotations

import base64
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.servers import Failed, Missing, Program, free_port

if TYPE_CHECKING:
    from aiokafka.admin import AIOKafkaAdminClient

VARIABLE = "TRIGGER_ENGINE_TEST_KAFKA"
HOME = "TRIGGER_ENGINE_KAFKA_HOME"
VERSION = "4.1.1"
POM = f"""<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>trigger-engine</groupId>
  <artifactId>kafka-for-tests</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId>
      <artifactId>kafka_2.13</artifactId>
      <version>{VERSION}</version>
    </dependency>
  </dependencies>
</project>
"""
# The oldest question there is, ApiVersions in version 0: from a client without a name, numbered 1.
HELLO = bytes.fromhex("0000000a 0012 0000 00000001 ffff")
PROTOCOLS = "PLAINTEXT:PLAINTEXT,PROXIED:PLAINTEXT,CONTROLLER:PLAINTEXT"
SETTINGS = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "PLAINTEXT",
    "auto.create.topics.enable": "false",
    "offsets.topic.num.partitions": "4",
    "offsets.topic.replication.factor": "1",
    "transaction.state.log.num.partitions": "4",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    # A broker that was killed is taken back when its former session has ended, and that is after 9 s by default.
    "broker.session.timeout.ms": "1000",
    "broker.heartbeat.interval.ms": "200",
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",
}
JAVA = ["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dlog4j2.level=WARN"]


@dataclass(frozen=True, slots=True)
class Proxied:
    """Where a proxy in front of a server listens, and where it leads. Clients that come through are sent back to it."""

    front: int
    behind: int


@dataclass(frozen=True, slots=True)
class Broker:
    """Where a server is: bootstrap servers, and the place for a proxy where there is one."""

    address: str
    proxied: Proxied | None = None


class KafkaServer:
    """A server of our own. `start()` may follow `kill()` and `stop()`: same ports, same folder."""

    def __init__(
        self,
        folder: Path,
        *,
        settings: Mapping[str, str] | None = None,
        listeners: Mapping[str, str] | None = None,
        formatting: Sequence[str] = (),
    ) -> None:
        """`listeners`: more of them, name and protocol; `addresses` says where. `formatting`: more words for it."""
        self._java, self._jars = _found("java"), jars()
        self._folder = folder
        self._port, self._controller_port = free_port(), free_port()
        self._proxied = Proxied(front=free_port(), behind=free_port())
        self.broker = Broker(f"127.0.0.1:{self._port}", self._proxied)
        self.addresses = {name: f"127.0.0.1:{free_port()}" for name in listeners or {}}
        self._listeners = dict(listeners or {})
        self._formatting = formatting
        self._program: Program | None = None
        self._formatted = False
        self._write({**SETTINGS, **(settings or {})})

    @property
    def runs(self) -> bool:
        return self._program is not None

    @property
    def pid(self) -> int:
        if self._program is None:
            raise Failed("Kafka does not run")
        return self._program.pid

    async def start(self) -> None:
        if not self._formatted:
            # The first byte keeps it from beginning with a dash, which would make an option of it.
            identity = base64.urlsafe_b64encode(b"\0" + secrets.token_bytes(15)).decode().rstrip("=")
            formatting = self._run(
                "kafka.tools.StorageTool", "format", "-t", identity, *self._formatting, "-c", self._properties
            )
            if code := await formatting.ended():
                raise Failed(f"formatting Kafka's storage ended with {code}: {formatting.last_words()}")
            self._formatted = True
        self._program = self._run("kafka.Kafka", self._properties)
        await self._program.until_it_answers(self._port, HELLO)

    def kill(self) -> None:
        """SIGKILL, and no farewell to anybody."""
        if self._program is not None:
            self._program.kill()
            self._program = None

    async def stop(self) -> None:
        """In order."""
        if self._program is not None:
            await self._program.stop()
            self._program = None

    @property
    def _properties(self) -> Path:
        return self._folder / "server.properties"

    def _run(self, *words: str | Path) -> Program:
        command = [self._java, *JAVA, "-cp", f"{self._jars}/*", *words]
        return Program(command, os.environ, self._folder / "kafka.log")

    def _write(self, settings: Mapping[str, str]) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        clients = f"PLAINTEXT://{self.broker.address},PROXIED://127.0.0.1"
        more = "".join(f",{name}://{address}" for name, address in self.addresses.items())
        protocols = "".join(f",{name}:{protocol}" for name, protocol in self._listeners.items())
        controller = f"127.0.0.1:{self._controller_port}"
        listening = {
            "listeners": f"{clients}:{self._proxied.behind}{more},CONTROLLER://{controller}",
            "advertised.listeners": f"{clients}:{self._proxied.front}{more}",
            "listener.security.protocol.map": f"{PROTOCOLS}{protocols}",
            "controller.quorum.voters": f"1@{controller}",
            "log.dirs": str(self._folder / "data"),
        }
        lines = [f"{name}={value}\n" for name, value in {**settings, **listening}.items()]
        self._properties.write_text("".join(lines))


def jars() -> Path:
    """The folder of Kafka's jars; Maven fetches them when they are not there yet."""
    if home := os.environ.get(HOME):
        if not any(Path(home, "libs").glob("kafka_*.jar")):
            raise Missing(f"{HOME}={home} has no Kafka in libs/")
        return Path(home, "libs")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "trigger-engine" / f"kafka-{VERSION}"
    if not folder.exists():
        _fetch(_found("mvn"), folder)
    return folder / "libs"


def _fetch(maven: str, folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as there:
        Path(there, "pom.xml").write_text(POM)
        goal = ["dependency:copy-dependencies", "-DincludeScope=runtime", "-DoutputDirectory=kafka/libs"]
        done = subprocess.run(
            [maven, "--batch-mode", "--quiet", *goal],
            cwd=there,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
        )
        if done.returncode != 0:
            raise Missing(f"Maven cannot fetch Kafka {VERSION}: {(done.stdout + done.stderr).strip()[-1000:]}")
        try:
            Path(there, "kafka").rename(folder)
        except OSError:
            if not folder.exists():
                raise  # and otherwise another run was here first


def _found(program: str) -> str:
    found = shutil.which(program)
    if found is None:
        raise Missing(
            f"there is no {program} on this machine for Kafka: `make servers`, or name a server with {VARIABLE}"
        )
    return found


@asynccontextmanager
async def broker_of_the_run(folder: Path) -> AsyncIterator[Broker]:
    if address := os.environ.get(VARIABLE):
        yield Broker(address)
        return
    server = KafkaServer(folder)
    try:
        await server.start()
        yield server.broker
    finally:
        server.kill()


@asynccontextmanager
async def topics_of_one_test(broker: Broker) -> AsyncIterator[str]:
    """A prefix. The topics that have it are deleted at the end."""
    prefix = f"test-{secrets.token_hex(6)}."
    yield prefix
    async with administering(broker) as admin:
        if mine := [topic for topic in await admin.list_topics() if topic.startswith(prefix)]:
            await admin.delete_topics(mine)


@asynccontextmanager
async def administering(broker: Broker) -> AsyncIterator[AIOKafkaAdminClient]:
    from aiokafka.admin import AIOKafkaAdminClient  # tests that need no broker do not wait for its import

    admin = AIOKafkaAdminClient(bootstrap_servers=broker.address)
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()


if __name__ == "__main__":
    try:
        print(jars())
    except Missing as missing:
        sys.exit(str(missing))
