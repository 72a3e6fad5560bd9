"""Keeps the pool of agents like the table of services."""

from __future__ import annotations

from dataclasses import replace

from backbone.model.definitions import Service
from backbone.ports import AgentPool
from backbone.store import definitions
from backbone.store.database import Database
from backbone.store.queries import sql
from backbone.store.wakeups import SERVICES, Wakeups
from dispatcher.scale import policy


async def run(pool: AgentPool, database: Database, wakeups: Wakeups) -> None:
    signal = wakeups.watch(SERVICES)
    known: dict[str, Service] = {}
    while True:
        signal.clear()
        wanted = {service.id: service for service in await definitions.services(database.pool)}
        deleted = [replace(service, active=False) for key, service in known.items() if key not in wanted]
        for service in [*wanted.values(), *deleted]:
            await pool.resize(service, policy.replicas(service))
        known = wanted
        await _tell(pool, database)
        await wakeups.wait(signal)


async def _tell(pool: AgentPool, database: Database) -> None:
    for state in await pool.observe():
        await database.pool.execute(
            sql("incident/tell part"), f"{state.name} {state.service_id}", "agent", state.ready, state.reason
        )
