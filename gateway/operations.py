"""One operation of the API: its route, its contract and its handler in one place.

The router and the OpenAPI document are both made from the same list of these, so neither can say what the other does
not. A handler gets a `Call` and gives back the document to answer with, or a whole `Answer`.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

import asyncpg
import msgspec

from backbone.model import json_text, written_form
from backbone.model.errors import Invalid, NotFound
from backbone.store import finding, trigger_versions
from gateway import intake
from gateway.carried import NOTHING, Carried
from gateway.parts import CREATOR, Parts

PREFIX = "/api/v1"

_Shape = TypeVar("_Shape", bound=msgspec.Struct)
_definition_id = re.compile(r"[0-9a-f]{24}")


@dataclass(frozen=True, slots=True)
class Call:
    parts: Parts
    path: Mapping[str, str]
    query: Mapping[str, str]
    content_type: str
    body: bytes
    carried: Carried = NOTHING  #: by the request's headers
    actor: str = CREATOR  #: who asks, as they say themselves

    @asynccontextmanager
    async def changing(self) -> AsyncIterator[asyncpg.Connection]:
        """A transaction, and what it changes is told to be the caller's."""
        async with self.parts.database.pool.acquire() as connection, connection.transaction():
            await trigger_versions.act_as(connection, self.actor)
            yield connection

    def definition_id(self, kind: str) -> str:
        """The path's id; what cannot be one is the id of nothing. So for the two below."""
        key = self.path["id"]
        if not _definition_id.fullmatch(key):
            raise NotFound(kind, key)
        return key

    def uuid(self, kind: str) -> UUID:
        found = finding.as_uuid(self.path["id"])
        if found is None:
            raise NotFound(kind, self.path["id"])
        return found

    def row_id(self, kind: str) -> int:
        key = self.path["id"]
        if not (key.isascii() and key.isdigit() and len(key) < 19):
            raise NotFound(kind, key)
        return int(key)

    def document(self) -> dict[str, Any]:
        """The body as a JSON object. Raises Invalid."""
        if not self.body.strip():
            raise Invalid("", "the body is empty; expected a JSON object")
        document = json_text.read(self.body, Invalid)
        if not isinstance(document, dict):
            raise Invalid("", f"expected a JSON object, got {self.body.strip()[:20].decode()}")
        return document

    def written(self, shape: type[_Shape]) -> _Shape:
        return written_form.convert(self.document(), shape, Invalid)

    def whole_number(self, name: str, default: int, low: int, high: int) -> int:
        text = self.query.get(name)
        if text is None:
            return default
        if not (text.isascii() and text.isdigit() and len(text) <= 19 and low <= int(text) <= high):
            raise Invalid(name, f"{text[:40]!r} is not a whole number from {low} to {high}")
        return int(text)


Handler = Callable[[Call], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Parameter:
    """One of the query."""

    name: str
    summary: str
    low: int | None = None  #: a whole number when given
    high: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    method: str
    path: str
    summary: str
    handler: Handler
    answers: Any = None  #: the type of the document that comes back, or a tuple of those that it may be
    status: int = 200
    takes: Any = None  #: the type of the document in the body, or a tuple of those that it may be
    media_types: tuple[str, ...] = ("application/json",)  #: of the body
    gives: str = "application/json"
    parameters: tuple[Parameter, ...] = ()
    largest: int = intake.DOCUMENT  #: body in bytes
    refusals: tuple[int, ...] = ()  #: statuses beside those that every operation may answer
    also: Mapping[int, Any] | None = None  #: answers of other shapes, by status
    signed: bool = False  #: the caller's name is written down with what is done

    @property
    def reads(self) -> bool:
        return self.method == "GET"
