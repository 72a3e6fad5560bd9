"""What an agent shows at the gateway: a token that opens what its own service needs, and nothing else.

It is made from the gateway's own token and stands in no table, so whoever starts agents can make it:

    agent.SERVICE_ID.MAC    reads below /agents/SERVICE_ID, and asks at /agents/SERVICE_ID/requests
    agents.MAC              reads below /agents: for a host that runs the agents of every service
"""

from __future__ import annotations

import hashlib
import hmac

from gateway.operations import PREFIX

AGENTS = f"{PREFIX}/agents"
REQUESTS = "requests"


def of_service(gateway_token: str, service_id: str) -> str:
    return _signed(gateway_token, f"agent.{service_id}")


def of_host(gateway_token: str) -> str:
    return _signed(gateway_token, "agents")


def service_of(token: str) -> str | None:
    """Whose agents show it; None when it is no agent's. Nothing is checked."""
    kind, _, rest = token.partition(".")
    return rest.partition(".")[0] or None if kind == "agent" else None


def opens(token: str, gateway_token: str, method: str, path: str) -> bool:
    """Whether it is answered to who shows the token."""
    name, _, _ = token.rpartition(".")
    if not name or not hmac.compare_digest(token.encode(), _signed(gateway_token, name).encode()):
        return False
    kind, _, service_id = name.partition(".")
    if method == "POST":
        return kind == "agent" and path == f"{AGENTS}/{service_id}/{REQUESTS}"
    below = AGENTS if kind == "agents" else f"{AGENTS}/{service_id}"
    return method == "GET" and (path == below or path.startswith(f"{below}/"))


def _signed(gateway_token: str, name: str) -> str:
    mac = hmac.new(gateway_token.encode(), name.encode(), hashlib.sha256).hexdigest()
    return f"{name}.{mac[:40]}"
