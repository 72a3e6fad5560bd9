"""Events tried on triggers: which match, found as the engine finds them, and if not, why. Pure.

What a file calls a project may be its name or its id, which only an engine can tell apart. So triggers of files are
matched in every project, and a match whose project cannot be the one that was meant is taken out afterwards.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID

import orjson

from backbone.model.events import DeadLetter, RecordedEvent
from backbone.model.matches import LiveTrigger
from launcher.cli.live import Held
from trigger_engine.match import Index


class Taken(NamedTuple):
    """An event of a file, as the engine would have it."""

    place: str
    project: str | None  #: the one that it names
    recorded: RecordedEvent


class Hit(NamedTuple):
    taken: Taken
    trigger: LiveTrigger


class Trial:
    def __init__(self, held: Sequence[Held]) -> None:
        self.held = {one.live.id: one for one in held}
        self._index = Index(one.live for one in held if one.paused is None)

    def match(self, batch: Sequence[Taken]) -> tuple[list[Hit], list[DeadLetter]]:
        """Who wants which event, in their order; and the events whose entity does not read."""
        taken = {id(one.recorded): one for one in batch}
        matches, unreadable = self._index.match([one.recorded for one in batch])
        hits = [
            Hit(event, trigger)
            for found in matches
            for event in (taken[id(found.recorded)],)
            for trigger in found.triggers
            if may_be_of(self.held[trigger.id], event.project)
        ]
        return hits, unreadable


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    match: bool
    sentence: str
    path: str | None = None  #: the field that decided against it
    operator: str | None = None
    operand: Any = None
    seen: Any = None
    missing: bool = False


def verdict(held: Held, taken: Taken) -> Verdict:
    """The first clause that failed and the value it saw; with the filter that the index was made of."""
    mismatch = next(_mismatches(held, taken), None)
    if mismatch is not None:
        return mismatch
    told = held.live.filter.explain(orjson.loads(taken.recorded.event.entity))
    return Verdict(
        match=told.verdict,
        sentence=told.sentence,
        path=told.path,
        operator=told.operator,
        operand=told.operand,
        seen=told.seen,
        missing=told.missing,
    )


def _mismatches(held: Held, taken: Taken) -> Iterator[Verdict]:
    """Whatever keeps the event from the filter."""
    event, live = taken.recorded.event, held.live
    if held.paused:
        yield Verdict(match=False, sentence=held.paused, path="active", seen=False)
    if not may_be_of(held, taken.project):
        wanted = live.project_id or held.project
        sentence = f"the event is of project {taken.project!r}; the trigger listens in {wanted!r}"
        yield Verdict(match=False, sentence=sentence, path="project", operand=wanted, seen=taken.project)
    if event.resource != live.resource:
        sentence = f"the event's resource is {event.resource!r}; the trigger listens to {live.resource!r}"
        yield Verdict(match=False, sentence=sentence, path="resource", operand=live.resource, seen=event.resource)
    if event.action not in live.actions:
        listens = ", ".join(repr(action) for action in live.actions)
        sentence = f"the event's action is {event.action!r}; the trigger listens to {listens}"
        yield Verdict(match=False, sentence=sentence, path="action", operand=list(live.actions), seen=event.action)


def may_be_of(held: Held, project: str | None) -> bool:
    """Who says nothing may be in any project; without an engine, a name and an id may be the same one."""
    if held.live.project_id is not None:
        return project == held.live.project_id
    one = held.project
    return one is None or project is None or one == project or _is_id(one) != _is_id(project)


def _is_id(project: str) -> bool:
    try:
        UUID(project)
    except ValueError:
        return False
    return True
