"""Dead letters: looked at, tried again, dropped."""

from __future__ import annotations

import base64
from typing import Any

from backbone.model.errors import Invalid
from backbone.store import dead_letters
from backbone.store.dead_letters import KeptLetter
from gateway import event_requests, shapes
from gateway.operations import PREFIX, Call, Operation, Parameter

_MOST = 1_000


async def some(call: Call) -> Any:
    before = call.whole_number("before", dead_letters.NEWEST, 0, dead_letters.NEWEST)
    limit = call.whole_number("limit", 100, 1, _MOST)
    found = await dead_letters.before(call.parts.database.pool, before, limit + 1)
    return shapes.DeadLetters(items=[_shape(one) for one in found[:limit]], has_next_page=len(found) > limit)


async def show(call: Call) -> Any:
    return _shape(await dead_letters.get(call.parts.database.pool, call.row_id("dead letter")))


async def replay(call: Call) -> Any:
    """Taken now if this version understands it, and dropped then; otherwise it stays with the reason it has."""
    pool = call.parts.database.pool
    letter = await dead_letters.get(pool, call.row_id("dead letter"))
    body = letter.body or b""
    events, bad = await event_requests.read(call.parts, body, "application/json", letter.project_id)
    if bad:
        raise Invalid(bad[0].reason.path, f"{bad[0].reason.reason} (still)")
    await call.parts.writer.write(events, len(body))
    await dead_letters.drop(pool, letter.id)
    return shapes.Accepted(accepted=len(events), ids=[event.id for event in events])


async def drop(call: Call) -> Any:
    letter_id = call.row_id("dead letter")
    await dead_letters.drop(call.parts.database.pool, letter_id)
    return shapes.Identified(id=str(letter_id))


def _shape(of: KeptLetter) -> shapes.DeadLetterShape:
    body, encoded = _readable(of.body)
    return shapes.DeadLetterShape(
        id=of.id,
        at=of.at,
        source=of.source,
        position=of.position,
        project_id=of.project_id,
        path=of.path,
        reason=of.reason,
        bytes=of.size,
        body=body,
        body_base64=encoded,
    )


def _readable(body: bytes | None) -> tuple[str | None, str | None]:
    """As text when it is text, otherwise in base64."""
    if body is None:
        return None, None
    try:
        return body.decode(), None
    except UnicodeDecodeError:
        return None, base64.b64encode(body).decode()


_ONE = f"{PREFIX}/dead-letters/{{id}}"

OPERATIONS = (
    Operation(
        method="GET", path=f"{PREFIX}/dead-letters", summary="What could not be taken, newest first", handler=some,
        parameters=(
            Parameter("before", "Only those with a smaller id", 0, dead_letters.NEWEST),
            Parameter("limit", "At most so many; 100 when not given", 1, _MOST),
        ),
        answers=shapes.DeadLetters,
    ),
    Operation(
        method="GET", path=_ONE, summary="A dead letter with its bytes, as text or in base64", handler=show,
        answers=shapes.DeadLetterShape, refusals=(404,),
    ),
    Operation(
        method="POST", path=f"{_ONE}/replay", summary="Try to take it again; 400 when it is still wrong",
        handler=replay, answers=shapes.Accepted, refusals=(404,),
    ),
    Operation(
        method="DELETE", path=_ONE, summary="Forget it", handler=drop, answers=shapes.Identified, refusals=(404,),
    ),
)  # fmt: skip
