"""Families of ranges: numbers by their size, dates by their instant, with one end or with two."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from backbone.model.dql import dates
from backbone.model.dql.comparing import RANGE, test_of
from backbone.model.dql.expression import Comparison, Operand
from backbone.model.dql.paths import Test
from trigger_engine.match.families import OnePath, once
from trigger_engine.match.projection import Name, Path
from trigger_engine.match.table import Make, Nodes

if TYPE_CHECKING:
    from trigger_engine.match.node import Node

NUMBERS: Final = frozenset({int, float})
_WIDEST: Final = 1_023  # as a power of two: what a double holds
_FAR: Final = 2**1_100

_Order: TypeAlias = Callable[[Any, Any], bool]
_Entry: TypeAlias = "tuple[_Order, Any, _Order, Any, Node]"


class Bounds(OnePath):
    """`$gt`, `$gte`, `$lt`, `$lte`: bounds in order, so that those which a value keeps are one slice."""

    __slots__ = ("_above", "_cut", "_order", "moments", "numbers")

    def __init__(self, name: Name, path: Path) -> None:
        super().__init__(name, path)
        operator = name[0]
        self._order = RANGE[operator]
        self._above = operator in ("$gt", "$gte")
        # Equal bounds stand right of a value that does not keep them.
        self._cut = bisect_right if operator in ("$gte", "$lt") else bisect_left
        self.numbers = _Ordered()
        self.moments = _Ordered()

    def of_value(self, value: Any) -> Nodes:
        if type(value) is int or type(value) is float:
            found = self._kept(self.numbers, value)
            return found + self._kept(self.moments, dates.instant_of_epoch(value)) if self.moments.nodes else found
        if type(value) is not str:
            return ()
        moment = dates.instant(value)
        if moment is None:  # a date and another text compare by their characters
            bounds = zip(self.moments.texts, self.moments.nodes, strict=True)
            return [node for bound, node in bounds if self._order(value, bound)]
        return self._of_moment(moment)

    def of_many(self, values: list[Any], kinds: set[type]) -> Nodes:
        # Of numbers, and of dates, the one that goes furthest keeps what any of them keeps.
        furthest = max if self._above else min
        numbers = values if kinds <= NUMBERS else [value for value in values if type(value) in NUMBERS]
        found = [*self.of_value(furthest(numbers))] if numbers else []
        if str in kinds:
            dated = {text: dates.instant(text) for text in values if type(text) is str}
            moments = [moment for moment in dated.values() if moment is not None]
            found += self._of_moment(furthest(moments)) if moments else ()
            for text, moment in dated.items():
                found += self.of_value(text) if moment is None else ()
        return once(found)

    def _of_moment(self, moment: int) -> list[Node]:
        return self._kept(self.moments, moment) + self._kept(self.numbers, moment, dates.instant_of_epoch)

    def _kept(self, bounds: _Ordered, value: Any, scale: Callable[[Any], Any] | None = None) -> list[Node]:
        cut = self._cut(bounds.values, value, key=scale)
        return bounds.nodes[:cut] if self._above else bounds.nodes[cut:]

    def find(self, key: Operand) -> Node | None:
        return self._bounds(key).find(key)

    def child(self, key: Operand, make: Make) -> Node:
        return self._bounds(key).child(key, make)

    def drop(self, key: Operand) -> None:
        self._bounds(key).drop(key)

    def _bounds(self, key: Operand) -> _Ordered:
        return self.moments if isinstance(key, str) else self.numbers

    def __bool__(self) -> bool:
        return bool(self.numbers.nodes or self.moments.nodes)


class _Ordered:
    """Bounds in ascending order, each with its node. Dates go by their instant, and of one instant by their text."""

    __slots__ = ("nodes", "texts", "values")

    def __init__(self) -> None:
        self.values: list[Any] = []
        self.texts: list[Any] = []
        self.nodes: list[Node] = []

    def _place(self, key: Any) -> tuple[int, Any, bool]:
        value = dates.instant(key) if isinstance(key, str) else key
        first, last = bisect_left(self.values, value), bisect_right(self.values, value)
        at = bisect_left(self.texts, key, first, last)
        return at, value, at < last and self.texts[at] == key

    def find(self, key: Any) -> Node | None:
        at, _, there = self._place(key)
        return self.nodes[at] if there else None

    def child(self, key: Any, make: Make) -> Node:
        at, value, there = self._place(key)
        if not there:
            self.values.insert(at, value)
            self.texts.insert(at, key)
            self.nodes.insert(at, make())
        return self.nodes[at]

    def drop(self, key: Any) -> None:
        at, _, _ = self._place(key)
        del self.values[at], self.texts[at], self.nodes[at]


Range: TypeAlias = tuple[tuple[str, Any], tuple[str, Any]]  # two operators, each with its bound


class Between(OnePath):
    """`between`: the ranges around a value, by the cell of a grid that is about as wide as they are."""

    __slots__ = ("moments", "numbers")

    def __init__(self, name: Name, path: Path) -> None:
        super().__init__(name, path)
        self.numbers = _Grids()
        self.moments = _Grids()

    def of_value(self, value: Any) -> Nodes:
        if type(value) is int or type(value) is float:
            found = self.numbers.around(value)
            return found + self.moments.around(dates.instant_of_epoch(value)) if self.moments.nodes else found
        if type(value) is not str:
            return ()
        moment = dates.instant(value)
        if moment is None:  # a date and another text compare by their characters
            return self.moments.kept_by([value])
        return self.moments.around(moment) + self.numbers.kept_by([value])

    def of_many(self, values: list[Any], kinds: set[type]) -> Nodes:
        # One value may keep the one bound and another the other. Its triggers will be filed anew, elsewhere.
        return self.numbers.kept_by(values) + self.moments.kept_by(values)

    def find(self, key: Range) -> Node | None:
        return self._grids(key).nodes.get(key)

    def child(self, key: Range, make: Make) -> Node:
        grids = self._grids(key)
        if key not in grids.nodes:
            grids.add(key, make())
        return grids.nodes[key]

    def drop(self, key: Range) -> None:
        self._grids(key).drop(key)

    def _grids(self, key: Range) -> _Grids:
        (_, low), _ = key
        return self.moments if isinstance(low, str) else self.numbers

    def __bool__(self) -> bool:
        return bool(self.numbers.nodes or self.moments.nodes)


class _Grids:
    """Ranges, each in the cells that it touches, two or three of a grid whose cells are nearly as wide as it is."""

    __slots__ = ("_tests", "cells", "nodes")

    def __init__(self) -> None:
        self.nodes: dict[Range, Node] = {}
        self._tests: dict[Range, list[Test]] = {}  # of both bounds; for what is no usual value
        self.cells: dict[float, dict[int, list[_Entry]]] = {}  #: by their width

    def around(self, value: float) -> list[Node]:
        found: list[Node] = []
        for width, cells in self.cells.items():
            for after, low, before, high, node in cells.get(_cell(value, width), ()):
                if after(value, low) and before(value, high):
                    found.append(node)
        return found

    def kept_by(self, values: list[Any]) -> list[Node]:
        """Each range is asked: what is seldom met."""
        for key in self.nodes.keys() - self._tests.keys():
            self._tests[key] = [test_of(Comparison((), operator, bound))[0] for operator, bound in key]
        return [node for key, node in self.nodes.items() if all(any(map(test, values)) for test in self._tests[key])]

    def add(self, key: Range, node: Node) -> None:
        (after, low), (before, high) = [(RANGE[operator], _on_a_scale(bound)) for operator, bound in key]
        self.nodes[key] = node
        for cells, cell in self._cells_of(low, high):
            cells.setdefault(cell, []).append((after, low, before, high, node))

    def drop(self, key: Range) -> None:
        gone = self.nodes.pop(key)
        self._tests.pop(key, None)
        low, high = [_on_a_scale(bound) for _, bound in key]
        for cells, cell in self._cells_of(low, high):
            cells[cell] = [entry for entry in cells[cell] if entry[-1] is not gone]
            if not cells[cell]:
                del cells[cell]
        self.cells = {width: cells for width, cells in self.cells.items() if cells}

    def _cells_of(self, low: Any, high: Any) -> list[tuple[dict[int, list[_Entry]], int]]:
        """A power of two is the width of the grid, from half of the range to all of it."""
        wide = float(high) - float(low)
        power = math.frexp(wide)[1] - 1 if math.isfinite(wide) else _WIDEST
        width = 2.0 ** min(max(power, -_WIDEST), _WIDEST)
        cells = self.cells.setdefault(width, {})
        return [(cells, cell) for cell in range(_cell(low, width), _cell(high, width) + 1)]


def _on_a_scale(bound: Any) -> Any:
    return dates.instant(bound) if isinstance(bound, str) else bound


def _cell(value: float, width: float) -> int:
    try:
        return math.floor(value / width)
    except OverflowError:  # an integer that is no double, or infinite: on the far side of every range
        return _FAR if value > 0 else -_FAR
