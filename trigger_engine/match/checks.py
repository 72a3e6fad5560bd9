"""One literal of a filter as a test of a view, shared by all filters that say the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from weakref import WeakValueDictionary

from backbone.model.dql import assumptions
from backbone.model.dql.comparing import test_of
from backbone.model.dql.conjunctions import Literal
from backbone.model.dql.evaluation import compiled
from backbone.model.dql.expression import ElementMatch, Object
from backbone.model.dql.paths import Test
from trigger_engine.match.projection import Path, Projection

ViewTest = Callable[[Any], bool]


class Check:
    """A literal, the path that it looks at, and its test. Alike literals are one object, so `is` compares them."""

    __slots__ = ("__weakref__", "literal", "path", "test")

    def __init__(self, literal: Literal, path: Path) -> None:
        self.literal = literal
        self.path = path
        self.test: ViewTest = _test(literal, path)

    def renew(self) -> None:
        """After the path was found to have many values."""
        self.test = _test(self.literal, self.path)


class Checks:
    """The literals of one resource's filters that are in use."""

    def __init__(self, projection: Projection) -> None:
        self._projection = projection
        self._known: WeakValueDictionary[str, Check] = WeakValueDictionary()

    def of(self, literal: Literal) -> Check:
        spelled = repr(literal)  # tells True from 1, which their hashes do not
        found = self._known.get(spelled)
        if found is None:
            path = self._projection.path(literal.clause.parts, whole=looks_inside(literal))
            found = self._known[spelled] = Check(literal, path)
        return found

    def looking_at(self, path: Path) -> list[Check]:
        return [check for check in self._known.values() if check.path is path]


def looks_inside(literal: Literal) -> bool:
    """Whether more than a scalar, or that there is something, must be known of the value."""
    clause = literal.clause
    if isinstance(clause, ElementMatch) or isinstance(clause.operand, Object):
        return True
    if not isinstance(clause.operand, tuple):
        return False
    return clause.operator != "$in" or any(isinstance(one, tuple | Object) for one in clause.operand)


def all_of(checks: tuple[Check, ...]) -> ViewTest:
    """One test of them all. The usual lengths are spelled out: a loop costs as much as a check."""
    match [check.test for check in checks]:
        case [one]:
            return one
        case [one, two]:
            return lambda view: one(view) and two(view)
        case [one, two, three]:
            return lambda view: one(view) and two(view) and three(view)
        case tests:

            def holds(view: Any) -> bool:
                for test in tests:  # noqa: SIM110  a generator inside `all` costs as much as a check
                    if not test(view):
                        return False
                return True

            return holds


def _test(literal: Literal, path: Path) -> ViewTest:
    clause = literal.clause
    if isinstance(clause, ElementMatch):
        found = _at_an_element(clause, path)
    else:
        test, denied = test_of(clause)
        found = _at_any_value(test, path)
        if denied is literal.wanted:
            return lambda view: not found(view)
        return found
    return found if literal.wanted else lambda view: not found(view)


def _at_any_value(test: Test, path: Path) -> ViewTest:
    get, candidates = path.get, path.candidates

    def of_many(view: Any) -> bool:
        return any(map(test, candidates(view)[0]))

    def of_one(view: Any) -> bool:
        try:
            value = get(view)
        except AttributeError:
            return of_many(view)
        return test(value) or (type(value) is list and any(map(test, value)))

    return of_many if path.many else of_one


def _at_an_element(clause: ElementMatch, path: Path) -> ViewTest:
    condition = compiled(clause.condition)
    on_values = clause.on_values

    def holds(view: Any) -> bool:
        for leaf in path.leaves(view):
            for element in assumptions.elements(leaf):
                if (on_values or type(element) is dict) and condition(element):
                    return True
        return False

    return holds
