"""A node of the index: what is filed under one key, and how to go on from there.

Few filters are asked one by one. When they become more than that, each is filed under a key of its own clauses in a
family, and the node below has only the rest of it to check. So a filter is reached by a handful of looks into hashes,
however many others there are.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Any, Final, TypeAlias

from backbone.model.dql import access
from backbone.model.dql.access import Access, Cost, Key
from backbone.model.dql.comparing import RANGE
from backbone.model.dql.conjunctions import Conjunction
from backbone.model.matches import LiveTrigger
from trigger_engine.match import families
from trigger_engine.match.checks import Check, ViewTest, all_of
from trigger_engine.match.families import OnePath, Signature
from trigger_engine.match.projection import Parts, Path

ASKED: Final = 8
"""Filters that a node asks one by one at most. It splits before when fewer families than three in four filters would
stand for them: a look into a family costs an event somewhat more than a filter does."""

KEYS: Final = 8
"""Of one filter in a Signature, as `$in`s multiply. Beyond, one of the paths gets a family of its own."""

SIGNATURES: Final = 64
"""Of one node. Each is a look into a hash for every event, so filters share them where they can."""

WIDTH: Final = 3
"""Paths of one signature. The fewer, the more filters share it; where that leaves many under a key, the node there has
signatures of what is left."""

FEW: Final = 4
"""Filters under one key that are still cheaper to ask than a hash of their own would be."""

APART: Final = 8
"""Different values that an equality should have in use, to be better than a start, an end, a piece or a range."""

PathOf: TypeAlias = Callable[[Parts], Path]
Family: TypeAlias = Signature | OnePath
Place: TypeAlias = tuple[Family, Any]  # and the key in it
OnePathPlace: TypeAlias = tuple[OnePath, Any]


class Filed:
    """One place of one conjunction of a trigger's filter. `homes`: all places of the trigger."""

    __slots__ = ("checks", "conjunction", "homes", "node", "trigger", "used")

    def __init__(
        self,
        trigger: LiveTrigger,
        homes: list[Filed],
        conjunction: Conjunction,
        checks: tuple[Check, ...],
        used: frozenset[tuple[str, Parts]] = frozenset(),
    ) -> None:
        self.trigger = trigger
        self.homes = homes
        self.conjunction = conjunction
        self.checks = checks  #: what is still to be asked
        self.used = used  #: the kinds of key, by path, that led here
        self.node: Node

    def accesses(self) -> list[Access]:
        """The ways in which it may be filed further down."""
        return [way for way in access.accesses(self.conjunction) if self.used.isdisjoint(map(_use, way.keys))]


class Group:
    """Conjunctions of which the same is left to check: asked once for all of them."""

    __slots__ = ("_families", "checks", "filed", "test", "triggers")

    def __init__(self, checks: tuple[Check, ...]) -> None:
        self.checks = checks
        self.test: ViewTest = all_of(checks)
        self.filed: list[Filed] = []
        self.triggers: list[LiveTrigger] = []  #: of `filed`, as matching wants them
        self._families: frozenset[object] | None = None

    def families(self) -> frozenset[object]:
        """What it would be filed in: the paths of a hash, or the family of its cheapest way; none: it stays."""
        if self._families is None:
            ways = self.filed[0].accesses()
            hashed = frozenset(way.keys[0].parts for way in ways if way.hashable)
            best = min(ways, key=lambda way: way.cost, default=None)
            named = frozenset(key.name for key in best.keys) if best else frozenset()
            self._families = frozenset({hashed}) if hashed else named
        return self._families


@dataclass(slots=True)
class Work:
    """What events cost, counted: filters that were reached, and how many of them had something left to ask."""

    entries: int = 0
    residuals: int = 0


class Node:
    __slots__ = ("asked", "done", "families", "home", "load", "several", "signatures", "tests")

    def __init__(self, home: tuple[Node, Family, Any] | None = None) -> None:
        self.home = home  #: the node above, the family in it and the key there; None for a root
        self.load = 0  #: conjunctions filed here and below
        self.several = False
        """Of a root: triggers below may be found twice, when two alternatives hold or a list has two of their keys."""
        self.done: list[LiveTrigger] = []  #: nothing is left to check of them
        self.asked: list[Group] = []
        self.tests: list[tuple[ViewTest, list[LiveTrigger]]] = []  #: the groups, as matching wants them
        self.signatures: dict[tuple[Path, ...], Signature] | None = None  # None until it was split
        self.families: dict[tuple[str, Parts, bool], OnePath] | None = None

    # -- matching: the hot path ---------------------------------------------------------------------------------

    def collect(self, view: Any, found: list[LiveTrigger]) -> None:
        """Add the trigger of each conjunction here and below that the view passes."""
        found += self.done
        for test, triggers in self.tests:
            if test(view):
                found += triggers
        if self.signatures:
            # Nearly all that nodes have, so the look into the hash is spelled out: a call costs as much again.
            for signature in self.signatures.values():
                try:
                    node = signature.table.get(signature.get(view))
                except (AttributeError, TypeError):  # not shaped so, or a list, which has no hash
                    for node in signature.nodes_of_irregular(view):
                        node.collect(view, found)
                else:
                    if node is not None:
                        node.collect(view, found)
        if self.families:
            for family in self.families.values():
                for node in family.nodes(view):
                    node.collect(view, found)

    def count(self, view: Any, work: Work) -> None:
        """The way of `collect`, counting."""
        work.entries += len(self.done) + len(self.asked)
        work.residuals += len(self.asked)
        for family in self._all_families():
            for node in family.nodes(view):
                node.count(view, work)

    # -- filing ---------------------------------------------------------------------------------------------------

    def put(self, filed: Filed, path_of: PathOf) -> None:
        """File a conjunction that is nowhere yet."""
        group = self._group(filed)
        if not filed.checks:
            self.done.append(filed.trigger)
            self._has(filed)
        elif group is not None:
            self._ask(filed, group)
        elif self.signatures is None:
            self._ask(filed, None)
            if self._is_crowded():
                self._split(path_of)
        else:
            self._file(filed, path_of)

    def _is_crowded(self) -> bool:
        if not 2 < len(self.asked) <= ASKED:
            return len(self.asked) > ASKED
        names = [group.families() for group in self.asked]
        return 4 * len(frozenset().union(*names)) < 3 * sum(map(bool, names))

    def _group(self, filed: Filed) -> Group | None:
        return next((group for group in self.asked if group.checks == filed.checks), None)

    def _ask(self, filed: Filed, group: Group | None) -> None:
        if group is None:
            group = Group(filed.checks)
            self.asked.append(group)
            self.tests.append((group.test, group.triggers))
        group.filed.append(filed)
        group.triggers.append(filed.trigger)
        self._has(filed)

    def _has(self, filed: Filed) -> None:
        filed.node = self
        filed.homes.append(filed)
        self._weigh(1)

    def _root(self) -> Node:
        return self if self.home is None else self.home[0]._root()

    def _weigh(self, more: int) -> None:
        node = self
        node.load += more
        while node.home is not None:
            node = node.home[0]
            node.load += more

    def _split(self, path_of: PathOf) -> None:
        groups, self.asked, self.tests = self.asked, [], []
        self.signatures, self.families = {}, {}
        for group in groups:
            self._weigh(-len(group.filed))
            for filed in group.filed:
                filed.homes.remove(filed)
                self._file(filed, path_of)

    def _file(self, filed: Filed, path_of: PathOf) -> None:
        ways = filed.accesses()
        used, places = self._in_a_signature(ways, path_of) or self._in_a_family(ways, path_of)
        if not used:
            self._ask(filed, self._group(filed))
            return
        passed = {id(literal) for way in used if way.exact for literal in way.literals}
        checks = tuple([check for check in filed.checks if id(check.literal) not in passed])
        uses = filed.used.union(_use(key) for way in used for key in way.keys)
        if len(places) > 1:
            self._root().several = True
        for family, key in places:
            self._keep(family)
            node = family.child(key, partial(Node, (self, family, key)))
            node.put(Filed(filed.trigger, filed.homes, filed.conjunction, checks, uses), path_of)

    def _in_a_signature(self, ways: list[Access], path_of: PathOf) -> tuple[list[Access], Sequence[Place]] | None:
        """Equalities that a hash can hold at once: no more of them than leave few filters under one key."""
        equalities = {path_of(way.keys[0].parts): way for way in ways if way.hashable and len(way.keys) <= KEYS}
        chosen = {path: way for path, way in equalities.items() if not path.many}
        otherwise = any(way.cost in (Cost.AFFIX, Cost.PIECE, Cost.RANGE) for way in ways)
        if not chosen or (otherwise and _tell_little_apart(chosen)):
            return None
        signature = self._shared_signature(chosen) or self._new_signature(chosen)
        if signature is None:
            return None
        return [chosen[path] for path in signature.paths], [(signature, key) for key in _keys(signature, chosen)]

    def _shared_signature(self, chosen: dict[Path, Access]) -> Signature | None:
        """One that is there, of some of the paths, and has few others under the same keys; or no more may be made."""
        assert self.signatures is not None
        fitting = [one for paths, one in self.signatures.items() if chosen.keys() >= set(paths)]
        loads = [max(one.load(key) for key in _keys(one, chosen)) for one in fitting]
        usable = [(load, -len(one.paths), at) for at, (one, load) in enumerate(zip(fitting, loads, strict=True))]
        lowest = min(usable, default=None)
        if lowest is not None and (lowest[0] < FEW or len(self.signatures) >= SIGNATURES):
            return fitting[lowest[2]]
        return None

    def _new_signature(self, chosen: dict[Path, Access]) -> Signature | None:
        """Of the paths that tell most apart, as many as it takes."""
        assert self.signatures is not None
        if len(self.signatures) >= SIGNATURES:
            return None
        paths: list[Path] = []
        left, keys = float(max(self.load, *(len(path.users) for path in chosen))), 1
        for path in sorted(chosen, key=lambda path: (-path.literals, path.parts)):
            if keys * len(chosen[path].keys) <= KEYS and len(paths) < WIDTH and (not paths or left >= FEW):
                paths.append(path)
                keys *= len(chosen[path].keys)
                left /= max(1, path.literals)
        ordered = tuple(sorted(paths, key=lambda path: path.parts))
        return self.signatures.get(ordered) or Signature(ordered)

    def _in_a_family(self, ways: list[Access], path_of: PathOf) -> tuple[list[Access], Sequence[Place]]:
        """The cheapest way, and of equal ones that with the fewest others under its key."""
        assert self.families is not None
        chosen: list[Access] = []
        places: list[OnePathPlace] = []
        lowest: tuple[int, ...] = ()
        new: dict[families.Name, OnePath] = {}
        for way in ways:
            there: list[OnePathPlace] = []
            for key in way.keys:
                family = self.families.get(key.name) or new.get(key.name)
                if family is None:
                    family = new[key.name] = families.OF[key.family](key.name, path_of(key.parts))
                there += [(family, at) for at in family.keys_of(key.value)]
            load = max(family.load(key) for family, key in there)
            weak = way.cost is Cost.EQUALITY and way.hashable and not path_of(way.keys[0].parts).many
            rank = (Cost.NEGATION if weak else way.cost, way.keys[0].family in RANGE, load, -_length(way.keys[0]))
            if not chosen or rank <= lowest:  # of pieces the last, as names and numbers begin alike
                lowest, chosen, places = rank, [way], there
        return chosen, places

    def _keep(self, family: Family) -> None:
        """In the table from its first use on; the ways that were not chosen leave nothing behind."""
        assert self.signatures is not None
        assert self.families is not None
        if isinstance(family, Signature):
            self.signatures[family.paths] = family
        else:
            self.families[family.name] = family

    # -- taking away --------------------------------------------------------------------------------------------

    def remove(self, filed: Filed) -> None:
        if filed.checks:
            group = next(group for group in self.asked if group.checks == filed.checks)
            group.filed.remove(filed)
            group.triggers.remove(filed.trigger)
            if not group.filed:
                self.asked.remove(group)
                self.tests = [(group.test, group.triggers) for group in self.asked]
        else:
            self.done.remove(filed.trigger)
        self._weigh(-1)
        self._drop_if_empty()

    def _drop_if_empty(self) -> None:
        if self.load == 0 and self.home is not None:
            above, family, key = self.home
            family.drop(key)
            if not family:
                above.forget(family)
            above._drop_if_empty()

    def forget(self, family: Family) -> None:
        assert self.signatures is not None
        assert self.families is not None
        if isinstance(family, Signature):
            del self.signatures[family.paths]
        else:
            del self.families[family.name]

    def _all_families(self) -> Iterator[Family]:
        yield from (self.signatures or {}).values()
        yield from (self.families or {}).values()


def _tell_little_apart(paths: Collection[Path]) -> bool:
    """Many ask for them, and all for the same few values."""
    apart = math.prod(max(1, path.literals) for path in paths)
    return apart < APART and min(len(path.users) for path in paths) > FEW * apart


def _keys(signature: Signature, chosen: dict[Path, Access]) -> Sequence[Any]:
    values = [[key.value for key in chosen[path].keys] for path in signature.paths]
    return values[0] if len(values) == 1 else list(product(*values))


def _use(key: Key) -> tuple[str, Parts]:
    """Bounds of one path are one use of it: a second would find the same again."""
    return ("range" if key.family in RANGE or key.family == "between" else key.family, key.parts)


def _length(key: Key) -> int:
    return len(key.value) if isinstance(key.value, str) else 0
