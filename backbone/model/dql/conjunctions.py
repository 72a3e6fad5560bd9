"""A filter with its `$or`s multiplied out: the ways in which it holds, each a list of literals that must all hold.

This is the form that an index is made of. A literal is one clause of the filter or the opposite of one; `$ne`, `$nin`,
`{"$exists": false}` and a `$glob` with `!` become the opposite of what they deny, so that who reads literals meets
each meaning once.
"""

from __future__ import annotations

import itertools
from collections.abc import Hashable
from typing import Final, TypeAlias

import msgspec

from backbone.model.dql import assumptions
from backbone.model.dql.expression import And, Comparison, ElementMatch, Expression, Nor, Object, Or


# A struct, as a hundred thousand filters have half a million of them.
class Literal(msgspec.Struct, frozen=True, eq=False):
    clause: Comparison | ElementMatch  #: a Comparison here never denies
    wanted: bool  #: False: it holds where the clause does not

    def key(self) -> Hashable:
        """The same for literals that mean the same by the same words; True and 1 are not."""
        clause = self.clause
        if isinstance(clause, ElementMatch) or isinstance(clause.operand, tuple | Object):
            return self.wanted, repr(clause)
        return self.wanted, clause.parts, clause.operator, type(clause.operand), clause.operand


Conjunction: TypeAlias = tuple[Literal, ...]

_DENIED: Final = {"$ne": "$eq", "$nin": "$in"}


def conjunctions(expression: Expression) -> tuple[Conjunction, ...]:
    """At most `limits.CONJUNCTIONS`, as the parser saw to; the empty one holds always, and none at all never."""
    return tuple(_without_repetition(literals) for literals in _ways(expression, wanted=True))


def _ways(expression: Expression, *, wanted: bool) -> list[Conjunction]:
    match expression:
        case Comparison() | ElementMatch():
            return [(_literal(expression, wanted),)]
        case And(members):
            return _all(members, wanted=True) if wanted else _any(members, wanted=False)
        case Or(members):
            return _any(members, wanted=True) if wanted else _all(members, wanted=False)
        case Nor(members):
            return _all(members, wanted=False) if wanted else _any(members, wanted=True)


def _any(members: tuple[Expression, ...], *, wanted: bool) -> list[Conjunction]:
    return [way for member in members for way in _ways(member, wanted=wanted)]


def _all(members: tuple[Expression, ...], *, wanted: bool) -> list[Conjunction]:
    product = itertools.product(*(_ways(member, wanted=wanted) for member in members))
    return [tuple(itertools.chain.from_iterable(ways)) for ways in product]


def _literal(clause: Comparison | ElementMatch, wanted: bool) -> Literal:
    if isinstance(clause, ElementMatch):
        return Literal(clause, wanted)
    operator, operand = clause.operator, clause.operand
    if operator in _DENIED:
        return Literal(Comparison(clause.parts, _DENIED[operator], operand), not wanted)
    if operator == "$exists":
        return Literal(Comparison(clause.parts, operator, True), wanted is operand)
    if operator == "$glob" and isinstance(operand, str):
        denied, pattern = assumptions.negated_glob(operand)
        if denied and not assumptions.negated_glob(pattern)[0]:
            return Literal(Comparison(clause.parts, operator, pattern), not wanted)
    return Literal(clause, wanted)


def _without_repetition(literals: Conjunction) -> Conjunction:
    return tuple({literal.key(): literal for literal in literals}.values()) if len(literals) > 1 else literals
