"""Stage 2: which triggers want to know of an event. Pure: no I/O, no clock, no state but the index itself.

The index is immutable; a change makes a new one beside it, and the pipeline swaps them between two batches. Triggers
stand under their envelope (project, resource, action), so an event looks only at those that could match; among these
each filter is asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson

from backbone.model.events import DeadLetter, RecordedEvent
from backbone.model.matches import LiveTrigger, Match

_Envelope = tuple[str, str, str]


class Index:
    def __init__(self, triggers: Iterable[LiveTrigger] = ()) -> None:
        self._triggers: Mapping[str, LiveTrigger] = {trigger.id: trigger for trigger in triggers}
        by_envelope: dict[_Envelope, list[LiveTrigger]] = {}
        for trigger in self._triggers.values():
            for action in trigger.actions:
                by_envelope.setdefault((trigger.project_id, trigger.resource, action), []).append(trigger)
        self._by_envelope = by_envelope

    def __len__(self) -> int:
        return len(self._triggers)

    @property
    def versions(self) -> Mapping[str, int]:
        return {trigger.id: trigger.version for trigger in self._triggers.values()}

    def changed(self, put: Iterable[LiveTrigger], removed: Iterable[str]) -> Index:
        """A new index: `put` added or replaced, `removed` gone."""
        triggers = {**self._triggers, **{trigger.id: trigger for trigger in put}}
        for trigger_id in removed:
            triggers.pop(trigger_id, None)
        return Index(triggers.values())

    def match(self, records: Sequence[RecordedEvent]) -> tuple[list[Match], list[DeadLetter]]:
        """Every (event, trigger) that match, in the order of the events; and the events whose entity does not read."""
        matches: list[Match] = []
        unreadable: list[DeadLetter] = []
        for recorded in records:
            event = recorded.event
            candidates = self._by_envelope.get((event.project_id, event.resource, event.action))
            if not candidates:
                continue
            try:
                entity = orjson.loads(event.entity)
            except orjson.JSONDecodeError as error:
                unreadable.append(_dead_letter(recorded, error))
                continue
            matches += [Match(trigger, recorded) for trigger in _wanting(candidates, entity)]
        return matches, unreadable


def _wanting(candidates: Sequence[LiveTrigger], entity: Any) -> list[LiveTrigger]:
    return [trigger for trigger in candidates if trigger.filter.matches(entity)]


def _dead_letter(recorded: RecordedEvent, error: orjson.JSONDecodeError) -> DeadLetter:
    return DeadLetter(
        source="match",
        position=recorded.event.id,
        path="entity",
        reason=str(error),
        body=recorded.event.entity,
        project_id=recorded.event.project_id,
    )
