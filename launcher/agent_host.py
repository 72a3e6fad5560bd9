"""A host of agents: processes on one machine that run the functions of every service, kept like the gateway's list.

It reaches no database. What its agents inherit opens nothing but their own service; still they share a machine and a
user, so one host is for services that may trust each other (docs/deployment.md).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit, urlunsplit

import httpx
import msgspec

from backbone.drivers.agent_pool.processes import ProcessAgentPool
from backbone.kit.loops import Health, keep
from backbone.model.definitions import Runtime, Service
from backbone.model.errors import Unavailable
from dispatcher.scale import policy
from gateway import agent_tokens
from launcher import processes
from launcher.settings import PREFIX, Settings

if TYPE_CHECKING:
    from backbone.rabbitmq.users import Management

EVERY = 1.0  # seconds between two looks at the list

log = logging.getLogger(__name__)


def command(service: Service) -> list[str]:
    return processes.command("agent", service.id)


def without_the_keys(environment: Mapping[str, str]) -> dict[str, str]:
    """Agents need no database where the queue is elsewhere, and make no users; none is to read the passwords."""
    keys = (PREFIX + "DATABASE", PREFIX + "RABBITMQ_MANAGEMENT")
    return {name: value for name, value in environment.items() if not name.startswith(keys)}


def own(token: str, rabbitmq: str, login: tuple[str, str] | None) -> dict[str, str]:
    """What an agent gets for its own service alone: a token, and where there is one, a user of RabbitMQ."""
    if login is None:
        return {"TOKEN": token}
    parts = urlsplit(rabbitmq)
    netloc = f"{':'.join(quote(word, safe='') for word in login)}@{parts.netloc.rpartition('@')[2]}"
    return {"TOKEN": token, "RABBITMQ": urlunsplit(parts._replace(netloc=netloc))}


def environment_of(
    environment: Mapping[str, str], gateway_token: str, rabbitmq: str, management: Management | None, service: Service
) -> dict[str, str]:
    """What an agent of the service inherits: where everything is, and what is its own."""
    token = agent_tokens.of_service(gateway_token, service.id) if gateway_token else ""
    login = None if management is None else management.login(service.id)
    return processes.given_to(environment, own(token, rabbitmq, login))


async def run(settings: Settings, environment: Mapping[str, str], health: Health) -> None:
    """Until cancelled; its agents have ended then."""
    given: dict[str, dict[str, str]] = {}
    inherited = without_the_keys(environment)
    pool = ProcessAgentPool(command, lambda service: processes.given_to(inherited, given[service.id]))
    try:
        await keep("agents", partial(_follow, settings, pool, given), health)
    finally:
        await pool.close(settings.stop_grace)


async def _follow(settings: Settings, pool: ProcessAgentPool, given: dict[str, dict[str, str]]) -> None:
    known: dict[str, Service] = {}
    headers = {"Authorization": f"Bearer {settings.token}"} if settings.token else {}
    async with httpx.AsyncClient(base_url=settings.url, headers=headers, timeout=10, trust_env=False) as client:
        while True:
            wanted = {}
            for document in await _listed(client):
                service = _service(document["service"])
                wanted[service.id] = service
                login = document.get("rabbitmq")
                given[service.id] = own(
                    document.get("token") or "", settings.rabbitmq, login and (login["user"], login["password"])
                )
            deleted = [replace(service, active=False) for key, service in known.items() if key not in wanted]
            for service in [*wanted.values(), *deleted]:
                await pool.resize(service, policy.replicas(service))
            known = wanted
            await asyncio.sleep(EVERY)


async def _listed(client: httpx.AsyncClient) -> list[dict[str, Any]]:
    try:
        response = await client.get(agent_tokens.AGENTS)
    except httpx.HTTPError as error:
        raise Unavailable("gateway", f"{client.base_url}: {error or type(error).__name__}") from error
    if response.status_code != 200:
        raise Unavailable("gateway", f"{client.base_url} answered {response.status_code}: {response.text[:200]}")
    listed: list[dict[str, Any]] = response.json()
    return listed


def _service(document: dict[str, Any]) -> Service:
    return Service(
        id=document["id"],
        project_id=document["projectId"],
        name=document["name"],
        package_id=document["packageId"],
        package_revision=int(document["packageRevision"].rpartition(".")[2]),
        module_name=document["moduleName"],
        runtime=msgspec.convert(document["runtime"], Runtime),
        init_params=document["initParams"],
        execution_timeout=timedelta(seconds=document["executionTimeout"]),
        drain_time=timedelta(seconds=document["drainTime"]),
        max_attempts=document["maxAttempts"],
        on_reset=document["onReset"],
        active=document["active"],
        version=int(document["version"].rpartition(".")[2]),
        created_at=datetime.fromisoformat(document["createdAt"]).astimezone(UTC),
        updated_at=datetime.fromisoformat(document["updatedAt"]).astimezone(UTC),
        creator=document["creator"],
    )
