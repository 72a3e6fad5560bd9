"""From an expression to a test of an entity: closures inside closures, which is all that matching runs.

A part of an expression compiles as it does inside the whole, so `explanation` gets the test of one clause from here and
tells what matching did.
"""

from __future__ import annotations

from backbone.model.dql import assumptions
from backbone.model.dql.comparing import test_of
from backbone.model.dql.expression import And, Comparison, ElementMatch, Expression, Nor, Or
from backbone.model.dql.paths import Test, at_any_leaf, leaves


def compiled(expression: Expression) -> Test:
    match expression:
        case Comparison():
            return _comparison(expression)
        case ElementMatch():
            return _element_match(expression)
        case And(members):
            return _all([compiled(member) for member in members])
        case Or(members):
            return _any([compiled(member) for member in members])
        case Nor(members):
            found = _any([compiled(member) for member in members])
            return lambda entity: not found(entity)


def _comparison(comparison: Comparison) -> Test:
    test, negated = test_of(comparison)
    found = at_any_leaf(comparison.parts, test) if comparison.parts else test
    return (lambda entity: not found(entity)) if negated else found


def _element_match(match: ElementMatch) -> Test:
    condition = compiled(match.condition)
    passes = condition if match.on_values else lambda element: type(element) is dict and condition(element)

    def holds(entity: object) -> bool:
        return any(passes(element) for leaf in leaves(entity, match.parts) for element in assumptions.elements(leaf))

    return holds


def _all(tests: list[Test]) -> Test:
    def holds(entity: object) -> bool:
        for test in tests:  # noqa: SIM110  a generator inside `all` costs as much as a clause
            if not test(entity):
                return False
        return True

    return holds


def _any(tests: list[Test]) -> Test:
    def holds(entity: object) -> bool:
        for test in tests:  # noqa: SIM110  as above
            if test(entity):
                return True
        return False

    return holds
