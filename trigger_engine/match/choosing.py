"""Under which key a conjunction is filed.

In the order of what they tell apart: equality of some paths by one hash; a start, an end or a piece of a text; a range.
Of equal ones the key with the fewest others. What is chosen decides only what an event costs, never what it matches.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from itertools import product
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from backbone.model.dql.access import Access, Cost, Key
from backbone.model.dql.comparing import RANGE
from trigger_engine.match.families import FEW, Affix, Equal, OnePath, Piece
from trigger_engine.match.projection import Name, Parts, Path
from trigger_engine.match.ranges import Between, Bounds
from trigger_engine.match.signatures import Signature

if TYPE_CHECKING:
    from trigger_engine.match.node import Node

KEYS: Final = 8
"""Of one filter in a Signature, as `$in`s multiply. Beyond, one of the paths gets a family of its own."""

SIGNATURES: Final = 64
"""Of one node. Each is a look into a hash for every event, so filters share them where they can."""

WIDTH: Final = 5
"""Paths of one signature. The fewer, the more filters share it; where that leaves many under a key, the node there has
signatures of what is left."""

APART: Final = 8
"""Different values that an equality should have in use, to be better than a start, an end, a piece or a range."""

PathOf: TypeAlias = Callable[[Parts], Path]
Family: TypeAlias = Signature | OnePath
Place: TypeAlias = tuple[Family, Any]  # and the key in it


_FAMILIES: Final[dict[str, Callable[[Name, Path], OnePath]]] = {
    "is": Equal,
    "holds": Piece,
    "between": Between,
    **dict.fromkeys(RANGE, Bounds),
}


def places_for(node: Node, ways: list[Access], room: int, path_of: PathOf) -> tuple[list[Access], Sequence[Place]]:
    """The ways to use, and the keys of them, at most so many as there is room; none when there is no way."""
    most = min(room, KEYS)
    return _in_a_signature(node, ways, most, path_of) or _in_a_family(node, ways, path_of)


def _in_a_signature(
    node: Node, ways: list[Access], most: int, path_of: PathOf
) -> tuple[list[Access], Sequence[Place]] | None:
    """Equalities that a hash can hold at once: no more of them than leave few filters under one key."""
    equalities = {path_of(way.keys[0].parts): way for way in ways if way.hashable and way.places <= most}
    chosen = {path: way for path, way in equalities.items() if not path.many}
    otherwise = any(way.cost in (Cost.AFFIX, Cost.PIECE, Cost.RANGE) for way in ways)
    if not chosen or (otherwise and _tell_little_apart(chosen)):
        return None
    signature = _shared_signature(node, chosen, most) or _new_signature(node, chosen, most)
    if signature is None:
        return None
    return [chosen[path] for path in signature.paths], [(signature, key) for key in _keys(signature, chosen)]


def _shared_signature(node: Node, chosen: dict[Path, Access], most: int) -> Signature | None:
    """One that is there, of some of the paths, and has few others under the same keys; or no more may be made."""
    fitting = [
        one
        for paths, one in node.signatures.items()
        if chosen.keys() >= set(paths) and math.prod(chosen[path].places for path in paths) <= most
    ]
    loads = [max(one.load(key) for key in _keys(one, chosen)) for one in fitting]
    usable = [(load, -len(one.paths), at) for at, (one, load) in enumerate(zip(fitting, loads, strict=True))]
    lowest = min(usable, default=None)
    if lowest is not None and (lowest[0] < FEW or len(node.signatures) >= SIGNATURES):
        return fitting[lowest[2]]
    return None


def _new_signature(node: Node, chosen: dict[Path, Access], most: int) -> Signature | None:
    """Of the paths that tell most apart, as many as it takes."""
    if len(node.signatures) >= SIGNATURES:
        return None
    paths: list[Path] = []
    left, keys = float(max(node.load, node.expected) + 1), 1
    for path in sorted(chosen, key=lambda path: (-path.literals, path.parts)):
        if keys * chosen[path].places <= most and len(paths) < WIDTH and (not paths or left >= FEW):
            paths.append(path)
            keys *= chosen[path].places
            left /= max(1, path.literals)
    ordered = tuple(sorted(paths, key=lambda path: path.parts))
    return node.signatures.get(ordered) or Signature(ordered, node.table)


def _in_a_family(node: Node, ways: list[Access], path_of: PathOf) -> tuple[list[Access], Sequence[Place]]:
    """The cheapest way, and of equal ones that with few others under its key, or that which tells most apart."""
    ways = [way for way in ways if way.keys[0].family != "between" or not path_of(way.keys[0].parts).many]
    costs = [_cost(way, path_of) for way in ways]
    lowest = min(costs, default=None)
    best: tuple[tuple[int, int, int], Access, list[Place]] | None = None
    for way in [way for way, cost in zip(ways, costs, strict=True) if cost == lowest]:
        places = _places(node, way, path_of)
        load = max(family.load(key) for family, key in places)
        rank = max(FEW, load), -path_of(way.keys[0].parts).literals, -_length(way.keys[0])
        if best is None or rank < best[0]:
            best = rank, way, places
    return ([], []) if best is None else ([best[1]], best[2])


def _cost(way: Access, path_of: PathOf) -> tuple[Cost, bool]:
    """An equality that is here tells too little apart for a hash, so it is the last resort; a lone bound is before."""
    weak = way.hashable and way.places <= KEYS and not path_of(way.keys[0].parts).many
    return Cost.NEGATION if weak else way.cost, way.keys[0].family in RANGE


def _places(node: Node, way: Access, path_of: PathOf) -> list[Place]:
    places: list[Place] = []
    new: dict[Name, OnePath] = {}
    for key in way.keys:
        family = node.families.get(key.name) or new.get(key.name)
        if family is None:
            family = new[key.name] = _family(node, key, path_of(key.parts))
        places += [(family, at) for at in family.keys_of(key.value)]
    return places


def _family(node: Node, key: Key, path: Path) -> OnePath:
    if key.family in ("starts", "ends"):
        return Affix(key.name, path, node.table)
    return _FAMILIES[key.family](key.name, path)


def _tell_little_apart(paths: Collection[Path]) -> bool:
    """Many ask for them, and all for the same few values."""
    apart = math.prod(max(1, path.literals) for path in paths)
    return apart < APART and min(len(path.users) for path in paths) > FEW * apart


def _keys(signature: Signature, chosen: dict[Path, Access]) -> Sequence[Any]:
    values = [chosen[path].keys[0].value for path in signature.paths]
    return values[0] if len(values) == 1 else list(product(*values))


def _length(key: Key) -> int:
    return len(key.value) if isinstance(key.value, str) else 0
