"""What the gateway is told at its start."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass, field

from backbone.model.errors import Invalid
from backbone.model.resources import Catalog


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewaySettings:
    host: str = "127.0.0.1"
    port: int = 8900  #: 0 takes a free one
    token: str | None = None  #: what callers send as `Authorization: Bearer …`; a must beyond loopback
    catalog: Catalog = field(default_factory=Catalog)  #: the resources that events and triggers may name
    default_project: str = "default"  #: of events and packages that name none
    max_depth: int = 10  #: executions in a row that may lead to one that an execution asks for
    scan_quota: int = 100  #: active triggers of a project whose filters are asked of every event
    agent_login: Callable[[str], tuple[str, str]] | None = None  #: RabbitMQ's user and password for a service's agents
    every_event_kept: bool = True  #: in the store, and not only those that matched
    make_projects: bool = True  #: a project that is named and unknown is made

    def check(self) -> None:
        """Raises Invalid when the door cannot be opened, or would stand open to strangers."""
        if self.token is None and not _is_loopback(self.host):
            raise Invalid("token", f"is missing: {self.host} can be reached from other machines, so callers need one")
        if self.port > 65_535:
            raise Invalid("port", f"{self.port} is not a port; expected 0 to 65535")
        if self.token == "":
            raise Invalid("token", "is empty")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
