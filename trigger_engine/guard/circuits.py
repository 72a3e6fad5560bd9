"""Which circuits are open, and what people allowed: what the engine knows of the store's tables. Looked at for every
match, changed between two batches.

A circuit belongs to a trigger, or to one entity of a trigger. While it is open, what matches is held: it waits in the
store, and goes on when the circuit is closed.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from backbone.model.loops import LoopKind
from backbone.model.matches import LiveTrigger
from trigger_engine.guard.loops import Stop

MOST_ENTITIES = 50
"""Open circuits of single entities until their trigger gets one for all."""


class Key(NamedTuple):
    """`loop` is the entity, or empty for the trigger as a whole."""

    trigger_id: str
    kind: LoopKind
    loop: str


class Circuits:
    def __init__(self, open: Iterable[Key] = (), allowed: Iterable[Key] = ()) -> None:
        self._open: dict[str, set[str]] = {}
        for key in open:
            self.open(key)
        self._allowed = frozenset(allowed)

    def __bool__(self) -> bool:
        return bool(self._open)

    def open(self, key: Key) -> None:
        self._open.setdefault(key.trigger_id, set()).add(key.loop)

    def entities(self, trigger_id: str) -> int:
        return len(self._open.get(trigger_id, ()))

    def is_open(self, key: Key) -> bool:
        return not {key.loop, ""}.isdisjoint(self._open.get(key.trigger_id, ()))

    def stop(self, trigger: LiveTrigger, entity: str) -> Stop | None:
        held = self._open.get(trigger.id)
        if held is None:
            return None
        if "" in held:
            return Stop(LoopKind.TRIGGER, "", f"the circuit of trigger {trigger.name!r} is open")
        if entity in held:
            return Stop(LoopKind.ENTITY, entity, f"the circuit of trigger {trigger.name!r} and {entity!r} is open")
        return None

    def allows(self, trigger_id: str, stop: Stop) -> bool:
        return bool(self._allowed) and Key(trigger_id, stop.kind, stop.loop) in self._allowed

    def is_allowed(self, key: Key) -> bool:
        return key in self._allowed
