"""An engine of the cluster profile on servers of its own, each behind a proxy: a test kills them and cuts them off.

up ─┬─ proxy ── Kafka
    ├─ proxy ── RabbitMQ
    └─ proxy ── PostgreSQL (`up --only postgres`)
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import parse_qs, urlsplit

from tests.support import engine_processes, kafka, profiles, rabbitmq
from tests.support.engine import OUTAGE, Engine
from tests.support.proxy import Proxy, Streams


class Server(Protocol):
    """One that dies. `start` returns when it serves again."""

    async def start(self) -> None: ...

    def kill(self) -> None: ...


class Network:
    """A proxy in a loop and a thread of its own: it carries also while a test waits without a loop."""

    def __init__(self, proxy: Proxy) -> None:
        self._proxy = proxy
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="network", daemon=True)

    @property
    def port(self) -> int:
        return self._proxy.port

    def open(self) -> None:
        self._thread.start()
        self._do(self._proxy.__aenter__())

    def close(self) -> None:
        self._do(self._proxy.__aexit__(None, None, None))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def stall(self) -> None:
        self._do(_called(self._proxy.stall))

    def reset(self) -> None:
        self._do(_called(self._proxy.reset))

    def half_close(self) -> None:
        self._do(_called(self._proxy.half_close))

    def restore(self) -> None:
        self._do(self._proxy.restore())

    def _do(self, what: Coroutine[Any, Any, Any]) -> None:
        asyncio.run_coroutine_threadsafe(what, self._loop).result(30)


async def _called(what: Callable[[], None]) -> None:
    what()


class PostgresOfItsOwn:
    def __init__(self, folder: Path) -> None:
        self.up = Engine(folder, "postgres")

    async def start(self) -> None:
        self.up.launch()
        async with asyncio.timeout(60):
            while True:
                try:
                    await self.up.value("SELECT 1")
                    return
                except OUTAGE:
                    await asyncio.sleep(0.02)

    def kill(self) -> None:
        """With the `up` that would start it again."""
        self.up.process.kill()
        self.up.process.wait()
        engine_processes.kill_all(self.up.data)
        self.up.until_true(lambda: not self.up.left(), "it is dead")
        self.up.database.unlink(missing_ok=True)


class PostgresProxy(Proxy):
    """Its socket is in another folder after each start."""

    def __init__(self, server: PostgresOfItsOwn) -> None:
        super().__init__("", 0)
        self._server = server

    async def reach(self) -> Streams:
        place = parse_qs(urlsplit(json.loads(self._server.up.database.read_text())["dsn"]).query)
        return await asyncio.open_unix_connection(f"{place['host'][0]}/.s.PGSQL.{place['port'][0]}")


@dataclass(frozen=True)
class Site:
    engine: Engine
    servers: dict[str, Server]
    networks: dict[str, Network]
    kafka: str  #: where it is without a proxy

    async def kill(self, name: str) -> None:
        """kill -9. Of RabbitMQ once it has kept what was declared (tests/support/rabbitmq.py says why)."""
        server = self.servers[name]
        if isinstance(server, rabbitmq.RabbitMQServer):
            await server.kept()
        await asyncio.to_thread(server.kill)

    def lines(self) -> Counter[str]:
        """How many lines each part has logged so far. What is no line of ours is counted to nobody."""
        counts: Counter[str] = Counter()
        for line in self.engine.log.read_text().splitlines():
            try:
                counts[json.loads(line)["part"]] += 1
            except ValueError:
                counts["nobody"] += 1
        return counts


@asynccontextmanager
async def site(folder: Path, **environment: str) -> AsyncIterator[Site]:
    broker, queues = kafka.KafkaServer(folder / "kafka"), rabbitmq.RabbitMQServer(folder / "rabbitmq", management=False)
    database = PostgresOfItsOwn(folder / "postgres")
    front = broker.broker.proxied
    assert front is not None
    networks = {
        "kafka": Network(Proxy("127.0.0.1", front.behind, listening=front.front)),
        "rabbitmq": Network(Proxy("127.0.0.1", queues.broker.port)),
        "postgres": Network(PostgresProxy(database)),
    }
    async with AsyncExitStack() as stack:
        stack.callback(broker.kill)
        stack.callback(queues.end)
        stack.callback(database.up.end_whatever_is_left)
        await asyncio.gather(broker.start(), queues.start(), database.start())
        for network in networks.values():
            network.open()
            stack.callback(network.close)
        engine = Engine(
            folder / "data",
            **profiles.environment(
                f"127.0.0.1:{networks['kafka'].port}", "site.", queues.broker.url(port=networks["rabbitmq"].port)
            ),
            TRIGGER_ENGINE_DATABASE=f"postgresql://postgres@127.0.0.1:{networks['postgres'].port}/postgres",
            TRIGGER_ENGINE_LOG_FORMAT="json",
            **environment,
        )
        engine.database = database.up.database
        stack.callback(engine.end_whatever_is_left)
        engine.start()
        yield Site(engine, {"kafka": broker, "rabbitmq": queues, "postgres": database}, networks, broker.broker.address)
        if engine.process.poll() is None:
            engine.stop()
