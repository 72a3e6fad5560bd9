"""Stage 2: which triggers want to know of an event. Pure: no I/O, no clock, no state but the index itself.

An event looks up its envelope (project, resource, action) and then goes down from node to node by what its entity
holds (`node.py`), reading of the entity only what some filter asks for (`projection.py`). What it costs depends on the
entity and on the triggers that match it, not on how many others there are.

One thread holds an index. Between two batches triggers are put and removed, one by one, and the next event meets the
change; nothing is built anew.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Final, TypeAlias

import msgspec
import orjson

from backbone.model.dql.conjunctions import Conjunction, conjunctions
from backbone.model.events import DeadLetter, RecordedEvent
from backbone.model.matches import LiveTrigger, Matches
from trigger_engine.match.checks import Check, Checks, wanted_paths
from trigger_engine.match.filed import Filed
from trigger_engine.match.node import Node, Work
from trigger_engine.match.placing import Place, place_of
from trigger_engine.match.projection import Parts, Path, Projection

Envelope: TypeAlias = tuple[str | None, str, str]


class Resource:
    """What the triggers of one resource share: how its entities are read, and the clauses that are in use."""

    __slots__ = ("checks", "projection")

    def __init__(self) -> None:
        self.projection = Projection()
        self.checks = Checks(self.projection)


class Listeners:
    """To one action on one resource: the root of each project, and that of the triggers of no project."""

    __slots__ = ("org_wide", "projection", "roots")

    def __init__(self, projection: Projection) -> None:
        self.projection = projection
        self.roots: dict[str | None, Node] = {}
        self.org_wide: Node | None = None

    def root(self, project_id: str | None) -> Node:
        if project_id not in self.roots:
            self.roots[project_id] = Node()
            self.org_wide = self.roots.get(None)
        return self.roots[project_id]

    def drop(self, project_id: str | None) -> None:
        del self.roots[project_id]
        self.org_wide = self.roots.get(None)


SETTLED: Final = 32
"""Triggers that are filed anew before a batch: usually some two milliseconds."""


# The last two by what the first decoder skips and the whole entity does not: odd numbers, depth without end.
UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, orjson.JSONDecodeError, RecursionError)


class Index:
    def __init__(self, triggers: Iterable[LiveTrigger] = ()) -> None:
        self.version = 0
        """Grows with every change; each match tells by which version it was made."""
        self._triggers: dict[str, LiveTrigger] = {}
        self._homes: dict[str, dict[Filed, None]] = {}
        self._paths: dict[str, set[Path]] = {}  # that a trigger asks for
        self._resources: dict[str, Resource] = {}
        self._listeners: dict[tuple[str, str], Listeners] = {}  # to resource and action
        self.filed = 0
        """How often triggers were filed, or filed anew: for who wants to know when much of the index is new."""
        self._unsettled: deque[str] = deque()  # triggers to be filed anew
        self.put_all(triggers)

    def __len__(self) -> int:
        return len(self._triggers)

    @property
    def envelopes(self) -> int:
        """Distinct (project, resource, action) that somebody listens to."""
        return sum(len(listeners.roots) for listeners in self._listeners.values())

    @property
    def versions(self) -> Mapping[str, int]:
        return {trigger.id: trigger.version for trigger in self._triggers.values()}

    # -- matching -------------------------------------------------------------------------------------------------

    def match(self, records: Sequence[RecordedEvent]) -> tuple[list[Matches], list[DeadLetter]]:
        """The events that some trigger wants, in their order; and the events whose entity does not read."""
        self._settle()
        listening, version = self._listeners, self.version
        matches: list[Matches] = []
        unreadable: list[DeadLetter] = []
        for recorded in records:
            event = recorded.event
            listeners = listening.get((event.resource, event.action))
            if listeners is None:
                continue
            root, wide = listeners.roots.get(event.project_id), listeners.org_wide
            if root is None:
                if wide is None:
                    continue  # nobody listens: the entity is not even read
                root, wide = wide, None
            entity, projection = event.entity, listeners.projection
            try:
                if not entity.isascii():
                    entity.decode()  # the decoder does not look into texts that nobody asks for
                view = projection.decode(entity) if projection.reads_whole else projection.read(entity)
                found: list[LiveTrigger] = []
                root.collect(view, found)
                if wide is not None:
                    wide.collect(view, found)
            except UNREADABLE as error:
                unreadable.append(_dead_letter(recorded, error))
                continue
            if found:
                if root.several or (wide is not None and wide.several):
                    found = list(dict.fromkeys(found))
                matches.append(Matches(recorded, found, version))
        return matches, unreadable

    def work(self, records: Sequence[RecordedEvent]) -> Work:
        """What `match` does for these events, counted. Raises what does not read."""
        work = Work()
        for recorded in records:
            event = recorded.event
            listeners = self._listeners.get((event.resource, event.action))
            if listeners is not None:
                for project in (event.project_id, None):
                    root = listeners.roots.get(project)
                    if root is not None:
                        root.count(listeners.projection.decode(event.entity), work)
        return work

    def explain(self, trigger_id: str) -> list[Place]:
        """How the trigger is found: a place for each action and alternative. Raises KeyError when it is not there."""
        return [place_of(filed) for filed in self._homes[trigger_id]]

    # -- changes --------------------------------------------------------------------------------------------------

    def put_all(self, triggers: Iterable[LiveTrigger]) -> None:
        """As `put` one by one; but entities are read, and filters filed, in the way that suits them all."""
        once = {trigger.id: trigger for trigger in triggers}.values()
        given = [(trigger, conjunctions(trigger.filter.expression)) for trigger in once]
        wanted: dict[str, set[tuple[Parts, bool]]] = {}
        for trigger, alternatives in given:
            self._forget(trigger.id)
            asked = wanted.setdefault(trigger.resource, set())
            for conjunction in alternatives:
                asked.update(path for literal in conjunction for path in wanted_paths(literal))
        for resource, asked in wanted.items():
            self._resource(resource).projection.expect(asked)
        coming: Counter[Envelope] = Counter()
        for trigger, _ in given:
            coming.update((trigger.project_id, trigger.resource, action) for action in set(trigger.actions))
        for envelope, count in coming.items():
            node = self._root(*envelope)
            node.expected = node.load + count
        given.sort(
            key=lambda each: (each[0].project_id or "", each[0].resource)
        )  # who is asked together, lies together
        for trigger, checked in [(trigger, self._checked(trigger, filter)) for trigger, filter in given]:
            self._put(trigger, checked)
            self.version += 1

    def put(self, trigger: LiveTrigger) -> None:
        """Add it, or put it in the place of the one with its id. The next event meets it."""
        self._forget(trigger.id)
        self._put(trigger, self._checked(trigger, conjunctions(trigger.filter.expression)))
        self.version += 1

    def remove(self, trigger_id: str) -> None:
        """Without effect when it is not there."""
        if trigger_id in self._triggers:
            self._forget(trigger_id)
            self.version += 1

    def _forget(self, trigger_id: str) -> None:
        trigger = self._triggers.get(trigger_id)
        if trigger is None:
            return
        self._take_out(trigger)
        for path in self._paths.pop(trigger_id):
            path.users.discard(trigger_id)
            if not path.users:
                self._resource(trigger.resource).projection.forget(path)

    def _take_out(self, trigger: LiveTrigger) -> None:
        del self._triggers[trigger.id]
        homes = self._homes.pop(trigger.id)
        for filed in list(homes):
            filed.node.remove(filed)
        homes.clear()  # each place knows all of them: a circle that a frozen collector never finds
        for action in trigger.actions:
            listeners = self._listeners.get((trigger.resource, action))
            if listeners is not None and listeners.root(trigger.project_id).load == 0:
                listeners.drop(trigger.project_id)
                if not listeners.roots:
                    del self._listeners[trigger.resource, action]

    def _settle(self) -> None:
        """File anew the triggers that ask for a path which was found to go through lists: some, a batch.

        Until then they are found all the same, only not as fast.
        """
        for resource in self._resources.values():
            learned = set(resource.projection.learned)
            if learned:
                resource.projection.learned.clear()
                for check in resource.checks.looking_at(learned):
                    check.renew()
                self._unsettled.extend(set().union(*(path.users for path in learned)))
        for _ in range(min(SETTLED, len(self._unsettled))):
            trigger = self._triggers.get(self._unsettled.popleft())
            if trigger is not None:
                self._take_out(trigger)
                self._put(trigger, self._checked(trigger, conjunctions(trigger.filter.expression)))

    def _checked(self, trigger: LiveTrigger, alternatives: Sequence[Conjunction]) -> list[tuple[Check, ...]]:
        """The checks of each alternative of its filter; their paths know now who asks for them."""
        checks = self._resource(trigger.resource).checks
        # In one order, so that filters that leave the same to ask are asked together.
        found = [
            tuple(sorted([checks.of(literal) for literal in conjunction], key=_number)) for conjunction in alternatives
        ]
        self._paths[trigger.id] = set().union(*(check.paths() for alternative in found for check in alternative))
        for path in self._paths[trigger.id]:
            path.users.add(trigger.id)
        return found

    def _put(self, trigger: LiveTrigger, checked: list[tuple[Check, ...]]) -> None:
        self._triggers[trigger.id] = trigger
        self.filed += 1
        homes = self._homes[trigger.id] = {}
        projection = self._resource(trigger.resource).projection
        for action in dict.fromkeys(trigger.actions):
            root = self._root(trigger.project_id, trigger.resource, action)
            root.several |= len(checked) > 1
            for checks in checked:
                root.put(Filed(trigger, homes, checks, checks), projection.path)
        projection.make()

    def _resource(self, name: str) -> Resource:
        if name not in self._resources:
            self._resources[name] = Resource()
        return self._resources[name]

    def _root(self, project_id: str | None, resource: str, action: str) -> Node:
        if (resource, action) not in self._listeners:
            self._listeners[resource, action] = Listeners(self._resource(resource).projection)
        return self._listeners[resource, action].root(project_id)


_number = attrgetter("number")


def _dead_letter(recorded: RecordedEvent, error: Exception) -> DeadLetter:
    return DeadLetter(
        source="match",
        position=recorded.event.id,
        path="entity",
        reason=str(error),
        body=recorded.event.entity,
        project_id=recorded.event.project_id,
    )
