"""What agents ask of dispatchers where their queue is in another server: leases are in PostgreSQL, which they cannot
reach. Questions and answers travel as MessagePack, like the messages: over RabbitMQ, and where that takes nothing, over
HTTP."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TypeVar
from uuid import UUID

import msgspec

from backbone.model.errors import NotAllowed


class Take(msgspec.Struct, frozen=True, array_like=True, tag="take", kw_only=True):
    """May the session begin these? `asking` is the same when it is asked again: what was granted then still is."""

    asking: UUID
    session: UUID
    service_id: str
    attempts: Sequence[tuple[UUID, int]]  #: execution, attempt


class Beat(msgspec.Struct, frozen=True, array_like=True, tag="beat", kw_only=True):
    """The session lives. The answer: those of its executions that somebody asked to end."""

    session: UUID
    service_id: str
    lease: timedelta
    untold: tuple[UUID, ...] = ()  #: executions that it began, or ended, and could not report yet


class Leave(msgspec.Struct, frozen=True, array_like=True, tag="leave", kw_only=True):
    """The session ended in order. The answer is empty."""

    session: UUID


Request = Take | Beat | Leave

Answer = list[UUID]
"""To every request: of what was asked about, the executions that are granted, or to be ended."""


class Refusal(str):
    """Why a request gets no answer."""

    __slots__ = ()


MEDIA_TYPE = "application/msgpack"

_Message = TypeVar("_Message")

_encoder = msgspec.msgpack.Encoder()
_requests: msgspec.msgpack.Decoder[Request] = msgspec.msgpack.Decoder(Request)
_answers: msgspec.msgpack.Decoder[Answer | str] = msgspec.msgpack.Decoder(Answer | str)


def encode_request(request: Request) -> bytes:
    return _encoder.encode(request)


def decode_request(body: bytes) -> Request:
    """Raises msgspec.MsgspecError for anything but what `encode_request` gives."""
    return _decoded(_requests, body)


def encode_answer(answer: Sequence[UUID] | Refusal) -> bytes:
    return _encoder.encode(str(answer) if isinstance(answer, Refusal) else answer)


def decode_answer(body: bytes) -> Answer:
    """Raises NotAllowed for a refusal, and msgspec.MsgspecError for anything but what `encode_answer` gives."""
    answer = _decoded(_answers, body)
    if isinstance(answer, str):
        raise NotAllowed(answer)
    return answer


def _decoded(decoder: msgspec.msgpack.Decoder[_Message], body: bytes) -> _Message:
    try:
        return decoder.decode(body)
    except (ValueError, OverflowError, RecursionError) as error:
        raise msgspec.DecodeError(str(error)) from None
