"""Equality of several paths by one look into a hash."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable
from itertools import product
from typing import TYPE_CHECKING, Any

from trigger_engine.match.families import is_scalar, once
from trigger_engine.match.projection import Path
from trigger_engine.match.table import Make, Nodes, Table

if TYPE_CHECKING:
    from trigger_engine.match.node import Node


class Signature:
    """Paths by which a node finds others. The key is the tuple of their values, or the only value."""

    __slots__ = ("_keys", "_table", "paths", "way")

    is_stale = False

    def __init__(self, paths: tuple[Path, ...], table: Table) -> None:
        self.paths = paths
        self.way = paths[0].projection.getter_of(paths)
        self._table = table
        self._keys = 0  # in the table

    def nodes(self, view: Any) -> Nodes:
        try:
            node = self._table.find(self.way, self.way(view))
        except (AttributeError, TypeError):
            return self.nodes_of_irregular(view)
        return () if node is None else (node,)

    def nodes_of_irregular(self, view: Any) -> Nodes:
        """A list, or something else than an object, stands on a path; any of the values there may be the one."""
        for path in self.paths:
            path.learn(view)
        values = [dict.fromkeys(filter(is_scalar, path.candidates(view)[0])) for path in self.paths]
        keys: Iterable[Any]
        if len(values) == 1:
            keys = values[0]
        elif math.prod(map(len, values)) <= self._keys:
            keys = product(*values)
        else:
            keys = [key for key in self._table.keys_of(self.way) if all(map(operator.contains, values, key))]
        found = [self._table.find(self.way, key) for key in keys]
        return once(node for node in found if node is not None)

    def load(self, key: Any) -> int:
        node = self._table.find(self.way, key)
        return 0 if node is None else node.load

    def child(self, key: Any, make: Make) -> Node:
        node, is_new = self._table.child(self.way, key, make)
        self._keys += is_new
        return node

    def drop(self, key: Any) -> None:
        self._table.drop(self.way, key)
        self._keys -= 1

    def __bool__(self) -> bool:
        return self._keys > 0
