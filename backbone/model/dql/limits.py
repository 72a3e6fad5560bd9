"""How large a filter may be. One page of numbers, so that creation refuses what matching would pay for."""

from __future__ import annotations

import sys
from typing import Final

from backbone.model.dql.expression import And, Comparison, ElementMatch, Expression, Nor, Or

BYTES: Final = 64 * 1024  #: of the filter written as JSON
NESTING: Final = 32  #: objects and lists inside one another; also the parts of one path
LIST_MEMBERS: Final = 1_000  #: of any one list: `$in`, `$and`, a list compared as a whole
INDEXES: Final = 8  #: numbers in a path and the `$match`es around it: each may be an index or a key, two ways to go on
CONJUNCTIONS: Final = 64  #: ways to be true, once the `$or`s are multiplied out
GLOB_STARS: Final = 32  #: runs of `*` in one `$glob`: each costs a pass over the text,
GLOB_TEXT: Final = 4_096  #: and a longer text is no path: it fits none
NUMBER: Final = sys.float_info.max  #: a larger integer is no double, and JSON readers do not keep it


def conjunctions(expression: Expression) -> int:
    """How many conjunctions the disjunctive normal form would have; counted only as far as one too many."""
    return _ways(expression, wanted=True)


def indexes(expression: Expression) -> int:
    """How many numbers the path with the most has among its parts, those of the `$match`es around it included."""
    if isinstance(expression, Comparison):
        return sum(map(str.isdigit, expression.parts))
    if isinstance(expression, ElementMatch):
        return sum(map(str.isdigit, expression.parts)) + indexes(expression.condition)
    return max(map(indexes, expression.members), default=0)


def _ways(expression: Expression, *, wanted: bool) -> int:
    if isinstance(expression, Nor):
        return _all(expression.members, wanted=False) if wanted else _any(expression.members, wanted=True)
    if isinstance(expression, And):
        return _all(expression.members, wanted=True) if wanted else _any(expression.members, wanted=False)
    if isinstance(expression, Or):
        return _any(expression.members, wanted=True) if wanted else _all(expression.members, wanted=False)
    return 1


def _any(members: tuple[Expression, ...], *, wanted: bool) -> int:
    return min(sum(_ways(member, wanted=wanted) for member in members), CONJUNCTIONS + 1)


def _all(members: tuple[Expression, ...], *, wanted: bool) -> int:
    product = 1
    for member in members:
        product = min(product * _ways(member, wanted=wanted), CONJUNCTIONS + 1)
    return product
