"""By what a filter can be found without being asked: the keys under which an index files it, and what it costs.

For each conjunction there are several such ways (`accesses`), each narrower than "ask it of every entity": the
equality of a path, a literal start, end or piece of a text, a range of numbers or dates. An index chooses one and
checks what that leaves open. `cost` is the class of the best way there is, known when a trigger is made.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator
from enum import IntEnum
from typing import Any, Final, TypeAlias

import msgspec

from backbone.model.dql import assumptions, dates
from backbone.model.dql.comparing import RANGE
from backbone.model.dql.conjunctions import Conjunction, Literal, conjunctions
from backbone.model.dql.equality import spellings
from backbone.model.dql.expression import And, Comparison, ElementMatch, Expression, Operand
from backbone.model.dql.paths import MISSING

Parts: TypeAlias = tuple[str, ...]

STRETCHES: Final = (8, 4, 3)
"""Characters by which a text between two `*` is looked for: the first of these that is shorter than it. So one stretch
begins at an even and one at an odd place of it, and only every second place of an entity's text has to be looked at.
Fewer than four characters are everywhere."""

_SHOWN: Final = 5  # values of one key, where it is told to people
_AFFIX: Final = 2
"""Characters that make a start or an end of a text worth looking for before a range."""


class Cost(IntEnum):
    """What a filter costs an event that it does not match, from nothing to one evaluation."""

    EVERYTHING = 0  #: it has no condition: each event is a match
    EQUALITY = 1
    AFFIX = 2  #: a text's literal start or end
    PIECE = 3  #: a literal inside of a text
    RANGE = 4  #: of numbers or dates
    NEGATION = 5  #: asked of every event, and nearly always a match
    SCAN = 6  #: asked of every event


class Key(msgspec.Struct, frozen=True):
    """`family` is `is`, `starts`, `ends`, `holds`, `between` or a range's operator; `value` what it looks up.

    The value of `is` is a tuple, of which an entity has one; that of `holds` a tuple of stretches, each as good as the
    others; that of `between` two operators, each with its bound.
    """

    family: str
    parts: Parts
    value: Any
    folded: bool = False  #: upper and lower case are one

    @property
    def name(self) -> tuple[str, Parts, bool]:
        """Of the table in which the value is looked up."""
        return self.family, self.parts, self.folded

    def __str__(self) -> str:
        path, any_case = ".".join(self.parts), " (any case)" if self.folded else ""
        if self.family != "is":
            return f"{path} {self.family} {self.value!r}{any_case}"
        shown = [f"{path} is {value!r}{any_case}" for value in self.value[:_SHOWN]]
        return " or ".join([*shown, "…"] if len(self.value) > _SHOWN else shown)


class Access(msgspec.Struct, frozen=True, eq=False):
    """An entity that passes the `literals` has one of the `keys`, or all of `together`."""

    cost: Cost
    keys: tuple[Key, ...]
    literals: tuple[Literal, ...]
    exact: bool  #: and the other way round: nothing of the literals is left to check
    hashable: bool = False  #: the only key is one of plain values, good beside those of other paths in one hash

    @property
    def places(self) -> int:
        """Under how many values it is filed."""
        return sum(len(key.value) if key.family == "is" else 1 for key in self.keys)


def cost(expression: Expression) -> Cost:
    """The class of the whole filter: that of its most expensive alternative."""
    return max((_cost(conjunction) for conjunction in conjunctions(expression)), default=Cost.EVERYTHING)


def _cost(conjunction: Conjunction) -> Cost:
    if not conjunction:
        return Cost.EVERYTHING
    rest = (Cost.NEGATION if _nearly_always_holds(literal) else Cost.SCAN for literal in conjunction)
    return min((access.cost for access in accesses(conjunction)), default=max(rest))


def _nearly_always_holds(literal: Literal) -> bool:
    clause = literal.clause
    if isinstance(clause, ElementMatch) or clause.operator in RANGE:
        return False
    return clause.operator == "$exists" or not literal.wanted


def accesses(conjunction: Conjunction) -> list[Access]:
    """Every way to find it, in no order."""
    return [way for literal in conjunction for way in of_literal(literal)] + list(of_both_bounds(conjunction))


def of_literal(literal: Literal) -> Iterator[Access]:
    if not literal.wanted:
        return
    clause = literal.clause
    if isinstance(clause, ElementMatch):
        yield from _of_element(literal, clause)
    elif clause.parts:
        yield from _of_comparison(literal, clause)


def _of_element(literal: Literal, clause: ElementMatch) -> Iterator[Access]:
    """Some element has what the condition asks for, so the path through the list has a value that has it."""
    if clause.on_values:
        return
    members = clause.condition.members if isinstance(clause.condition, And) else (clause.condition,)
    for member in members:
        if isinstance(member, Comparison) and member.parts and member.operand is not None:
            inside = Comparison((*clause.parts, *member.parts), member.operator, member.operand)
            if inside.operator == "$in" and None in assumptions.members(inside.operand):
                continue
            for access in _of_comparison(literal, inside):
                yield Access(access.cost, access.keys, (literal,), exact=False)


def _of_comparison(literal: Literal, clause: Comparison) -> Iterator[Access]:
    match clause.operator, clause.operand:
        # The first two are what nearly every filter has; the third would come to the same.
        case "$eq", str() as text if text[4:5] != "-" and not assumptions.has_wildcard(text):
            yield Access(Cost.EQUALITY, (Key("is", clause.parts, (text,)),), (literal,), exact=True, hashable=True)
        case "$eq", bool() as value:
            yield Access(Cost.EQUALITY, (Key("is", clause.parts, (value,)),), (literal,), exact=False, hashable=True)
        case ("$eq" | "$in" | "$match") as operator, operand:
            members = assumptions.members(operand) if operator == "$in" else (operand,)
            yield from _of_members(literal, clause.parts, members)
        case (("$ieq" | "$ilike"), str() as text):
            yield from _of_text(literal, clause.parts, assumptions.folded(text), folded=True)
        case "$ieq", operand:
            yield from _of_members(literal, clause.parts, (operand,))
        case "$glob", str() as pattern:
            yield from _of_glob(literal, clause.parts, pattern)
        case (("$gt" | "$gte" | "$lt" | "$lte") as operator, int() | float() as bound):
            yield Access(Cost.RANGE, (Key(operator, clause.parts, bound),), (literal,), exact=True)
        case (("$gt" | "$gte" | "$lt" | "$lte") as operator, str() as bound):
            # The order of other texts is asked for too seldom to be looked up.
            if dates.instant(bound) is not None:
                yield Access(Cost.RANGE, (Key(operator, clause.parts, bound),), (literal,), exact=True)
        case _:
            pass


# -- equality and texts -------------------------------------------------------------------------------------------


def _of_members(literal: Literal, parts: Parts, members: tuple[Operand, ...]) -> Iterator[Access]:
    keys: list[Key] = []
    plain: dict[Any, None] = {}
    cost, exact, hashable = Cost.EQUALITY, True, True
    for member in members:
        if isinstance(member, str) and assumptions.has_wildcard(member):
            ways = list(_of_text(literal, parts, member))
            if not ways:
                return
            if len(members) == 1:
                yield from ways
                return
            best = min(ways, key=lambda way: way.cost)
            keys += best.keys
            cost, exact, hashable = max(cost, best.cost), False, False
            continue
        values = _values(member)
        if values is None:
            return
        plain.update(dict.fromkeys(values))
        exact &= type(member) is not bool and len(values) == 1 and not _is_number(member)
        hashable &= not _is_number(member) and (member is None or len(values) == 1)
        exact |= member is None and len(members) == 1
    if plain:
        keys.append(Key("is", parts, tuple(plain)))
    if keys:
        yield Access(cost, tuple(keys), (literal,), exact, hashable)


def _values(member: Operand) -> tuple[Any, ...] | None:
    """What to look up; None for lists and objects. Python holds True == 1, and a date equals a number: see `exact`."""
    if member is None:
        return None, MISSING
    if isinstance(member, bool):
        return (member,)
    if isinstance(member, str):
        moment = dates.instant(member)
        return (member,) if moment is None else (member, *around(moment / 1_000_000))
    if isinstance(member, int | float):
        return spellings(member)
    return None


def around(milliseconds: float) -> tuple[float, ...]:
    """A double and its neighbours: a conversion may have rounded."""
    return milliseconds, math.nextafter(milliseconds, math.inf), math.nextafter(milliseconds, -math.inf)


def _is_number(member: Operand) -> bool:
    return type(member) is int or type(member) is float


def _of_text(literal: Literal, parts: Parts, pattern: str, *, folded: bool = False) -> Iterator[Access]:
    if not assumptions.has_wildcard(pattern):
        yield Access(Cost.EQUALITY, (Key("is", parts, (pattern,), folded),), (literal,), exact=True)
        return
    start, *inner, end = pattern.split("*")
    plain = not any(inner)
    if start:
        cost = Cost.AFFIX if len(start) >= _AFFIX else Cost.RANGE
        yield Access(cost, (Key("starts", parts, start, folded),), (literal,), exact=plain and not end)
    if end:
        cost = Cost.AFFIX if len(end) >= _AFFIX else Cost.RANGE
        yield Access(cost, (Key("ends", parts, end, folded),), (literal,), exact=plain and not start)
    for piece in inner:
        length = next((length for length in STRETCHES if length < len(piece)), None)
        if length is not None:
            stretches = [piece[at : at + length] for at in range(len(piece) - length + 1)]
            keys = [Key("holds", parts, tuple(stretches[first::2]), folded) for first in (0, 1)]
            yield Access(Cost.PIECE, tuple(keys), (literal,), exact=False)


def _of_glob(literal: Literal, parts: Parts, pattern: str) -> Iterator[Access]:
    if assumptions.negated_glob(pattern)[0]:
        return
    if "*" not in pattern:
        yield Access(Cost.EQUALITY, (Key("is", parts, (pattern,)),), (literal,), exact=False)
        return
    # A slash beside `**` may stand for nothing, so it is no part of what a text must have.
    start, *_, end = pattern.split("*")
    for family, text in (("starts", start.removesuffix("/")), ("ends", end.removeprefix("/"))):
        if text:
            cost = Cost.AFFIX if len(text) >= _AFFIX else Cost.RANGE
            yield Access(cost, (Key(family, parts, text),), (literal,), exact=False)


# -- ranges --------------------------------------------------------------------------------------------------------


def of_both_bounds(conjunction: Conjunction) -> Iterator[Access]:
    """Two bounds on one path, both numbers or both dates. Only for a path with one value: of several, one may keep the
    one bound and another the other."""
    bounds: defaultdict[tuple[Parts, bool], dict[str, Literal]] = defaultdict(dict)
    for literal in conjunction:
        clause = literal.clause
        if not literal.wanted or isinstance(clause, ElementMatch) or clause.operator not in RANGE:
            continue
        is_date = isinstance(clause.operand, str) and dates.instant(clause.operand) is not None
        if clause.parts and (is_date or _is_number(clause.operand)):
            end = "low" if clause.operator in ("$gt", "$gte") else "high"
            bounds[clause.parts, is_date].setdefault(end, literal)
    for (parts, _), ends in bounds.items():
        if len(ends) == 2:
            bounds_of_it = (_bound(ends["low"]), _bound(ends["high"]))
            yield Access(Cost.RANGE, (Key("between", parts, bounds_of_it),), (ends["low"], ends["high"]), exact=True)


def _bound(literal: Literal) -> tuple[str, Any]:
    assert isinstance(literal.clause, Comparison)
    return literal.clause.operator, literal.clause.operand
