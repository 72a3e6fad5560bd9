"""From an expression to something that answers: a tree of clauses, each with its test of an entity.

Matching calls the test of the root and nothing else. The tree stays beside it for `explanation`, which asks the very
same tests one by one: what it tells is what matching did.
"""

from __future__ import annotations

from typing import NamedTuple

from backbone.model.dql import assumptions
from backbone.model.dql.comparing import test_of
from backbone.model.dql.expression import And, Comparison, ElementMatch, Expression, Nor, Or
from backbone.model.dql.paths import Test, at_any_leaf, leaves


class Clause(NamedTuple):
    expression: Expression
    holds: Test
    members: tuple[Clause, ...] = ()


def compiled(expression: Expression) -> Clause:
    match expression:
        case Comparison():
            return Clause(expression, _comparison(expression))
        case ElementMatch():
            return Clause(expression, _element_match(expression))
        case And(members) | Or(members) | Nor(members):
            clauses = tuple(compiled(member) for member in members)
            tests = tuple(clause.holds for clause in clauses)
            return Clause(expression, _LOGICAL[type(expression)](tests), clauses)


def _comparison(comparison: Comparison) -> Test:
    test, negated = test_of(comparison)
    found = at_any_leaf(comparison.parts, test) if comparison.parts else test
    return (lambda entity: not found(entity)) if negated else found


def _element_match(match: ElementMatch) -> Test:
    condition = compiled(match.condition).holds
    passes = condition if match.on_values else lambda element: type(element) is dict and condition(element)

    def holds(entity: object) -> bool:
        return any(passes(element) for leaf in leaves(entity, match.parts) for element in assumptions.elements(leaf))

    return holds


def _all(tests: tuple[Test, ...]) -> Test:
    def holds(entity: object) -> bool:
        for test in tests:  # noqa: SIM110  a generator inside `all` costs as much as a clause
            if not test(entity):
                return False
        return True

    return holds


def _any(tests: tuple[Test, ...]) -> Test:
    def holds(entity: object) -> bool:
        for test in tests:  # noqa: SIM110  as above
            if test(entity):
                return True
        return False

    return holds


def _none(tests: tuple[Test, ...]) -> Test:
    found = _any(tests)
    return lambda entity: not found(entity)


_LOGICAL = {And: _all, Or: _any, Nor: _none}
