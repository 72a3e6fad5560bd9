"""A node of the index: what is filed under one key, and how to go on from there.

Few filters are asked one by one. When they become more than that, each is filed under a key of its own clauses in a
family, and the node below has only the rest of it to check. So a filter is reached by a handful of looks into hashes,
however many others there are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeAlias

from backbone.model.dql import assumptions
from backbone.model.matches import LiveTrigger
from trigger_engine.match.checks import ViewTest
from trigger_engine.match.choosing import Family, PathOf, places_for
from trigger_engine.match.families import OnePath
from trigger_engine.match.filed import Filed, Group, longer, shorter, use_of
from trigger_engine.match.looks import Looks, looks_of
from trigger_engine.match.projection import Name, Path
from trigger_engine.match.signatures import Signature
from trigger_engine.match.table import Table

ASKED: Final = 8
"""Filters that a node asks one by one at most. It splits before when fewer families than three in four filters would
stand for them: a look into a family costs an event somewhat more than a filter does."""


_Test: TypeAlias = tuple[ViewTest, Any, Sequence[LiveTrigger]]


@dataclass(slots=True)
class Work:
    """What events cost, counted: filters that were reached, and how many of them had something left to ask."""

    entries: int = 0
    residuals: int = 0


class Node:
    __slots__ = (
        *("asked", "beside", "done", "expected", "families", "home", "load", "looks", "others", "several"),
        *("signatures", "table", "tests", "way"),
    )

    def __init__(self, home: tuple[Node, Family, Any] | None = None) -> None:
        self.home = home  #: the node above, the family in it and the key there; None for a root
        self.load = 0  #: conjunctions filed here and below
        self.expected = 0  #: of a root: as many as will be filed at once
        self.several = False
        """Of a root: triggers below may be found twice, when two alternatives hold or a list has two of their keys."""
        # Tuples as long as they are short: a list is in two places of memory, and among a hundred thousand triggers
        # nearly every place is out of the processor's reach.
        self.done: Sequence[LiveTrigger] = ()  #: nothing is left to check of them
        self.asked: Sequence[Group] = ()
        self.tests: Sequence[_Test] = ()  #: the groups, as matching wants them
        self.looks: Looks | None = None  #: None until it is split, as nearly all nodes never are
        self.table: Table = _NO_TABLE
        self.others: Sequence[OnePath] = ()  #: the families that are not among the looks
        self.signatures: dict[tuple[Path, ...], Signature] = _NO_SIGNATURES
        self.families: dict[Name, OnePath] = _NO_FAMILIES
        self.way: object = None  #: of the table above that leads here, if one does
        self.beside: Node | None = None  #: under the same key in that table, by another way

    # -- matching: the hot path ---------------------------------------------------------------------------------

    def collect(self, view: Any, found: list[LiveTrigger]) -> None:
        """Add the trigger of each conjunction here and below that the view passes."""
        found += self.done
        for test, operand, triggers in self.tests:
            if test(view, operand):
                found += triggers
        if self.looks is None:
            return
        if self.table:
            self._collect_by_key(self.looks, self.table, view, found)
        for family in self.others:
            for node in family.nodes(view):
                node.collect(view, found)

    def _collect_by_key(self, looks: Looks, table: Table, view: Any, found: list[LiveTrigger]) -> None:
        # `Table.find` is spelled out here, because a call would cost as much again.
        try:
            values = looks.values_of(view)
        except AttributeError:  # not shaped so: each looks at what it can
            self._collect_irregular(None, view, found)
            return
        for key_of, way in looks.keys:
            try:
                node = table.get(key_of(values))
            except (AttributeError, TypeError):  # as before, or a list, which has no hash
                self._collect_irregular(way, view, found)
                continue
            while node is not None:
                if node.way is way:
                    node.collect(view, found)
                    break
                node = node.beside
        for text_of, is_folded, name, cuts in looks.cuts:
            try:
                text = text_of(values)
            except AttributeError:
                self._collect_irregular(name, view, found)
                continue
            if type(text) is str:
                if is_folded:
                    text = assumptions.folded(text)
                letters = len(text)
                for length, cut in cuts:
                    if length > letters:
                        break
                    node = table.get(text[cut])
                    while node is not None:
                        if node.way is name:
                            node.collect(view, found)
                            break
                        node = node.beside
            elif type(text) is list:
                self._collect_irregular(name, view, found)

    def _collect_irregular(self, way: object, view: Any, found: list[LiveTrigger]) -> None:
        """By one way into the table, or, when none is given, by all of them."""
        for family in self._all_families():
            if family.way is way or (way is None and family.way is not None):
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
            self.done = longer(self.done, filed.trigger)
            self._has(filed)
        elif group is not None:
            self._ask(filed, group)
        elif self.looks is None:
            self._ask(filed, None)
            if self._is_crowded():
                self._split(path_of)
        else:
            self._file(filed, path_of)

    def _is_crowded(self) -> bool:
        if not 3 < len(self.asked) <= ASKED:
            return len(self.asked) > ASKED
        names = [group.families() for group in self.asked]
        return 4 * len(frozenset().union(*names)) < 3 * sum(map(bool, names))

    def _group(self, filed: Filed) -> Group | None:
        return next((group for group in self.asked if group.checks == filed.checks), None)

    def _ask(self, filed: Filed, group: Group | None) -> None:
        if group is None:
            group = Group(filed.checks)
            self.asked = longer(self.asked, group)
        group.add(filed)
        self.tests = self._tests()
        self._has(filed)

    def _tests(self) -> Sequence[_Test]:
        return tuple([(*group.asked, group.triggers) for group in self.asked])

    def _has(self, filed: Filed) -> None:
        filed.settle(self)
        self._weigh(1)

    def _root(self) -> Node:
        return self if self.home is None else self.home[0]._root()

    def _weigh(self, more: int) -> None:
        node: Node = self
        node.load += more
        while node.home is not None:
            node = node.home[0]
            node.load += more

    def _split(self, path_of: PathOf) -> None:
        groups, self.asked, self.tests = self.asked, (), ()
        self.table, self.signatures, self.families = Table(), {}, {}
        self._look_anew()
        for group in groups:
            self._weigh(-len(group.filed))
            for filed in group.filed:
                del filed.homes[filed]
                self._file(filed, path_of)

    def _file(self, filed: Filed, path_of: PathOf) -> None:
        used, places = places_for(self, filed.accesses(), filed.room(), path_of)
        if not used:
            self._ask(filed, self._group(filed))
            return
        passed = {id(literal) for way in used if way.exact for literal in way.literals}
        checks = tuple([check for check in filed.checks if id(check.literal) not in passed])
        uses = frozenset(use_of(key) for way in used for key in way.keys)
        if len(places) > 1:
            self._root().several = True
        for family, key in places:
            node = family.child(key, partial(Node, (self, family, key)))
            self._keep(family)
            node.put(filed.below(checks, uses, len(places)), path_of)

    def _keep(self, family: Family) -> None:
        """From its first use on; the ways that were not chosen leave nothing behind."""
        if isinstance(family, Signature):
            is_new = family.paths not in self.signatures
            self.signatures[family.paths] = family
        else:
            is_new = family.name not in self.families
            self.families[family.name] = family
        if is_new or family.is_stale:
            self._look_anew()

    def _look_anew(self) -> None:
        """After the ways to look changed."""
        families = self.families.values()
        for family in families:
            family.looked = family.lengths
        cuts = [(family.path, family.name, family.looked) for family in families if family.looked]
        self.looks = looks_of(tuple(self.signatures), cuts)
        self.others = tuple([family for family in families if not family.looked])

    # -- taking away --------------------------------------------------------------------------------------------

    def remove(self, filed: Filed) -> None:
        if filed.checks:
            group = next(group for group in self.asked if group.checks == filed.checks)
            group.remove(filed)
            if not group.filed:
                self.asked = shorter(self.asked, group)
            self.tests = self._tests()
        else:
            self.done = shorter(self.done, filed.trigger)
        self._weigh(-1)
        self._drop_if_empty()

    def _drop_if_empty(self) -> None:
        if self.load == 0 and self.home is not None:
            above, family, key = self.home
            family.drop(key)
            above.forget_if_unused(family)
            above._drop_if_empty()

    def forget_if_unused(self, family: Family) -> None:
        if not family:
            if isinstance(family, Signature):
                del self.signatures[family.paths]
            else:
                del self.families[family.name]
        if not family or family.is_stale:
            self._look_anew()

    def _all_families(self) -> Iterator[Family]:
        yield from self.signatures.values()
        yield from self.families.values()


_NO_TABLE: Final = Table()
_NO_SIGNATURES: Final[dict[tuple[Path, ...], Signature]] = {}
_NO_FAMILIES: Final[dict[Name, OnePath]] = {}
