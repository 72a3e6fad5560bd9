"""The whole way in the cluster profile: Kafka, PostgreSQL, RabbitMQ, agent, settled; every event counted."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from benchmarks import brokers, engine, measuring, processes
from benchmarks.brokers import Brokers
from benchmarks.cluster import producer
from benchmarks.engine import Engine
from benchmarks.load import Plan
from benchmarks.measuring import Run

RATE = 100
"""Events a second for `latency`."""

PROJECT = "SELECT id::text FROM project WHERE name = $1"


@dataclass(frozen=True, slots=True)
class Cluster:
    engine: Engine
    brokers: Brokers
    project_id: str

    async def tracked(self, name: str, events: int) -> Run:
        """Appended while all is at work."""
        return await measuring.measure(self.engine, Plan(run=name, events=events), self._appended)

    async def filled(self, name: str, events: int) -> Run:
        """The topic is filled first, while the engine is held; the time is from its going on."""
        return await measuring.measure(self.engine, Plan(run=name, events=events), self._appended_first)

    async def latency(self, name: str, seconds: float) -> Run:
        """Over HTTP, one at a time."""
        return await measuring.measure(self.engine, Plan(run=name, events=round(RATE * seconds), rate=RATE))

    async def _appended(self, _: Engine, plan: Plan) -> dict[str, Any]:
        return await producer.run(self.brokers, self.project_id, plan)

    async def _appended_first(self, _: Engine, plan: Plan) -> dict[str, Any]:
        held = processes.named(self.engine.pid, "engine")
        os.kill(held, signal.SIGSTOP)
        try:
            sent = await producer.run(self.brokers, self.project_id, plan)
        finally:
            os.kill(held, signal.SIGCONT)
        return {**sent, "began": time.time()}


@asynccontextmanager
async def running(concurrency: int) -> AsyncIterator[Cluster]:
    """Servers and engine, warmed up."""
    async with (
        brokers.running() as there,
        engine.running(concurrency, there.environment(), there.pids) as here,
    ):
        cluster = Cluster(here, there, await here.database.fetchval(PROJECT, engine.PROJECT))
        await cluster.tracked("warm", 4000)
        await cluster.latency("warm1", 2)
        yield cluster
