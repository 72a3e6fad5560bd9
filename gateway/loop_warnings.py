"""Before a trigger goes round in a circle: does what its service wrote lately match its filter?

Asked once, when the trigger is made or changed; it warns and refuses nothing. Loops are stopped as they happen
(docs/loops.md); this says so to the person who is looking at the trigger anyway.
"""

from __future__ import annotations

import asyncpg
import orjson

from backbone.model import dql
from backbone.model.definitions import Service
from backbone.model.loops import LoopProtection
from backbone.model.triggers import Trigger
from backbone.store import events

NEWEST = 5_000
"""Events that are looked through."""

_MOST = 200
"""Of the service's own among them."""

_WARNING = (
    "the service of this trigger wrote {count} of the latest events that its filter matches, such as event {event!r} of"
    " {entity!r}: what its function writes may begin it again. {then} (docs/loops.md)"
)
_THEN = {
    LoopProtection.AVOID_LOOP: "Such matches are stopped as loops; let the filter leave them out",
    LoopProtection.IGNORE: "Where they bring no chain and no actor, they are seen by their rate only",
    LoopProtection.ALLOW_ALL: "With allow-all only the length of a chain stops it",
}


async def of(connection: asyncpg.Pool, trigger: Trigger, service: Service) -> list[str]:
    filter_ = dql.compile(trigger.filter)
    written = await events.written_lately_by(
        connection, service, trigger.resource, trigger.actions, trigger.project_id, NEWEST, _MOST
    )
    matching = [one for one in written if filter_.matches(orjson.loads(one["entity"]))]
    if not matching:
        return []
    first = matching[0]
    then = _THEN[trigger.loop_protection]
    return [_WARNING.format(count=len(matching), event=first["id"], entity=first["entity_id"], then=then)]
