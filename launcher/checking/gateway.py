"""A look at the gateway: whether it answers, whether our token opens it, which of the engine's parts are at work."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import httpx

from gateway.agent_tokens import AGENTS
from launcher.checking import reasons
from launcher.checking.finding import Finding

_MENDED_IN = reasons.Settings(
    "TRIGGER_ENGINE_URL", "SSL_CERT_FILE", "a proxy of yours: the gateway itself asks for none"
)


async def look(finding: Finding, url: str, token: str) -> None:
    near = urlsplit(url).hostname in ("127.0.0.1", "localhost", "::1")
    async with httpx.AsyncClient(base_url=url, trust_env=not near, timeout=None) as client:
        try:
            ready = await client.get("/readyz")
        except (httpx.TransportError, httpx.InvalidURL) as error:
            finding.problems.append(reasons.explained(reasons.root(error), _MENDED_IN))
            return
        parts = _parts(ready)
        if parts is None:
            finding.wrong(
                f"what answers there is no gateway: {ready.status_code} at /readyz", "mend TRIGGER_ENGINE_URL"
            )
            return
        finding.reached = True
        finding.facts["ready"] = ready.status_code == 200
        for part in parts:
            finding.facts[part["name"]] = "ready" if part["ready"] else part["detail"]
        if ready.status_code != 200:
            broken = "; ".join(f"{part['name']}: {part['detail']}" for part in parts if not part["ready"])
            finding.wrong(
                f"the engine is not ready: {broken}", "start what is not there; see the log of what is broken"
            )
        answer = await client.get(_opened_by(token), headers={"authorization": f"Bearer {token}"} if token else {})
    finding.facts["tokenTaken"] = answer.status_code != 401
    if answer.status_code == 401:
        which = (
            "does not take TRIGGER_ENGINE_TOKEN" if token else "asks for a token, and TRIGGER_ENGINE_TOKEN is not set"
        )
        finding.wrong(f"it {which}", "give it the token that the gateway was started with")


def _opened_by(token: str) -> str:
    """A page that the token opens, be it what it is: an agent's opens those of its service alone."""
    kind, _, rest = token.partition(".")
    if kind == "agents":
        return AGENTS
    return f"{AGENTS}/{rest.partition('.')[0]}" if kind == "agent" else "/openapi.json"


def _parts(answer: httpx.Response) -> list[dict[str, Any]] | None:
    try:
        return [
            {"name": part["name"], "ready": part["ready"], "detail": part["detail"]} for part in answer.json()["parts"]
        ]
    except (ValueError, KeyError, TypeError):
        return None
