"""One literal of a filter as a test of a view, shared by all filters that say the same.

The meaning of every clause is `dql`'s; what stands here is how to get at the values. The commonest clauses, on one
scalar and on a list of numbers, are spelled out in one function each, because a call costs as much as the comparison.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Sequence
from functools import partial
from typing import Any, Final, TypeAlias
from weakref import WeakValueDictionary

import msgspec

from backbone.model.dql import access, assumptions, dates
from backbone.model.dql.access import Access
from backbone.model.dql.comparing import RANGE, fits_of, test_of
from backbone.model.dql.conjunctions import Literal
from backbone.model.dql.equality import spellings
from backbone.model.dql.evaluation import compiled
from backbone.model.dql.expression import And, Comparison, ElementMatch, Object
from backbone.model.dql.paths import Test
from backbone.model.dql.wildcards import Fits
from trigger_engine.match.projection import Parts, Path, Projection
from trigger_engine.match.ranges import NUMBERS

ViewTest: TypeAlias = Callable[[Any, Any], bool]
Asked: TypeAlias = tuple[ViewTest, Any]
"""A test of a view, one for all literals of a kind at a path, and what tells this literal from them: what it compares
with. A closure for each of a hundred thousand literals would be half a dozen places in memory to wait for."""


class Check:
    """A literal, the path that it looks at, and its test. Alike literals are one object."""

    __slots__ = ("__weakref__", "_ways", "asked", "literal", "number", "path")

    def __init__(self, literal: Literal, projection: Projection, number: int) -> None:
        self.literal = literal
        self.number = number  #: an order for the checks of a filter
        self._ways: list[Access] | None = None
        self.path = projection.path(literal.clause.parts, whole=looks_inside(literal))
        self.path.literals += 1
        self.asked = _asked(literal, self.path)

    def ways(self) -> list[Access]:
        """To be found by this literal alone."""
        if self._ways is not None:
            return self._ways
        ways = list(access.of_literal(self.literal))
        if isinstance(self.literal.clause, ElementMatch) or isinstance(self.literal.clause.operand, tuple):
            self._ways = ways  # long lists are costly to go through, and asked for in each node that has one
        return ways

    def paths(self) -> set[Path]:
        """All that matching may look at on its behalf."""
        projection = self.path.projection
        asked = {projection.path(parts, whole=whole) for parts, whole in wanted_paths(self.literal)}
        if isinstance(self.literal.clause, ElementMatch):
            keys = [key for way in self.ways() for key in way.keys]
            asked.update(projection.path(parts) for parts in {key.parts for key in keys})
        return {self.path, *asked}

    def __del__(self) -> None:
        self.path.literals -= 1

    def renew(self) -> None:
        """After the path learned that it has many values; for groups that are made from now on."""
        self.asked = _asked(self.literal, self.path)


class Checks:
    """The literals of one resource's filters that are in use."""

    def __init__(self, projection: Projection) -> None:
        self._projection = projection
        self._made = 0
        self._known: WeakValueDictionary[Hashable, Check] = WeakValueDictionary()

    def of(self, literal: Literal) -> Check:
        key = literal.key()
        found = self._known.get(key)
        if found is None:
            self._made += 1
            found = self._known[key] = Check(literal, self._projection, self._made)
        return found

    def looking_at(self, paths: Collection[Path]) -> list[Check]:
        return [check for check in self._known.values() if check.path in paths]


def wanted_paths(literal: Literal) -> list[tuple[Parts, bool]]:
    """The paths that its test reads, and whether what is inside of an object or a list there matters."""
    inside = _asked_of_elements(literal.clause) if isinstance(literal.clause, ElementMatch) else None
    if inside is None:
        return [(literal.clause.parts, looks_inside(literal))]
    return [((*literal.clause.parts, *comparison.parts), False) for comparison in inside]


def looks_inside(literal: Literal) -> bool:
    """Whether more than a scalar, or that there is something, must be known of the value."""
    clause = literal.clause
    if isinstance(clause, ElementMatch):
        return _asked_of_elements(clause) is None
    return _is_container(clause)


def _is_container(clause: Comparison) -> bool:
    if isinstance(clause.operand, tuple):
        return clause.operator != "$in" or any(isinstance(one, tuple | Object) for one in clause.operand)
    return isinstance(clause.operand, Object)


def _asked_of_elements(clause: ElementMatch) -> list[Comparison] | None:
    """The comparisons of one element's fields, when it asks for nothing else and for no containers."""
    members = clause.condition.members if isinstance(clause.condition, And) else (clause.condition,)
    simple = [member for member in members if isinstance(member, Comparison) and not _is_container(member)]
    return simple if simple and len(simple) == len(members) and not clause.on_values else None


def all_of(asked: Sequence[Asked]) -> Asked:
    """One test of them all. The usual lengths are spelled out: a loop costs as much as a check."""
    match asked:
        case [one]:
            return one
        case [(one, of_one), (two, of_two)]:
            return _both, (one, of_one, two, of_two)
    return _all, tuple(asked)


def _both(view: Any, asked: tuple[ViewTest, Any, ViewTest, Any]) -> bool:
    one, of_one, two, of_two = asked
    return one(view, of_one) and two(view, of_two)


def _all(view: Any, asked: tuple[Asked, ...]) -> bool:
    for test, operand in asked:  # noqa: SIM110  a generator inside `all` costs as much as a check
        if not test(view, operand):
            return False
    return True


def _asked(literal: Literal, path: Path) -> Asked:
    clause, wanted = literal.clause, literal.wanted
    if isinstance(clause, ElementMatch):
        return _has_element if wanted else _has_no_element, _at_an_element(clause, path)
    return _of_comparison(clause, path, wanted)


def _of_comparison(clause: Comparison, path: Path, wanted: bool) -> Asked:
    test, denied = test_of(clause)
    wanted = wanted is not denied
    if path.many:
        return path.test(_of_many, wanted), (test, _of_numbers(clause))
    fits, operand = fits_of(clause), clause.operand
    if fits is not None:
        return path.test(_fits, wanted), fits
    if clause.operator == "$eq" and isinstance(operand, str) and dates.instant(operand) is None:
        return path.test(_is_text, wanted), operand
    if clause.operator in _IN_RANGE and isinstance(operand, int | float):
        return path.test(_IN_RANGE[clause.operator], wanted), (operand, test)
    return path.test(_of_one, wanted), test


# The tests of a kind of literal at a path. `wanted` is what they answer where a value passes.


def _is_text(path: Path, wanted: bool) -> ViewTest:
    get = path.get

    def holds(view: Any, text: str) -> bool:
        try:
            value = get(view)
        except AttributeError:
            path.learn(view)
            value = path.candidates(view)[0]
        if value == text:
            return wanted
        return (type(value) is list and text in value) is wanted

    return holds


def _fits(path: Path, wanted: bool) -> ViewTest:
    get = path.get

    def holds(view: Any, fits: Fits) -> bool:
        try:
            value = get(view)
        except AttributeError:
            path.learn(view)
            value = path.candidates(view)[0]
        if type(value) is str:
            return fits(value) is wanted
        return (type(value) is list and any(type(one) is str and fits(one) for one in value)) is wanted

    return holds


def _in_range(order: Callable[[Any, Any], bool], path: Path, wanted: bool) -> ViewTest:
    get, otherwise = path.get, path.test(_of_one, wanted)

    def holds(view: Any, bound_and_test: tuple[float, Test]) -> bool:
        bound, test = bound_and_test
        try:
            value = get(view)
        except AttributeError:
            return otherwise(view, test)
        if type(value) is float or type(value) is int:
            return order(value, bound) is wanted
        return otherwise(view, test)

    return holds


_IN_RANGE: Final = {operator: partial(_in_range, order) for operator, order in RANGE.items()}


def _of_one(path: Path, wanted: bool) -> ViewTest:
    get = path.get

    def holds(view: Any, test: Test) -> bool:
        try:
            value = get(view)
        except AttributeError:
            path.learn(view)
            return any(map(test, path.candidates(view)[0])) is wanted
        if test(value):
            return wanted
        return (type(value) is list and any(map(test, value))) is wanted

    return holds


def _of_many(path: Path, wanted: bool) -> ViewTest:
    candidates = path.candidates

    def holds(view: Any, asked: tuple[Test, Callable[[list[Any]], bool] | None]) -> bool:
        test, of_numbers = asked
        values: Sequence[Any]
        values, kinds = candidates(view)
        if of_numbers is not None and not kinds.isdisjoint(NUMBERS):
            numbers = values if kinds <= NUMBERS else [value for value in values if type(value) in NUMBERS]
            if of_numbers(numbers):
                return wanted
            values = () if numbers is values else [value for value in values if type(value) not in NUMBERS]
        return any(map(test, values)) is wanted

    return holds


def _of_numbers(clause: Comparison) -> Callable[[list[Any]], bool] | None:
    """Whether one of a list of nothing but numbers passes, without asking each; None where it must be asked."""
    bound = clause.operand
    if type(bound) is not int and type(bound) is not float:
        return None
    if clause.operator in RANGE:
        order, furthest = RANGE[clause.operator], max if clause.operator in ("$gt", "$gte") else min
        return lambda values: order(furthest(values), bound)
    if clause.operator == "$eq" and len(spellings(bound)) == 1:
        return lambda values: bound in values
    return None


def _has_element(view: Any, found: Callable[[Any], bool]) -> bool:
    return found(view)


def _has_no_element(view: Any, found: Callable[[Any], bool]) -> bool:
    return not found(view)


def _at_an_element(clause: ElementMatch, path: Path) -> Callable[[Any], bool]:
    of_structs = _at_a_struct(clause, path)
    if of_structs is not None:
        return of_structs
    condition, on_values = compiled(clause.condition), clause.on_values
    path = path.projection.path(clause.parts, whole=True)

    def holds(view: Any) -> bool:
        for leaf in path.leaves(view):
            for element in assumptions.elements(leaf):
                if (on_values or type(element) is dict) and condition(element):
                    return True
        return False

    return holds


def _at_a_struct(clause: ElementMatch, path: Path) -> Callable[[Any], bool] | None:
    """The same where elements were read by their asked fields alone; None where they were not."""
    comparisons = _asked_of_elements(clause)
    if comparisons is None:
        return None
    asked: list[Asked] = []
    needed: list[Asked] = []
    for comparison in comparisons:
        inside = path.projection.of_element(clause.parts, comparison.parts)
        if inside is None:
            return None
        asked.append(_of_comparison(comparison, inside, True))
        if comparison.operator in RANGE:
            # Some element must have it; for a list of numbers that is known at once.
            through = path.projection.path((*clause.parts, *comparison.parts))
            needed.append((through.test(_of_many, True), (test_of(comparison)[0], _of_numbers(comparison))))
    passes, operand = all_of(asked)

    def holds(view: Any) -> bool:
        for test, of_test in needed:
            if not test(view, of_test):
                return False
        for leaf in path.leaves(view):
            for element in assumptions.elements(leaf):
                if isinstance(element, msgspec.Struct) and passes(element, operand):
                    return True
        return False

    return holds
