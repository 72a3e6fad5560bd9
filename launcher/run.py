"""`trigger-engine run`: one role as one process, on servers that are there already.

Settings name the servers: PostgreSQL always, Kafka and RabbitMQ where they are used. `all` is every role as processes
of one terminal, as `up` has them.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import uvloop

from backbone.kit import logs
from backbone.kit.loops import Health
from backbone.model.errors import Invalid
from backbone.store.migrations import migrate
from gateway import agent_tokens
from launcher import agent_host, roles, status_page
from launcher.settings import PREFIX, Settings, from_environment
from launcher.up import up


def run(role: str, data: Path, service_id: str | None) -> int:
    """The exit code. Raises Invalid when a setting is missing that the role needs."""
    # Until there is a loop that listens: process 1 of a container is ended by no signal's default.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    if role == "all":
        from_environment(needs=("database",))
        return up(data, None)
    os.environ[roles.DATA] = str(data)
    if role in ("agent", "agents"):
        settings = from_environment(needs=("rabbitmq", "url"))
        logs.configure(role, form=settings.log_format, level=settings.log_level)
        roles.keep_environment_private()
        if role == "agent":
            return uvloop.run(roles.run_agent(service_id or _service_of(settings.token)))
        return uvloop.run(_host(settings))
    settings = from_environment(needs=("database",))
    if role == "gateway":
        roles.gateway_rules(settings)
    logs.configure(role, form=settings.log_format, level=settings.log_level)
    return uvloop.run(_serve(role, settings))


async def _serve(role: str, settings: Settings) -> int:
    await roles.until_told(_wait_and_run(role, settings))
    return 0


async def _wait_and_run(role: str, settings: Settings) -> None:
    health = Health()
    health.broken("PostgreSQL", "waits for it")
    async with status_page.shown(health, settings.host, settings.port if role == "gateway" else settings.status_port):
        await roles.until_there("PostgreSQL", lambda: migrate(settings.database))
    await roles.run(role)


async def _host(settings: Settings) -> int:
    health = Health()
    async with status_page.shown(health, settings.host, settings.status_port):
        await roles.until_told(agent_host.run(settings, dict(os.environ), health))
    return 0


def _service_of(token: str) -> str:
    service_id = agent_tokens.service_of(token)
    if service_id is None:
        raise Invalid("--service", f"is missing, and {PREFIX}TOKEN is not the token of an agent, which names it")
    return service_id
