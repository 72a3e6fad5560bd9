"""What a node holds: the conjunctions of triggers' filters, and those together of which the same is left to ask."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, TypeVar

from backbone.model.dql import access
from backbone.model.dql.access import Access, Key
from backbone.model.dql.comparing import RANGE
from backbone.model.dql.limits import LIST_MEMBERS
from backbone.model.matches import LiveTrigger
from trigger_engine.match.checks import Check, all_of
from trigger_engine.match.projection import Parts

if TYPE_CHECKING:
    from trigger_engine.match.node import Node


COPIES: Final = 64
"""Places of one conjunction below the first key: `$in`s multiply from node to node. Beyond, the rest is asked."""

DEEP: Final = 40
"""Keys that lead to one place; what has more clauses than that is asked for the others."""


class Filed:
    """One place of one conjunction of a trigger's filter. `homes`: all places of the trigger."""

    __slots__ = ("_ways", "checks", "conjunction", "copies", "homes", "node", "trigger", "used")

    def __init__(
        self,
        trigger: LiveTrigger,
        homes: dict[Filed, None],
        conjunction: tuple[Check, ...],
        checks: tuple[Check, ...],
        used: frozenset[tuple[str, Parts]] = frozenset(),
    ) -> None:
        self.trigger = trigger
        self.homes = homes
        self.conjunction = conjunction
        self.checks = checks  #: what is still to be asked
        self.used = used  #: the kinds of key, by path, that led here
        self.copies = 1  #: as many places the keys that led here made
        self.node: Node
        self._ways: list[Access] | None = None  # of the conjunction, known while it is being filed

    def below(self, checks: tuple[Check, ...], used: frozenset[tuple[str, Parts]], copies: int) -> Filed:
        """The same under one of `copies` keys."""
        filed = Filed(self.trigger, self.homes, self.conjunction, checks, self.used | used)
        filed.copies = self.copies * copies
        filed._ways = self._ways
        return filed

    def settle(self, node: Node) -> None:
        self.node = node
        self.homes[self] = None
        self._ways = None

    def room(self) -> int:
        """Keys that it may be filed under at the next step."""
        return LIST_MEMBERS if self.copies == 1 else COPIES // self.copies

    def accesses(self) -> list[Access]:
        """The ways in which it may be filed further down."""
        if len(self.used) > DEEP:
            return []
        if self._ways is None:
            bounds = access.of_both_bounds(tuple([check.literal for check in self.conjunction]))
            self._ways = [way for check in self.conjunction for way in check.ways()] + list(bounds)
        used, room = self.used, self.room()
        return [way for way in self._ways if way.places <= room and used.isdisjoint(map(use_of, way.keys))]


class Group:
    """Conjunctions of which the same is left to check: asked once for all of them."""

    __slots__ = ("_families", "asked", "checks", "filed", "triggers")

    def __init__(self, checks: tuple[Check, ...]) -> None:
        self.checks = checks
        self.asked = all_of([check.asked for check in checks])
        self.filed: Sequence[Filed] = ()
        self.triggers: Sequence[LiveTrigger] = ()  #: of `filed`, as matching wants them
        self._families: frozenset[object] | None = None

    def add(self, filed: Filed) -> None:
        self.filed = longer(self.filed, filed)
        self.triggers = longer(self.triggers, filed.trigger)

    def remove(self, filed: Filed) -> None:
        self.filed = shorter(self.filed, filed)
        self.triggers = shorter(self.triggers, filed.trigger)

    def families(self) -> frozenset[object]:
        """What it would be filed in: the paths of a hash, or the family of its cheapest way; none: it stays."""
        if self._families is None:
            ways = self.filed[0].accesses()
            hashed = frozenset(way.keys[0].parts for way in ways if way.hashable)
            best = min(ways, key=lambda way: (way.cost, way.keys[0].family in RANGE), default=None)
            named = frozenset(key.name for key in best.keys) if best else frozenset()
            self._families = frozenset({hashed}) if hashed else named
        return self._families


def use_of(key: Key) -> tuple[str, Parts]:
    """Bounds of one path are one use of it: a second would find the same again."""
    return ("range" if key.family in RANGE or key.family == "between" else key.family, key.parts)


One = TypeVar("One")
SHORT: Final = 16


def longer(items: Sequence[One], item: One) -> Sequence[One]:
    """With one more: a tuple while it is short, the same list again when it is not."""
    if isinstance(items, list):
        items.append(item)
        return items
    return (*items, item) if len(items) < SHORT else [*items, item]


def shorter(items: Sequence[One], item: One) -> Sequence[One]:
    """Without it. One that stands there twice may go at once: what is taken out goes from all of its places."""
    if isinstance(items, list):
        if item in items:
            items.remove(item)
        return items
    return tuple([each for each in items if each is not item])
