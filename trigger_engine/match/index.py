"""Stage 2: which triggers want to know of an event. Pure: no I/O, no clock, no state but the index itself.

An event looks up its envelope (project, resource, action) and then goes down from node to node by what its entity
holds (`node.py`), reading of the entity only what some filter asks for (`projection.py`). What it costs depends on the
entity and on the triggers that match it, not on how many others there are.

One thread holds an index. Between two batches triggers are put and removed, one by one, and the next event meets the
change; nothing is built anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

import msgspec

from backbone.model.dql.conjunctions import conjunctions
from backbone.model.events import DeadLetter, RecordedEvent
from backbone.model.matches import LiveTrigger, Match
from trigger_engine.match.checks import Checks, looks_inside
from trigger_engine.match.node import Filed, Node, Work
from trigger_engine.match.projection import Projection

Envelope: TypeAlias = tuple[str | None, str, str]

_Unreadable: TypeAlias = tuple[type[Exception], ...]
UNREADABLE: _Unreadable = (msgspec.DecodeError, UnicodeDecodeError)


class Resource:
    """What the triggers of one resource share: how its entities are read, and the clauses that are in use."""

    __slots__ = ("checks", "projection")

    def __init__(self) -> None:
        self.projection = Projection()
        self.checks = Checks(self.projection)


class Index:
    def __init__(self, triggers: Iterable[LiveTrigger] = ()) -> None:
        self.version = 0
        """Grows with every change; each match tells by which version it was made."""
        self._triggers: dict[str, LiveTrigger] = {}
        self._homes: dict[str, list[Filed]] = {}
        self._resources: dict[str, Resource] = {}
        self._roots: dict[Envelope, tuple[Projection, Node]] = {}
        self._org_wide = 0  #: triggers of no project
        self.put_all(triggers)

    def __len__(self) -> int:
        return len(self._triggers)

    def __contains__(self, trigger_id: str) -> bool:
        return trigger_id in self._triggers

    @property
    def envelopes(self) -> int:
        """Distinct (project, resource, action) that somebody listens to."""
        return len(self._roots)

    @property
    def versions(self) -> Mapping[str, int]:
        return {trigger.id: trigger.version for trigger in self._triggers.values()}

    # -- matching -------------------------------------------------------------------------------------------------

    def match(self, records: Sequence[RecordedEvent]) -> tuple[list[Match], list[DeadLetter]]:
        """Every (event, trigger) that match, in the order of the events; and the events whose entity does not read."""
        roots, version, org_wide = self._roots, self.version, self._org_wide
        matches: list[Match] = []
        unreadable: list[DeadLetter] = []
        found: list[Filed] = []
        for recorded in records:
            event = recorded.event
            root = roots.get((event.project_id, event.resource, event.action))
            wide = roots.get((None, event.resource, event.action)) if org_wide else None
            if root is None and wide is None:
                continue
            # Nothing is decoded before some trigger of the envelope wants to see it, and then once for both.
            try:
                view = (root or wide)[0].decode(event.entity)  # type: ignore[index]
            except UNREADABLE as error:
                unreadable.append(_dead_letter(recorded, error))
                continue
            if root is not None:
                root[1].collect(view, found)
            if wide is not None:
                wide[1].collect(view, found)
            if found:
                # A trigger is found twice when two of its alternatives hold, or by two values of a list.
                once = {filed.trigger.id: filed.trigger for filed in found} if len(found) > 1 else ()
                triggers = once.values() if once else (found[0].trigger,)
                matches += [Match(trigger, recorded, version) for trigger in triggers]
                found.clear()
        return matches, unreadable

    def work(self, records: Sequence[RecordedEvent]) -> Work:
        """What `match` does for these events, counted. Raises what does not read."""
        work = Work()
        for recorded in records:
            event = recorded.event
            for project in (event.project_id, None):
                root = self._roots.get((project, event.resource, event.action))
                if root is not None:
                    root[1].count(root[0].decode(event.entity), work)
        return work

    # -- changes --------------------------------------------------------------------------------------------------

    def put_all(self, triggers: Iterable[LiveTrigger]) -> None:
        """As `put` one by one, with entities read in the way that suits them all."""
        given = list(triggers)
        wanted: dict[str, set[tuple[tuple[str, ...], bool]]] = {}
        for trigger in given:
            asked = wanted.setdefault(trigger.resource, set())
            for conjunction in conjunctions(trigger.filter.expression):
                asked.update((literal.clause.parts, looks_inside(literal)) for literal in conjunction)
        for resource, asked in wanted.items():
            self._resource(resource).projection.expect(asked)
        for trigger in given:
            self.put(trigger)

    def put(self, trigger: LiveTrigger) -> None:
        """Add it, or put it in the place of the one with its id. The next event meets it."""
        self._take_out(trigger.id)
        self._triggers[trigger.id] = trigger
        self._file(trigger)
        self._org_wide += trigger.project_id is None
        self.version += 1

    def remove(self, trigger_id: str) -> None:
        """Without effect when it is not there."""
        self._take_out(trigger_id)
        self.version += 1

    def _file(self, trigger: LiveTrigger) -> None:
        homes = self._homes[trigger.id] = []
        resource = self._resource(trigger.resource)
        for conjunction in conjunctions(trigger.filter.expression):
            checks = tuple([resource.checks.of(literal) for literal in conjunction])
            shared = tuple([check.literal for check in checks])
            for check in checks:
                check.path.users.add(trigger.id)
            for action in trigger.actions:
                root = self._root(trigger.project_id, trigger.resource, action)
                root.put(Filed(trigger, homes, shared, checks), resource.projection.path)

    def _take_out(self, trigger_id: str) -> None:
        trigger = self._triggers.pop(trigger_id, None)
        if trigger is None:
            return
        self._org_wide -= trigger.project_id is None
        self._unfile(trigger)

    def _unfile(self, trigger: LiveTrigger) -> None:
        for filed in list(self._homes.pop(trigger.id)):
            filed.node.remove(filed)
        for action in trigger.actions:
            envelope = (trigger.project_id, trigger.resource, action)
            if envelope in self._roots and self._roots[envelope][1].load == 0:
                del self._roots[envelope]

    def _resource(self, name: str) -> Resource:
        if name not in self._resources:
            self._resources[name] = Resource()
        return self._resources[name]

    def _root(self, project_id: str | None, resource: str, action: str) -> Node:
        envelope = (project_id, resource, action)
        if envelope not in self._roots:
            self._roots[envelope] = self._resource(resource).projection, Node()
        return self._roots[envelope][1]


def _dead_letter(recorded: RecordedEvent, error: Exception) -> DeadLetter:
    return DeadLetter(
        source="match",
        position=recorded.event.id,
        path="entity",
        reason=str(error),
        body=recorded.event.entity,
        project_id=recorded.event.project_id,
    )
