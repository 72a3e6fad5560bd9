"""The engine's process in the cluster profile: one Faust app owns its life cycle, signals, web pages and sensors.

Inside it a service runs the engine, which reads its events in batches by itself: Faust's streams carry about 10,000
records a second, batches 288,000. Streams serve the connectors, one for each topic. Faust's own consumer is on only
where there is a connector, and its producer never. All that is known of Faust is in this file.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import Any, cast

import faust
from aiokafka.client import AIOKafkaClient
from faust.app.base import BootStrategy
from faust.auth import SASLCredentials, SSLCredentials
from faust.sensors.prometheus import setup_prometheus_sensors
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread, Consumer
from faust.web import Request, Response, View
from mode import Service

from backbone.kafka import quiet
from backbone.kit import pace
from backbone.kit.loops import Health
from trigger_engine.connectors.intake import Intake
from trigger_engine.connectors.record import Record

log = logging.getLogger(__name__)

MOST = 500
"""Records of one append. More make it no cheaper."""

LOOK = timedelta(seconds=2)
"""How often it is looked whether Kafka is there."""

TO_COMMIT = timedelta(seconds=2)

KAFKA = "kafka of the connectors"
CONSUMER = "consumer of the connectors"


@dataclass(frozen=True, slots=True, kw_only=True)
class Streams:
    """What the connectors need of Kafka."""

    options: Mapping[str, Any] = field(repr=False)
    """How it is reached, in aiokafka's words: `bootstrap_servers`, `security_protocol` and what goes with it."""

    group: str  #: its members share the topics' partitions
    intakes: Sequence[Intake]
    session_timeout: timedelta = timedelta(seconds=30)
    """How long after a member was killed the others take its partitions."""


async def run(
    body: Callable[[], Awaitable[None]],
    health: Health,
    *,
    host: str,
    port: int,
    streams: Streams | None = None,
) -> None:
    """Until SIGTERM or SIGINT; `body` is cancelled and awaited then. Raises what ended it otherwise."""
    quiet.fewer_lines()
    for chatty in ("faust", "mode"):  # a line for whatever starts and stops
        logging.getLogger(chatty).setLevel(logging.WARNING)
    app = _App(body, health, streams, host=host, port=port)
    worker = _Worker(app, quiet=True, override_logging=False, redirect_stdouts=False)
    try:
        await worker.start()
    finally:
        await worker.stop()  # at once where a signal has it stopped already; then its end is awaited here
        await worker.ended.wait()
    if worker.crash_reason is not None:
        raise worker.crash_reason


class _Worker(faust.Worker):
    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.ended = asyncio.Event()
        self.spinner = None

    def install_signal_handlers(self) -> None:
        """These two, and not the debugger that Faust begins at SIGUSR2."""
        self.loop.add_signal_handler(signal.SIGTERM, self._on_sigterm)
        self.loop.add_signal_handler(signal.SIGINT, self._on_sigint)

    async def on_shutdown(self) -> None:
        self.ended.set()


class _Boot(BootStrategy):
    enable_kafka_producer = False

    def server(self) -> Iterable[Any]:
        """The engine waits for no connector, and the pages are there before everything else."""
        app = cast(_App, self.app)
        self.enable_kafka_consumer = app.streams is not None
        return chain(
            self.sensors(),
            self.web_server(),
            [_Body(app.body, beacon=app.beacon)],
            [] if app.streams is None else [_Kafka(app.streams, app.health, beacon=app.beacon)],
            self.kafka_consumer(),
            self.agents(),
            self.kafka_conductor(),
            self.tables(),
        )


class _Thread(AIOKafkaConsumerThread):
    mundane_level = "debug"

    async def _commit(self, offsets: Mapping[Any, int]) -> bool:
        """aiokafka would go on for ever, and nobody could stop while Kafka is away. The next time says it again."""
        try:
            async with asyncio.timeout(TO_COMMIT.total_seconds()):
                return await super()._commit(offsets)
        except TimeoutError:
            return False

    async def on_thread_stop(self) -> None:
        try:
            await super().on_thread_stop()
        except asyncio.CancelledError:
            pass  # of a task that aiokafka cancelled itself, which then waited for Kafka


class _Consumer(Consumer):
    def _new_consumer_thread(self) -> _Thread:
        return _Thread(self, loop=self.loop, beacon=self.beacon)


class _App(faust.App):
    BootStrategy = _Boot
    logger = logging.getLogger("faust.app")

    def __init__(
        self, body: Callable[[], Awaitable[None]], health: Health, streams: Streams | None, *, host: str, port: int
    ) -> None:
        self.body, self.health, self.streams = body, health, streams
        super().__init__(
            "trigger-engine" if streams is None else streams.group,
            **({} if streams is None else _reached(streams)),
            key_serializer="raw",
            value_serializer="raw",
            store="memory://",
            topic_allow_declare=False,  # the topics are other people's
            topic_disable_leader=True,
            stream_wait_empty=False,  # what is not acknowledged comes again, and a database that is away may take long
            web_enabled=port > 0,
            web_bind=host,
            web_port=port or None,
        )
        setup_prometheus_sensors(self, name_prefix="faust")
        self.page("/healthz")(_page(lambda: (200, {"alive": True})))
        self.page("/readyz")(_page(lambda: (200 if health.ready else 503, _readiness(health))))
        if streams is not None:
            health.broken(CONSUMER, "starting")
            self.transport.Consumer = _Consumer  # type: ignore[misc]
            self.on_partitions_assigned.connect(self._consumes)
            for intake in streams.intakes:
                self._connect(intake)

    async def _consumes(self, *_: Any, **__: Any) -> None:
        self.health.well(CONSUMER)

    async def on_first_start(self) -> None:
        """Faust would make a folder for tables here."""

    def _connect(self, intake: Intake) -> None:
        topic = self.topic(intake.topic, key_type=bytes, value_type=bytes, allow_empty=True)

        async def carry(stream: Any) -> None:
            await _carry(stream, intake)

        self.agent(topic, name=f"connector {intake.topic}")(carry)


async def _carry(stream: Any, intake: Intake) -> None:
    """As many at a time as there are. Faust's own batches are acknowledged also when what handles them is cancelled."""
    stream = stream.noack()
    waiting: list[Any] = []
    async for event in stream.events():
        waiting.append(event)
        if len(waiting) == MOST or stream.channel.queue.empty():
            await intake.take([_record(event.message) for event in waiting])
            for event in waiting:
                await stream.ack(event)
            if len(waiting) < MOST:
                await pace.pause_after(len(waiting))
            waiting.clear()


def _record(message: Any) -> Record:
    return Record(
        topic=message.topic,
        partition=message.partition,
        offset=message.offset,
        time=datetime.fromtimestamp(message.timestamp, UTC),
        key=message.key,
        value=message.value,
        headers={name: value or b"" for name, value in message.headers or ()},
    )


class _Body(Service):
    """The engine. Whatever it raises ends the process."""

    mundane_level = "debug"

    def __init__(self, body: Callable[[], Awaitable[None]], **named: Any) -> None:
        self._run = body
        super().__init__(**named)

    @Service.task
    async def _runs(self) -> None:
        await self._run()
        raise RuntimeError("the engine came to an end that nobody asked for")


class _Kafka(Service):
    """Faust's consumer ends the process when Kafka is not there; so this waits for it first, and goes on looking."""

    mundane_level = "debug"

    def __init__(self, streams: Streams, health: Health, **named: Any) -> None:
        self._streams = streams
        self._health = health
        super().__init__(**named)

    async def on_start(self) -> None:
        while not self.should_stop and not await self._looked():
            await self.sleep(LOOK)

    @Service.task
    async def _looks(self) -> None:
        while not self.should_stop:
            await self.sleep(LOOK)
            await self._looked()

    async def _looked(self) -> bool:
        client = AIOKafkaClient(**self._streams.options)
        try:
            await client.bootstrap()
        except Exception as error:
            self._is_away(str(error))
            return False
        finally:
            await client.close()
        if KAFKA in self._health.wrong:
            log.info("reached Kafka", extra={"servers": self._streams.options["bootstrap_servers"]})
        self._health.well(KAFKA)
        return True

    def _is_away(self, reason: str) -> None:
        if KAFKA not in self._health.wrong:
            servers = self._streams.options["bootstrap_servers"]
            log.warning("waits for Kafka", extra={"servers": servers, "reason": reason})
        self._health.broken(KAFKA, reason)


def _page(told: Callable[[], tuple[int, dict[str, Any]]]) -> Any:
    async def page(view: View, request: Request) -> Response:
        status, document = told()
        return view.json(document, status=status)

    return page


def _readiness(health: Health) -> dict[str, Any]:
    return {"ready": health.ready, "detail": health.detail}


def _reached(streams: Streams) -> dict[str, Any]:
    session = streams.session_timeout.total_seconds()
    return {
        "broker": "kafka://" + streams.options["bootstrap_servers"].replace(",", ";"),
        "broker_credentials": _credentials(streams.options),
        "broker_session_timeout": session,
        "broker_heartbeat_interval": session / 10,
        "broker_commit_interval": 1.0,
    }


def _credentials(options: Mapping[str, Any]) -> Any:
    protocol = options.get("security_protocol", "PLAINTEXT")
    if protocol.startswith("SASL"):
        return SASLCredentials(
            username=options["sasl_plain_username"],
            password=options["sasl_plain_password"],
            mechanism=options["sasl_mechanism"],
            ssl_context=options["ssl_context"] if protocol.endswith("SSL") else None,
        )
    return SSLCredentials(options["ssl_context"]) if protocol == "SSL" else None
