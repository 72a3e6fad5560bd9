"""What goes back: a prepared answer, and the one place where the tree of errors becomes status codes."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

import asyncpg
import msgspec
from starlette.types import Send

from backbone.model.errors import Conflict, Invalid, NotAllowed, NotFound, TriggerEngineError, Unavailable

JSON = b"application/json"
_RETRY_AFTER = (b"retry-after", b"1")

log = logging.getLogger(__name__)

_encoder = msgspec.json.Encoder()


class Refused(TriggerEngineError):
    """What HTTP itself knows as wrong: no token, a body too large, a method that is not there."""

    def __init__(self, status: int, message: str, *headers: tuple[bytes, bytes]) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes
    content_type: bytes = JSON
    headers: tuple[tuple[bytes, bytes], ...] = ()

    async def send(self, send: Send) -> None:
        headers = [
            (b"content-type", self.content_type),
            (b"content-length", b"%d" % len(self.body)),
            *self.headers,
        ]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": self.body})


def document(value: Any, status: int = 200) -> Answer:
    return Answer(status, _encoder.encode(value))


_STATUS: tuple[tuple[type[TriggerEngineError], int], ...] = (
    (Invalid, 400),
    (NotFound, 404),
    (Conflict, 409),
    (NotAllowed, 403),
    (Unavailable, 503),
)

# PostgreSQL could not be reached, so that nothing was asked of it.
_NOT_REACHED = (OSError, TimeoutError, asyncpg.CannotConnectNowError, asyncpg.TooManyConnectionsError)
# It went away in the middle: what was asked may be done or not.
_BROKEN_OFF = (
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.OperatorInterventionError,
)


def refusal(error: Exception, *, repeatable: bool) -> Answer:
    """The answer that an error becomes. `repeatable`: what failed may be asked again whether it was done or not.

    503 is a promise that asking again is right: clients do so by themselves, also with a POST. Where a write broke
    off in the middle that is not known, and the answer is 500.
    """
    if isinstance(error, Refused):
        return _error(error.status, str(error), headers=error.headers)
    for kind, status in _STATUS:
        if isinstance(error, kind):
            path = error.path if isinstance(error, Invalid) else None
            return _error(status, str(error), path, (_RETRY_AFTER,) if status == 503 else ())
    if isinstance(error, asyncpg.ForeignKeyViolationError):
        return _error(409, f"what this needs was deleted meanwhile: {error.detail}")
    if isinstance(error, asyncpg.QueryCanceledError):
        return _error(400, "the question took too long to answer; narrow it, for instance by serviceId")
    if isinstance(error, _NOT_REACHED) or (repeatable and isinstance(error, _BROKEN_OFF)):
        return _error(503, f"PostgreSQL is unavailable: {type(error).__name__}", headers=(_RETRY_AFTER,))
    if isinstance(error, _BROKEN_OFF):
        return _error(500, "PostgreSQL went away in the middle; look whether it was done before asking again")
    log.error("request failed", exc_info=error)
    return _error(500, f"unexpected {type(error).__name__}; the log of the gateway says more")


def _error(status: int, message: str, path: str | None = None, headers: tuple[tuple[bytes, bytes], ...] = ()) -> Answer:
    body: dict[str, Any] = {"message": message, "status": status}
    if path:
        body["path"] = path
    return Answer(status, _encoder.encode(body), headers=headers)
