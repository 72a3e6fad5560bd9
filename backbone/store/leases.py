"""What agents ask who reach no database, answered from it: which attempts they may begin, and which are to be ended.

One implementation for every way that a question comes: over RabbitMQ by the dispatchers, and over HTTP by the gateway.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import asyncpg

from backbone.kit import metrics
from backbone.kit.few_lines import Few
from backbone.model.requests import Beat, Leave, Refusal, Request, Take
from backbone.store.queries import sql

Found = dict[UUID, list[UUID]]

NOBODY = ""
"""No service: who is known, and is no agent."""

log = logging.getLogger(__name__)
log.addFilter(Few(4))


@dataclass(frozen=True, slots=True)
class Asked:
    request: Request
    of: str | None = None
    """The service whose agents alone come this way: a token's, or a user's of RabbitMQ. None: any of them may."""


async def answer(connection: asyncpg.Connection, asked: Sequence[Asked]) -> list[list[UUID] | Refusal]:
    """To each: what is granted, or what is to be ended. A session is its first beat's service's, and asks for no other.

    Where a service has no user of its own, nobody can tell its agents from those of another that shares the user.
    """
    own = [one.request for one in asked if _foreign(one) is None]
    beats = [request for request in own if isinstance(request, Beat)]
    if beats:
        await connection.execute(
            sql("work/beats"),
            [beat.session for beat in beats],
            [beat.service_id for beat in beats],
            [beat.lease for beat in beats],
        )
    granted = await _lease(connection, [request for request in own if isinstance(request, Take)])
    unsure = [one.request.session for one in asked if not _was_granted(one.request, granted)]
    rows = await connection.fetch(sql("work/sessions"), unsure) if unsure else []
    owners: dict[UUID, str] = {row["id"]: row["service_id"] for row in rows}
    refusals = [
        None if _was_granted(one.request, granted) else refusal(one, owners.get(one.request.session)) for one in asked
    ]
    allowed = [one.request for one, reason in zip(asked, refusals, strict=True) if reason is None]
    to_end = await _hear(connection, [request for request in allowed if isinstance(request, Beat)])
    gone = [request.session for request in allowed if isinstance(request, Leave)]
    if gone:
        await connection.execute(sql("work/leaves"), gone)
    return [
        _found(one.request, granted, to_end) if reason is None else _told(one, reason)
        for one, reason in zip(asked, refusals, strict=True)
    ]


def _was_granted(request: Request, granted: Found) -> bool:
    """Nothing is granted to another service's session, so this one need not be looked at."""
    return isinstance(request, Take) and request.asking in granted


def refusal(asked: Asked, owner: str | None) -> Refusal | None:
    """Pure. `owner`: the service whose session it is."""
    reason = _foreign(asked)
    if reason is not None:
        return reason
    session, named = asked.request.session, _named(asked)
    if owner is None:
        return Refusal(f"session {session} is not known, or was silent for too long")
    if named is not None and named != owner:
        return Refusal(f"session {session} is not of service {named!r}")
    return None


def _foreign(asked: Asked) -> Refusal | None:
    if asked.of == NOBODY:
        return Refusal("who asks is not a service's own user of RabbitMQ")
    if asked.of is None or _named(asked) == asked.of:
        return None
    return Refusal(f"service {_named(asked)!r} is asked for by an agent of service {asked.of!r}")


def _named(asked: Asked) -> str | None:
    return asked.of if isinstance(asked.request, Leave) else asked.request.service_id


def _told(asked: Asked, reason: Refusal) -> Refusal:
    kind = type(asked.request).__name__.lower()
    metrics.agent_questions_refused.labels(kind).inc()
    log.warning("an agent's question is refused", extra={"question": kind, "reason": reason})
    return reason


def _found(request: Request, granted: Found, to_end: Found) -> list[UUID]:
    if isinstance(request, Take):
        return granted.get(request.asking, [])
    if isinstance(request, Beat):
        return to_end.get(request.session, [])
    return []


async def _lease(connection: asyncpg.Connection, takes: Sequence[Take]) -> Found:
    """By asking."""
    wanted = [(take.asking, take.session, take.service_id, *attempt) for take in takes for attempt in take.attempts]
    found: Found = {}
    if wanted:
        for row in await connection.fetch(sql("work/lease"), *zip(*wanted, strict=True)):
            found.setdefault(row["asking"], []).append(row["execution_id"])
    return found


async def _hear(connection: asyncpg.Connection, beats: Sequence[Beat]) -> Found:
    """By session."""
    if not beats:
        return {}
    untold = [(beat.session, execution_id) for beat in beats for execution_id in beat.untold]
    if untold:
        await connection.execute(sql("work/keep"), *zip(*untold, strict=True))
    found: Found = {}
    for row in await connection.fetch(sql("work/to terminate"), [beat.session for beat in beats]):
        found.setdefault(row["session_id"], []).append(row["id"])
    return found
