"""From an entity to the values at a path.

A path walks through objects by key. Where it meets a list it goes on in every object of that list, one level of lists
for each part; a part that is a number also names the element at that index. Scalars and lists in a list are skipped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final


class _Missing:
    def __repr__(self) -> str:
        return "MISSING"


#: No value at the path: unlike null it says that the field, or a parent of it, is not there.
MISSING: Final = _Missing()

Test = Callable[[object], bool]


def leaves(node: object, parts: tuple[str, ...], depth: int = 0) -> Iterator[object]:
    """Every value at the path, MISSING for each place where it breaks off; nothing where a list has no objects."""
    if depth == len(parts):
        yield node
    elif type(node) is dict:
        yield from leaves(node.get(parts[depth], MISSING), parts, depth + 1)
    elif type(node) is list:
        index = _index(parts[depth])
        if index is not None:
            yield from leaves(node[index] if index < len(node) else MISSING, parts, depth + 1)
        for element in node:
            if type(element) is dict and (index is None or parts[depth] in element):
                yield from leaves(element, parts, depth)
    else:
        yield MISSING


def _index(part: str) -> int | None:
    canonical = part.isascii() and part.isdigit() and len(part) < 10 and (part[0] != "0" or part == "0")
    return int(part) if canonical else None


def at_any_leaf(parts: tuple[str, ...], test: Test) -> Test:
    """A test of an entity: a value at the path passes `test`, or it is a list and one of its elements does."""

    def holds(entity: object) -> bool:
        # The common way, through objects only, without the generator of `leaves`.
        node = entity
        for part in parts:
            if type(node) is dict:
                node = node.get(part, MISSING)
            elif type(node) is list:
                return any(test(leaf) or _an_element(test, leaf) for leaf in leaves(entity, parts))
            else:
                return test(MISSING)
        return test(node) or (type(node) is list and any(map(test, node)))

    return holds


def values(entity: object, parts: tuple[str, ...]) -> list[object]:
    """All that `at_any_leaf` tests: for who has many tests for one entity, and goes the way once."""
    found: list[object] = []
    for leaf in leaves(entity, parts):
        found.append(leaf)
        if type(leaf) is list:
            found += leaf
    return found


def _an_element(test: Test, leaf: object) -> bool:
    return type(leaf) is list and any(map(test, leaf))
