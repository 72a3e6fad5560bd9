"""A user of RabbitMQ for each service: its agents read their own service's queue, and write what agents write.

Made and removed over RabbitMQ's management API. No table knows them: a password is made from that of the management
API, so that whoever starts agents can be told theirs, and nobody else's.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import re
import ssl
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import httpx

from backbone.model.errors import Unavailable
from backbone.rabbitmq import rights
from backbone.rabbitmq.topology import service_queue
from backbone.store import definitions
from backbone.store.database import Database
from backbone.store.wakeups import SERVICES, Wakeups

LOOK_ANYWAY = 30.0  # seconds; a server that was set up anew has none of them

Login = tuple[str, str]
"""User and password."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Management:
    url: str
    user: str  #: an administrator
    password: str = field(repr=False)
    vhost: str
    tls: ssl.SSLContext | None = None

    def login(self, service_id: str) -> Login:
        """Of the service's agents."""
        user = rights.user_of(service_id)
        return user, hmac.new(self.password.encode(), user.encode(), hashlib.sha256).hexdigest()

    def client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            base_url=f"{self.url.rstrip('/')}/api",
            auth=(self.user, self.password),
            timeout=30,
            trust_env=False,
            verify=self.tls or False,  # without `https` there is nothing to verify
        )


async def run(database: Database, wakeups: Wakeups, management: Management) -> None:
    """For ever. Every dispatcher does it: what one has made, another finds made."""
    signal = wakeups.watch(SERVICES)
    clock = asyncio.get_running_loop().time
    known: set[str] | None = None
    looked = clock()
    async with management.client() as client:
        while True:
            signal.clear()
            there = set(await definitions.service_ids(database.pool))
            if there != known or clock() - looked > LOOK_ANYWAY:
                # At first all of them: the password that theirs are made from may be another one now.
                await settle(client, management, there, anew=known is None)
                known, looked = there, clock()
            await wakeups.wait(signal)


async def settle(
    client: httpx.AsyncClient, management: Management, service_ids: Collection[str], *, anew: bool = False
) -> None:
    """Exactly these services have users in the vhost."""
    there = await _asked(client, "GET", f"/vhosts/{quote(management.vhost, safe='')}/permissions")
    have = {service_id for one in there if (service_id := rights.service_of(one["user"])) is not None}
    missing = sorted(service_ids if anew else set(service_ids) - have)
    if missing:
        await _asked(client, "POST", "/definitions", _documents(management, missing))
    for gone in sorted(have.difference(service_ids)):
        await _asked(client, "DELETE", f"/users/{quote(rights.user_of(gone), safe='')}")


def _documents(management: Management, service_ids: Collection[str]) -> dict[str, Any]:
    logins = {service_id: management.login(service_id) for service_id in service_ids}
    return {
        "users": [{"name": user, "password": password, "tags": ""} for user, password in logins.values()],
        "permissions": [
            {"user": user, "vhost": management.vhost, **permissions(service_id)}
            for service_id, (user, _) in logins.items()
        ],
    }


def permissions(service_id: str) -> dict[str, str]:
    """Of the service's agents."""
    return dict(rights.of_agents(re.escape(service_queue(service_id))))


async def _asked(client: httpx.AsyncClient, method: str, path: str, document: Any = None) -> Any:
    try:
        answer = await client.request(method, path, json=document)
    except httpx.HTTPError as error:
        raise Unavailable("RabbitMQ's management API", str(error) or type(error).__name__) from error
    if answer.is_success:
        return answer.json() if method == "GET" else None
    if method == "DELETE" and answer.status_code == 404:  # another dispatcher was here
        return None
    raise Unavailable(
        "RabbitMQ's management API", f"{method} {path} is answered {answer.status_code}: {answer.text[:200]}"
    )
