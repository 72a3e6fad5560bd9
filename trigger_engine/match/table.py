"""The one table of a node: what is filed there under the values of some paths, or the start or end of a text.

Each of these ways looks up keys of its own, and nearly all looks find nothing. Among a hundred thousand triggers nearly
every place in memory is out of the processor's reach, so a table for each way would be a wait for each; what tells the
ways apart stands in the nodes, which are met only when a key is there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from trigger_engine.match.node import Node

Nodes: TypeAlias = "Sequence[Node]"
Make: TypeAlias = "Callable[[], Node]"


class Table(dict[Any, "Node"]):
    """By key the first of the nodes under it, which knows the one `beside` it. `way`: by what a key is looked up; each
    is one object for all nodes."""

    __slots__ = ()

    def find(self, way: object, key: Any) -> Node | None:
        node = self.get(key)
        while node is not None and node.way is not way:
            node = node.beside
        return node

    def child(self, way: object, key: Any, make: Make) -> tuple[Node, bool]:
        """The node, and whether it was made now."""
        found = self.find(way, key)
        if found is not None:
            return found, False
        made = make()
        made.way, made.beside = way, self.get(key)
        self[key] = made
        return made, True

    def drop(self, way: object, key: Any) -> None:
        """Raises KeyError when nothing is there."""
        left: Node | None = None
        node: Node | None = self.pop(key)
        while node is not None:
            beside = node.beside
            if node.way is not way:
                node.beside, left = left, node
            node = beside
        if left is not None:
            self[key] = left

    def keys_of(self, way: object) -> list[Any]:
        return [key for key in self if self.find(way, key) is not None]
