"""What no public source settles about DQL, decided here and nowhere else; `docs/filters.md` lists the same.

Whoever learns better changes one function of this page.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from backbone.model.dql.expression import Operand
from backbone.model.dql.paths import MISSING

#: Parts of a wrapped query that ask for more than a verdict on one entity. They are named in `Filter.ignored`, as the
#: official SDK drops them before it sends a trigger; what the caller does about them is the caller's decision.
IGNORED_IN_A_QUERY: Final = ("join", "context", "references", "update", "delete")

#: Set operations between queries would change the verdict and cannot be honoured.
REFUSED_IN_A_QUERY: Final = ("intersect", "except")


def exists(value: object) -> bool:
    """`$exists`: null counts as absent (MongoDB would say present); empty lists, objects and texts are there."""
    return value is not None and value is not MISSING


def is_null(value: object) -> bool:
    """Equality with null: a missing field is null."""
    return value is None or value is MISSING


def has_wildcard(text: str) -> bool:
    """Only `*` is special, there is no escape, and a text without it is compared as it stands."""
    return "*" in text


#: How `$ieq` and `$ilike` forget about case; everything else, field names included, minds it.
folded = str.casefold


def members(operand: Operand) -> tuple[Operand, ...]:
    """`$in` and `$nin` read a single value as a list of one."""
    return operand if isinstance(operand, tuple) else (operand,)


def elements(leaf: object) -> Iterator[object]:
    """What `$match` looks at: the elements of a list, or any other value as the only element."""
    if type(leaf) is list:
        yield from leaf
    elif leaf is not MISSING:
        yield leaf


def negated_glob(pattern: str) -> tuple[bool, str]:
    """A leading `!` turns a `$glob` round; it then also holds where the field is missing, as `$ne` does."""
    return (True, pattern[1:]) if pattern.startswith("!") else (False, pattern)
