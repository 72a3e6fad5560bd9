"""What dispatcher and agents say to each other: work items go out, reports come back.

Both travel as MessagePack arrays; documents of users inside them stay bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TypeVar
from uuid import UUID

import msgspec

RERUN = "rerun"


class WorkItem(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """One attempt at one execution, with all that an agent needs to run it."""

    execution_id: UUID
    attempt: int  #: counts from 1
    max_attempts: int
    service_id: str
    project_id: str
    function_name: str
    recorded_at: datetime
    input: bytes = b"{}"  #: JSON object of arguments
    trigger_id: str | None = None
    event_id: str | None = None
    resource: str | None = None
    action: str | None = None
    entity: bytes | None = None  #: JSON, as it arrived with the event
    event_time: datetime | None = None
    actor: str | None = None
    causation: bytes | None = None  #: JSON of the chain that this execution is the last link of
    by_reference: bool = False  #: input and entity are too large for the queue, and are fetched by who takes it
    traceparent: str | None = None  #: of the event; see `traceparent.py`
    tracestate: str | None = None  #: likewise


class Started(msgspec.Struct, frozen=True, array_like=True, tag="started", kw_only=True):
    execution_id: UUID
    attempt: int
    at: datetime


class Progressed(msgspec.Struct, frozen=True, array_like=True, tag="progressed", kw_only=True):
    """What the function said of itself. `number` counts the reports of one attempt: one that comes twice is one."""

    execution_id: UUID
    attempt: int
    number: int
    at: datetime
    status: str | None = None
    percent: int | None = None
    message: str | None = None
    output: bytes | None = None


class Finished(msgspec.Struct, frozen=True, array_like=True, tag="finished", kw_only=True):
    """How an attempt ended. `status` is one of the ended ones, or `rerun`: interrupted by us, to be run again."""

    execution_id: UUID
    attempt: int
    max_attempts: int
    at: datetime
    started_at: datetime
    status: str
    duration: float  #: seconds in the function
    output: bytes | None = None  #: JSON, when it succeeded
    message: str = ""  #: one line, when it did not
    traceback: str = ""
    may_retry: bool = True  #: False where trying again cannot help: terminated by a person, lost with onReset failed


class Logged(msgspec.Struct, frozen=True, array_like=True, tag="logged", kw_only=True):
    """Lines that the function wrote: a JSON array of {timestamp, level, message}."""

    execution_id: UUID
    attempt: int
    number: int
    at: datetime
    lines: bytes


Report = Started | Progressed | Finished | Logged

_Message = TypeVar("_Message")

_encoder = msgspec.msgpack.Encoder()
_reports = msgspec.msgpack.Decoder(list[Report])
_work_item = msgspec.msgpack.Decoder(WorkItem)


def encode_reports(reports: Sequence[Report]) -> bytes:
    return _encoder.encode(reports)


def decode_reports(body: bytes) -> list[Report]:
    """Raises msgspec.MsgspecError for anything but what `encode_reports` gives."""
    return _decoded(_reports, body)


def encode_work_item(item: WorkItem) -> bytes:
    return _encoder.encode(item)


def decode_work_item(body: bytes) -> WorkItem:
    """Raises msgspec.MsgspecError for anything but what `encode_work_item` gives."""
    return _decoded(_work_item, body)


def _decoded(decoder: msgspec.msgpack.Decoder[_Message], body: bytes) -> _Message:
    try:
        return decoder.decode(body)
    except (ValueError, OverflowError, RecursionError) as error:
        raise msgspec.DecodeError(str(error)) from None
