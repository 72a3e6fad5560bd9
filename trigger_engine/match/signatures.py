"""Equality of several paths by one look into a hash."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterator
from itertools import product
from typing import TYPE_CHECKING, Any

from trigger_engine.match.families import Make, Nodes, child_of, is_scalar, once
from trigger_engine.match.projection import Path

if TYPE_CHECKING:
    from trigger_engine.match.node import Node


class Signature:
    """The key is the tuple of the paths' values, or the only value."""

    __slots__ = ("get", "paths", "table")

    def __init__(self, paths: tuple[Path, ...]) -> None:
        self.paths = paths
        self.table: dict[Any, Node] = {}
        self.get = paths[0].projection.getter_of(paths)

    def nodes(self, view: Any) -> Nodes:
        try:
            node = self.table.get(self.get(view))
        except (AttributeError, TypeError):
            return self.nodes_of_irregular(view)
        return () if node is None else (node,)

    def nodes_of_irregular(self, view: Any) -> Nodes:
        """A list, or something else than an object, stands on a path; any of the values there may be the one."""
        for path in self.paths:
            path.learn(view)
        values = [dict.fromkeys(filter(is_scalar, path.candidates(view)[0])) for path in self.paths]
        table = self.table
        if len(values) == 1:
            return once(table[value] for value in values[0] if value in table)
        if math.prod(map(len, values)) <= len(table):
            return once(table[key] for key in product(*values) if key in table)
        return [node for key, node in table.items() if all(map(operator.contains, values, key))]

    def load(self, key: Any) -> int:
        node = self.table.get(key)
        return 0 if node is None else node.load

    def child(self, key: Any, make: Make) -> Node:
        return child_of(self.table, key, make)

    def drop(self, key: Any) -> None:
        del self.table[key]

    def __bool__(self) -> bool:
        return bool(self.table)


class Signatures:
    """Those of one node. Where they share paths, each value is got once and the keys are picked from all of them."""

    __slots__ = ("by_paths", "keys", "values_of")

    def __init__(self) -> None:
        self.by_paths: dict[tuple[Path, ...], Signature] = {}
        self._prepare()

    def __iter__(self) -> Iterator[Signature]:
        return iter(self.by_paths.values())

    def add(self, signature: Signature) -> None:
        if signature.paths not in self.by_paths:
            self.by_paths[signature.paths] = signature
            self._prepare()

    def drop(self, signature: Signature) -> None:
        del self.by_paths[signature.paths]
        self._prepare()

    def _prepare(self) -> None:
        self.values_of: Callable[[Any], Any] = _itself
        """What the functions in `keys` are given. Raises AttributeError when the view is not shaped so."""
        self.keys = tuple([(signature.get, signature.table, signature) for signature in self])
        """For each signature how its key is got, and the table where it is looked up."""
        asked = [path for paths in self.by_paths for path in paths]
        paths = tuple(dict.fromkeys(asked))
        if len(asked) >= 2 * len(paths) > 2 and all(path.fields is not None for path in paths):
            projection = paths[0].projection
            at = {path: place for place, path in enumerate(paths)}
            picks = [projection.picker_of(tuple(map(at.__getitem__, one.paths))) for one in self]
            self.values_of = projection.getter_of(paths)
            self.keys = tuple([(pick, one.table, one) for pick, one in zip(picks, self, strict=True)])


def _itself(view: Any) -> Any:
    return view
