"""Several engines on one topic, and more events than anybody can run at once: each role a process of its own."""

from __future__ import annotations

import asyncio
import os
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aio_pika
import pytest
from aiokafka import AIOKafkaProducer

from backbone.kafka.consumer import Group
from backbone.kafka.records import MAX_VALUE_BYTES
from tests.support.engine import Engine, Project
from tests.support.load import NO_LOOP
from tests.support.profiles import PARTITIONS, Environment
from tests.support.role_process import RoleProcess

pytestmark = [pytest.mark.profiles("cluster"), pytest.mark.chaos]

EVENTS = int(os.environ.get("TRIGGER_ENGINE_TEST_EVENTS", "5000"))
"""Of the large loads. docs/cluster.md tells of 100,000."""
A_REQUEST = 1000  # events
QUEUE_LIMIT = 500
SESSION = Group(id="any").session.total_seconds()
TAKES_OVER_WITHIN = 2.0
"""Seconds after the session of the dead."""
SLOW_MACHINE = 4.0
"""Seconds that a busy machine takes longer."""
STARTS_WITHIN = 60.0 + EVENTS / 1000
"""Seconds, of one event behind so many of another project: an engine records at least 1,000 a second before it."""
GROWS = 200  # MB: what a process may grow by under load
A_BATCH = 300 + 200  # what an engine records at a time, and what an agent takes

CODE = """
import os

starts = os.open({starts!r}, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

def run(item, context):
    os.write(starts, (context.execution_id + "\\n").encode())
"""
# The next batches take three seconds each, until somebody says that it is enough.
SLOW = """
CREATE TABLE IF NOT EXISTS slow (seconds integer);
CREATE OR REPLACE FUNCTION be_slow() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_sleep(seconds) FROM slow;
    RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER slow BEFORE INSERT ON claim FOR EACH STATEMENT EXECUTE FUNCTION be_slow();
"""
ARE_SLOW = "SELECT count(DISTINCT pid) >= $1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'"


@dataclass
class Many:
    """One gateway, dispatcher and host of agents; engines come and go."""

    gateway: Engine
    agents: Engine
    place: Environment
    folder: Path
    engines: list[RoleProcess] = field(default_factory=list)

    def engine(self) -> RoleProcess:
        environment = {**self.place, "TRIGGER_ENGINE_DATABASE": self.gateway.dsn}
        started = RoleProcess("engine", self.gateway.data, environment)
        self.engines.append(started)
        return started

    @contextmanager
    def agents_of_one_project_only(self, project: Project) -> Iterator[None]:
        self.agents.process.terminate()
        assert self.agents.wait() == 0
        environment = {**self.place, "TRIGGER_ENGINE_URL": self.gateway.url}
        agent = RoleProcess("agent", self.gateway.data, environment, "--service", project.service_id)
        try:
            yield
        finally:
            assert agent.end() == 0
            self.agents.launch()

    def until_shared(self, *shares: int) -> None:
        """The partitions are with so many of the living engines, so many each."""
        self.gateway.until_true(lambda: self.shares() == sorted(shares), f"the engines have {shares} partitions", 60)

    def shares(self) -> list[int]:
        return sorted(int(one.metric("trigger_engine_log_partitions")) for one in self.living)

    @property
    def living(self) -> list[RoleProcess]:
        return [one for one in self.engines if one.process.poll() is None]

    async def project(self, name: str) -> tuple[Project, Path]:
        starts = self.folder / name
        code = CODE.format(starts=str(starts))
        return await self.gateway.project(name, code, runtime={"concurrency": 16}), starts

    async def publish(self, project: Project, count: int) -> list[str]:
        """Their ids."""
        load = uuid.uuid4().hex
        events = [project.event(f"{load} {number}") for number in range(count)]
        for first in range(0, count, A_REQUEST):
            await project.publish(*events[first : first + A_REQUEST])
        return [event["id"] for event in events]


@pytest.fixture(scope="module")
def many(place: Environment, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Many]:
    """Its engines are members of the group like any other: without a name of their own."""
    folder = tmp_path_factory.mktemp("many")
    data = folder / "data"
    place = {
        **place,
        **NO_LOOP,
        "TRIGGER_ENGINE_KAFKA_INSTANCE_ID": "",
        "TRIGGER_ENGINE_QUEUE_LIMIT": str(QUEUE_LIMIT),
    }
    parts = {only: Engine(data, only, **place) for only in ("postgres", "dispatcher", "gateway", "agents")}
    many = Many(parts["gateway"], parts["agents"], place, folder)
    try:
        parts["postgres"].launch()
        parts["postgres"].until_true((data / "postgres.json").exists, "PostgreSQL runs")
        for only in ("dispatcher", "gateway"):
            parts[only].launch()
        many.engine()
        many.gateway.until_true(many.gateway.is_ready, "it is ready")
        parts["agents"].launch()
        yield many
        for engine in many.living:
            assert engine.end() == 0
        for only in ("agents", "gateway", "dispatcher", "postgres"):
            parts[only].process.terminate()
            assert parts[only].wait() == 0
    finally:
        parts["postgres"].end_whatever_is_left()


@asynccontextmanager
async def slow(many: Many) -> AsyncIterator[None]:
    """Batches take three seconds each."""
    await many.gateway.sql("TRUNCATE slow")
    await many.gateway.sql("INSERT INTO slow VALUES (3)")
    yield
    await many.gateway.sql("TRUNCATE slow")


async def test_engines_that_join_and_die_during_slow_batches_execute_nothing_twice(many: Many) -> None:
    async with many.gateway.connection() as connection:
        await connection.execute(SLOW)
    project, starts = await many.project("rebalance")
    many.until_shared(PARTITIONS)
    async with slow(many):
        ids = await many.publish(project, 10_000)
        await many.gateway.until(ARE_SLOW, 1)
        joined = many.engine()
        many.until_shared(PARTITIONS // 2, PARTITIONS // 2)
        await many.gateway.until(ARE_SLOW, 2)
        joined.kill()  # in the middle of its batch, which PostgreSQL goes on to record
        many.until_shared(PARTITIONS)
        await many.gateway.until(ARE_SLOW, 1)
    executions = await project.until_ended(len(ids), within=120)
    assert Counter((one["status"], one["attempt"]) for one in executions) == {("success", 1): len(ids)}
    assert {one["event_id"] for one in executions} == set(ids)
    assert Counter(Counter(starts.read_text().split()).values()) == {1: len(ids)}


async def test_two_engines_take_over_each_others_partitions(many: Many) -> None:
    project, _ = await many.project("takeover")
    for _ in range(2):  # the older one dies, then the other
        many.engine()
        many.until_shared(PARTITIONS // 2, PARTITIONS // 2)
        many.living[0].kill()
        began = time.monotonic()
        ids = await many.publish(project, 40)  # in every partition
        await many.gateway.until(
            "SELECT count(*) = 40 FROM execution WHERE event_id = ANY ($1)",
            ids,
            within=SESSION + TAKES_OVER_WITHIN + SLOW_MACHINE,
        )
        print(f"taken over after {time.monotonic() - began:.1f} s")
    await project.until_ended(80)


LEAST = b'{"resource": "Item", "action": "Created", "entity": {"id": "%b"}, "id": "%b", "project": "poison"}'
POISON: Mapping[str, tuple[bytes, Sequence[tuple[str, bytes]], str]] = {
    "undecodable": (b"\x00\x01garbage", (), "is not"),
    "oversize": (LEAST % (b"x" * MAX_VALUE_BYTES, b"x"), (), "at most"),
    "another version": (LEAST % (b"x", b"x"), (("trigger-engine-event", b"2"),), "'2' is not known; expected '1'"),
    "a header bomb": (LEAST % (b"x", b"x"), (("h", b"x"),) * 1000, "there are 1,000; at most 64 are taken"),
}


async def test_poison_is_quarantined_with_its_place_and_reason_and_blocks_nothing(many: Many) -> None:
    project, _ = await many.project("poison")
    topic = many.place["TRIGGER_ENGINE_KAFKA_TOPIC"]
    places = {}
    # Compressed, so that the broker takes what is too large for us.
    async with AIOKafkaProducer(
        bootstrap_servers=many.place["TRIGGER_ENGINE_KAFKA"], compression_type="gzip", max_request_size=2**24
    ) as producer:
        for name, (value, headers, _) in POISON.items():
            there = await producer.send_and_wait(topic, value, key=b"same key", headers=list(headers))
            places[name] = f"{topic}/{there.partition}/{there.offset}"
        await producer.send_and_wait(topic, LEAST % (b"good", b"after"), key=b"same key")
    (execution,) = await project.until_ended(1)
    assert (execution["event_id"], execution["status"]) == ("after", "success")
    letters = await many.gateway.sql("SELECT source, position, path || ': ' || reason AS reason FROM dead_letter")
    assert {letter["position"] for letter in letters} == set(places.values())
    reasons = {letter["position"]: letter["reason"] for letter in letters}
    for name, (_, _, reason) in POISON.items():
        assert reason in reasons[places[name]], name
    assert {letter["source"] for letter in letters} == {"log"}


class Watch:
    """The deepest that RabbitMQ's queue of a service was, and the most memory that each process had."""

    def __init__(self, many: Many, service_id: str) -> None:
        self._many = many
        self._queue = f"service.{service_id}"
        self.deepest = 0
        self.before = self._memory()
        self.most: Counter[str] = Counter(self.before)

    def _memory(self) -> Counter[str]:
        """MB, by role and process id."""
        found: Counter[str] = Counter()
        for role, pids in self._many.gateway.pids.items():
            for pid in pids:
                try:
                    pages = int(Path("/proc", str(pid), "statm").read_text().split()[1])
                except OSError:
                    continue
                found[f"{role} {pid}"] = pages * os.sysconf("SC_PAGE_SIZE") // 2**20
        return found

    @asynccontextmanager
    async def during(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self._run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])

    async def _run(self) -> None:
        connection = await aio_pika.connect(self._many.place["TRIGGER_ENGINE_RABBITMQ"])
        async with connection:
            channel = await connection.channel()
            while True:
                queue = await channel.declare_queue(self._queue, passive=True)
                self.deepest = max(self.deepest, queue.declaration_result.message_count or 0)
                for name, size in self._memory().items():
                    self.most[name] = max(self.most[name], size)
                await asyncio.sleep(0.1)

    def told(self) -> dict[str, str]:
        return {name: f"{self.before[name]} to {size}" for name, size in self.most.items() if name in self.before}

    @property
    def grown(self) -> dict[str, int]:
        return {name: size - self.before[name] for name, size in self.most.items() if name in self.before}


async def test_what_nobody_runs_waits_in_postgresql_and_keeps_nobody_elses_from_running(many: Many) -> None:
    flood, starts = await many.project("flood")
    other, _ = await many.project("other")
    await flood.publish(flood.event("first"))  # so that there is a queue
    await flood.until_ended(1)
    watch = Watch(many, flood.service_id)
    async with watch.during():
        with many.agents_of_one_project_only(other):
            ids = await many.publish(flood, EVENTS)
            sent = time.monotonic()
            await other.publish(other.event("one"))
            await other.until_ended(1, within=STARTS_WITHIN)
            print(f"the one event ended {time.monotonic() - sent:.1f} s after {EVENTS:,} others were sent")
            recorded = "SELECT count(*) = $2 FROM execution WHERE service_id = $1"
            await many.gateway.until(recorded, flood.service_id, EVENTS + 1, within=300)
            print(f"all recorded {time.monotonic() - sent:.1f} s after they were sent")
            await waits_in_postgresql(many.gateway, flood.service_id)
        resumed = time.monotonic()
        executions = await flood.until_ended(EVENTS + 1, within=600)
        print(f"all executed in {time.monotonic() - resumed:.1f} s; MB: {watch.told()}")
    assert watch.deepest == QUEUE_LIMIT
    assert max(watch.grown.values()) <= GROWS, watch.told()
    assert Counter((one["status"], one["attempt"]) for one in executions) == {("success", 1): EVENTS + 1}
    assert {one["event_id"] for one in executions} == {*ids, "first"}
    assert_oldest_first(executions, starts.read_text().split())


async def waits_in_postgresql(engine: Engine, service_id: str) -> None:
    """All that is beyond the limit, and the oldest are not among it."""
    pending = "SELECT count(*) FROM pending WHERE service_id = $1 AND published_at IS"
    await engine.until(f"SELECT ({pending} NOT NULL) = $2", service_id, QUEUE_LIMIT)
    assert await engine.value(f"{pending} NULL", service_id) == EVENTS - QUEUE_LIMIT
    created = "SELECT count(*) FROM execution WHERE service_id = $1 AND status = 'created'"
    assert await engine.value(created, service_id) == EVENTS - QUEUE_LIMIT
    assert await engine.value(
        "SELECT max(due) FILTER (WHERE published_at IS NOT NULL) <= min(due) FILTER (WHERE published_at IS NULL)"
        " FROM pending WHERE service_id = $1",
        service_id,
    ), "a younger one was enqueued before an older one"


def assert_oldest_first(executions: Sequence[Mapping[str, Any]], started: Sequence[str]) -> None:
    """Nobody began further ahead than what the queue and a batch hold."""
    by_age = sorted(executions, key=lambda one: one["created_at"])
    age = {str(one["id"]): number for number, one in enumerate(by_age)}
    assert len(started) == len(age)
    ahead = max(age[execution_id] - number for number, execution_id in enumerate(started))
    assert ahead <= QUEUE_LIMIT + A_BATCH, f"one began {ahead} places too early"
