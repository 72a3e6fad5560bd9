"""The ASGI application: who may come in, the shortcut of the hot path, and the routes of everything else.

There is no middleware and no request object: `POST /events` is answered before any router is asked, and the other
operations are routed by Starlette from the one list in `contract`.
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable
from urllib.parse import parse_qsl, unquote

from starlette.routing import Route, Router
from starlette.types import Receive, Scope, Send

from backbone.model.errors import Invalid
from gateway import agent_tokens, answers, carried, contract, event_requests, events, intake
from gateway.answers import Answer, Refused
from gateway.intake import ClientLeft, Intake
from gateway.operations import Call, Operation
from gateway.parts import CREATOR, Parts

_OPEN = frozenset({"/healthz", "/readyz"})
"""Needs no token: who asks is the machinery that keeps us running."""

_MOST_PARAMETERS = 100
_LONGEST_NAME = 255


class App:
    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._intake = Intake()
        token = parts.settings.token
        self._expected = None if token is None else b"Bearer " + token.encode()
        by_path: dict[str, dict[str, Operation]] = {}
        for operation in contract.OPERATIONS:
            by_path.setdefault(operation.path, {})[operation.method] = operation
        self._router = Router(
            [Route(path, _Resource(operations, parts, self._intake)) for path, operations in by_path.items()],
            redirect_slashes=False,
            default=_nowhere,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise RuntimeError(f"{scope['type']} is not spoken here")
        if self._expected is not None and not self._may_enter(scope):
            await _send(_refused(Refused(401, "the token is missing or wrong", _CHALLENGE)), send, repeatable=True)
        elif scope["path"] == events.PUBLISH and scope["method"] == "POST":
            await _send(self._publish(scope, receive), send, repeatable=True)
        else:
            await self._router(scope, receive, send)

    def _may_enter(self, scope: Scope) -> bool:
        if scope["path"] in _OPEN:
            return True
        shown = intake.header(scope, b"authorization")
        if hmac.compare_digest(shown, self._expected or b""):
            return True
        token = shown.removeprefix(b"Bearer ").decode("latin-1")
        gateway_token = self._parts.settings.token or ""
        return agent_tokens.opens(token, gateway_token, scope["method"], scope["path"])

    async def _publish(self, scope: Scope, receive: Receive) -> Answer:
        """`events.publish` without what only the other operations need."""
        body = await self._intake.read(scope, receive, intake.EVENTS)
        project = _query(scope).get("project") if scope["query_string"] else None
        content_type = intake.header(scope, b"content-type").decode("latin-1")
        with_all = await carried.of(self._parts.signing_key, scope)
        return await event_requests.answer(self._parts, body, content_type, project, with_all)


class _Resource:
    """A path with the operations that it has."""

    def __init__(self, operations: dict[str, Operation], parts: Parts, intake_: Intake) -> None:
        self._operations = operations
        self._parts = parts
        self._intake = intake_

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        operation = self._operations.get(scope["method"])
        if operation is None:
            allowed = ", ".join(sorted(self._operations))
            refusal = Refused(405, f"{scope['method']} is not allowed here; {allowed} is", (b"allow", allowed.encode()))
            await _send(_refused(refusal), send, repeatable=True)
        else:
            await _send(self._answer(operation, scope, receive), send, repeatable=operation.reads)

    async def _answer(self, operation: Operation, scope: Scope, receive: Receive) -> Answer:
        call = Call(
            parts=self._parts,
            path=scope["path_params"],
            query=_query(scope),
            content_type=intake.header(scope, b"content-type").decode("latin-1"),
            body=await self._intake.read(scope, receive, operation.largest),
            carried=await carried.of(self._parts.signing_key, scope),
            actor=_actor(scope),
        )
        answer = await operation.handler(call)
        return answer if isinstance(answer, Answer) else answers.document(answer, operation.status)


_CHALLENGE = (b"www-authenticate", b"Bearer")


async def _send(coming: Awaitable[Answer], send: Send, *, repeatable: bool) -> None:
    try:
        answer = await coming
    except ClientLeft:
        return
    except Exception as error:  # any: it is the one place where errors become answers
        answer = answers.refusal(error, repeatable=repeatable)
    await answer.send(send)


async def _refused(refusal: Refused) -> Answer:
    raise refusal


async def _nowhere(scope: Scope, receive: Receive, send: Send) -> None:
    await _send(_refused(Refused(404, f"there is nothing at {scope['path'][:200]}")), send, repeatable=True)


def _actor(scope: Scope) -> str:
    """Percent-encoded, as a header holds ASCII alone. Taken at the word: the token says who may, not who does."""
    name = unquote(intake.header(scope, b"x-actor").decode("latin-1")).strip()
    return "".join(filter(str.isprintable, name))[:_LONGEST_NAME] or CREATOR


def _query(scope: Scope) -> dict[str, str]:
    try:
        return dict(parse_qsl(scope["query_string"].decode("latin-1"), max_num_fields=_MOST_PARAMETERS))
    except ValueError:
        raise Invalid("", f"the query holds more than {_MOST_PARAMETERS} parameters") from None
