"""The ways in which a node finds what is filed under it by the value at one path, instead of asking each filter.

A family knows for each value the child nodes to go on in. What `nodes` returns may hold too much, as the children check
it; it never misses one. A value is a text, a number, true, false, null or MISSING; where a path has several (lists),
the nodes are those of any of them. Equality and texts are here, ranges in `ranges.py`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

from backbone.model.dql import assumptions, dates
from backbone.model.dql.access import around
from trigger_engine.match.looks import cut_of
from trigger_engine.match.projection import Name, Path
from trigger_engine.match.table import Make, Nodes, Table

if TYPE_CHECKING:
    from trigger_engine.match.node import Node


FEW: Final = 4
"""Filters under one key that are still cheaper to ask than a hash of their own would be."""

_FEW_PIECES: Final = 48  # to look for each of these in a text takes less than to cut it up
_CONTAINERS: Final = frozenset({list, dict})


class OnePath(ABC):
    """What the families of one path share: values of any shape, and upper and lower case as one.

    Its keys are what `keys_of` makes of the value of a `dql.access.Key`; `child` finds or makes the node of one.
    """

    __slots__ = ("_get", "folded", "looked", "name", "path")

    def __init__(self, name: Name, path: Path) -> None:
        self.looked: tuple[int, ...] = ()  #: those of `lengths` that are among the node's looks
        self.name = path.names.setdefault(name, name)
        self.folded = name[2]
        self.path = path
        self._get = path.get

    def keys_of(self, value: Any) -> Sequence[Any]:
        return (value,)

    def load(self, key: Any) -> int:
        node = self.find(key)
        return 0 if node is None else node.load

    @property
    def lengths(self) -> tuple[int, ...]:
        """Of texts that the node is to look up for it, as it does for starts and ends."""
        return ()

    @property
    def is_stale(self) -> bool:
        return self.looked != self.lengths

    @property
    def way(self) -> Name | None:
        """Of those looks."""
        return self.name if self.looked else None

    @abstractmethod
    def find(self, key: Any) -> Node | None: ...

    @abstractmethod
    def child(self, key: Any, make: Make) -> Node: ...

    @abstractmethod
    def drop(self, key: Any) -> None: ...

    @abstractmethod
    def __bool__(self) -> bool: ...

    def nodes(self, view: Any) -> Nodes:
        if not self.path.many:
            try:
                value = self._get(view)
            except AttributeError:
                pass
            else:
                if type(value) is not list:
                    return self.of_value(value)
            self.path.learn(view)
        return self.of_many(*self.path.candidates(view))

    def of_many(self, values: list[Any], kinds: set[type]) -> Nodes:
        return once(node for value in values for node in self.of_value(value))

    @abstractmethod
    def of_value(self, value: Any) -> Nodes: ...


class Equal(OnePath):
    """`is`: a scalar, and a number by the date that is its instant in epoch milliseconds."""

    __slots__ = ("numbers", "table")

    def __init__(self, name: Name, path: Path) -> None:
        super().__init__(name, path)
        self.table: dict[Any, Node] = {}
        self.numbers = False  #: some key is one

    def keys_of(self, value: Any) -> Sequence[Any]:
        return tuple(value)

    def nodes(self, view: Any) -> Nodes:
        try:
            value = self._get(view)
        except AttributeError:
            return super().nodes(view)
        if type(value) is str:
            if self.numbers:
                return super().nodes(view)
            if self.folded:
                value = assumptions.folded(value)
        elif not is_scalar(value):
            return super().nodes(view)
        node = self.table.get(value)
        return () if node is None else (node,)

    def of_value(self, value: Any) -> Nodes:
        if type(value) is str:
            if self.folded:
                value = assumptions.folded(value)
            elif self.numbers and (moment := dates.instant(value)) is not None:
                return once(self.table[key] for key in (value, *around(moment / 1_000_000)) if key in self.table)
        elif not is_scalar(value):
            return ()
        node = self.table.get(value)
        return () if node is None else (node,)

    def of_many(self, values: list[Any], kinds: set[type]) -> Nodes:
        texts_as_they_are = str not in kinds or not (self.numbers or self.folded)
        if texts_as_they_are and kinds.isdisjoint(_CONTAINERS) and self.table.keys().isdisjoint(values):
            return ()
        return super().of_many(values, kinds)

    def find(self, key: Any) -> Node | None:
        return self.table.get(key)

    def child(self, key: Any, make: Make) -> Node:
        self.numbers = self.numbers or type(key) is int or type(key) is float
        return child_of(self.table, key, make)

    def drop(self, key: Any) -> None:
        del self.table[key]

    def __bool__(self) -> bool:
        return bool(self.table)


class Affix(OnePath):
    """`starts`, `ends`: one look into the node's table for each length of start, or end, that somebody asks for."""

    __slots__ = ("_lengths", "_table")

    def __init__(self, name: Name, path: Path, table: Table) -> None:
        super().__init__(name, path)
        self._table = table
        self._lengths: Counter[int] = Counter()  # of the keys

    @property
    def lengths(self) -> tuple[int, ...]:
        """None while lists are met on the path."""
        return () if self.path.many else tuple(self._lengths)

    def of_value(self, value: Any) -> Nodes:
        if type(value) is not str:
            return ()
        if self.folded:
            value = assumptions.folded(value)
        lengths = [length for length in self._lengths if length <= len(value)]
        found = [self._table.find(self.name, value[cut_of(self.name, length)]) for length in lengths]
        return [node for node in found if node is not None]

    def find(self, key: str) -> Node | None:
        return self._table.find(self.name, key)

    def child(self, key: str, make: Make) -> Node:
        node, is_new = self._table.child(self.name, key, make)
        self._lengths[len(key)] += is_new
        return node

    def drop(self, key: str) -> None:
        self._table.drop(self.name, key)
        self._lengths[len(key)] -= 1
        self._lengths += Counter()  # forgets what there is none of

    def __bool__(self) -> bool:
        return bool(self._lengths)


class Piece(OnePath):
    """`holds`: every second stretch of a text, as long as those of the pieces, looked for in a hash."""

    __slots__ = ("tables",)

    def __init__(self, name: Name, path: Path) -> None:
        super().__init__(name, path)
        self.tables: dict[int, dict[str, Node]] = {}  #: by length

    def of_value(self, value: Any) -> Nodes:
        if type(value) is not str:
            return ()
        text = assumptions.folded(value) if self.folded else value
        found: list[Node] = []
        for length, table in self.tables.items():
            if len(table) < _FEW_PIECES:
                found += [node for piece, node in table.items() if piece in text]
            else:
                found += [table[piece] for piece in table.keys() & self.path.stretches(text, length)]
        return found

    def keys_of(self, value: Any) -> Sequence[Any]:
        # Names and numbers begin alike, so the last one that few others have taken: an unused one is the most common.
        return [min(reversed(value), key=lambda stretch: max(FEW, self.load(stretch)))]

    def find(self, key: str) -> Node | None:
        return self.tables.get(len(key), {}).get(key)

    def child(self, key: str, make: Make) -> Node:
        return child_of(self.tables.setdefault(len(key), {}), key, make)

    def drop(self, key: str) -> None:
        del self.tables[len(key)][key]
        if not self.tables[len(key)]:
            del self.tables[len(key)]

    def __bool__(self) -> bool:
        return bool(self.tables)


def is_scalar(value: Any) -> bool:
    return type(value) is not list and type(value) is not dict


def child_of(table: dict[Any, Node], key: Any, make: Make) -> Node:
    found = table.get(key)
    if found is None:
        found = table[key] = make()
    return found


def once(nodes: Iterable[Node]) -> list[Node]:
    return list(dict.fromkeys(nodes))
