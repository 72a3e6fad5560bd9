"""Identities. Sortable by time wherever rows are many, derived wherever a crash may make us ask twice.

Definitions (triggers, services, packages) carry 24 hexadecimal digits, as the API's clients expect.
Executions carry a UUID whose first 48 bits are the time the event was received, in ms, and whose rest is a
digest of (trigger, claim): the same match always derives the same id, rows arrive in index order, and the id
alone tells the partition (docs/decisions/0002-time-ordered-derived-ids.md).
"""

from __future__ import annotations

import os
import secrets
import time
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from uuid import UUID

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_VERSION_AND_VARIANT = (0xF << 76) | (0x3 << 62)
_VERSION_8 = (0x8 << 76) | (0x2 << 62)


def definition_id() -> str:
    """24 hexadecimal digits: seconds, then chance; later ones sort later."""
    return f"{int(time.time()):08x}{secrets.token_hex(8)}"


def execution_id(received: datetime, trigger_id: str, claim: str) -> UUID:
    """The one id that the match (trigger, claim) of an event received at `received` can have."""
    digest = blake2b(f"{trigger_id}\x00{claim}".encode(), digest_size=10).digest()
    return _time_ordered(_milliseconds(received), digest)


def manual_execution_id(created: datetime) -> UUID:
    return _time_ordered(_milliseconds(created), os.urandom(10))


def partition_floor(moment: datetime) -> UUID:
    """The smallest execution id of `moment` and later: the bound of a partition."""
    return UUID(int=_milliseconds(moment) << 80)


def execution_ids_of(received: datetime) -> tuple[UUID, UUID]:
    """From the first on and before the second are the ids of all executions of events received at that moment."""
    floor = partition_floor(received)
    return floor, UUID(int=floor.int + (1 << 80))


def _milliseconds(moment: datetime) -> int:
    # Whole numbers all the way: a float of seconds is sometimes one ms short.
    return (moment - _EPOCH) // _MILLISECOND


def _time_ordered(milliseconds: int, rest: bytes) -> UUID:
    tail = int.from_bytes(rest, "big") & ~_VERSION_AND_VARIANT | _VERSION_8
    return UUID(int=(milliseconds << 80) | tail)
