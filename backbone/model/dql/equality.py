"""Equality as DQL means it, each operand turned into a test of one value.

The operand is looked at once, here; what remains for matching is a closure that asks for the value's type first,
because Python holds `True == 1` and JSON does not.
"""

from __future__ import annotations

from backbone.model.dql import assumptions, dates, wildcards
from backbone.model.dql.expression import Object, Operand
from backbone.model.dql.paths import Test


def equals(operand: Operand) -> Test:
    """`$eq`: texts may hold wildcards, and a date in ISO equals the same instant in epoch milliseconds."""
    if operand is None:
        return assumptions.is_null
    if isinstance(operand, str):
        return text(wildcards.wildcard(operand)) if assumptions.has_wildcard(operand) else _equals_text(operand)
    if isinstance(operand, bool):
        return lambda value: value is operand
    if type(operand) is int or type(operand) is float:
        return _equals_number(operand)
    return lambda value: _same(operand, value)


def fits_folded(operand: str) -> wildcards.Fits:
    """`$ieq`, `$ilike`: the same for texts, upper and lower case being one."""
    folded = assumptions.folded
    wanted = folded(operand)
    if assumptions.has_wildcard(wanted):
        fits = wildcards.wildcard(wanted)
        return lambda value: fits(folded(value))
    return lambda value: folded(value) == wanted


def one_of(operands: tuple[Operand, ...]) -> Test:
    """`$in`: plain texts and numbers by one look into a set, whatever else is listed one after the other."""
    texts = [operand for operand in operands if isinstance(operand, str)]
    patterns = [wildcards.wildcard(operand) for operand in texts if assumptions.has_wildcard(operand)]
    plain = frozenset(operand for operand in texts if not assumptions.has_wildcard(operand))
    dated = frozenset(map(dates.instant, plain)) - {None}
    numbers = [operand for operand in operands if type(operand) is int or type(operand) is float]
    spelled = frozenset(spelling for number in numbers for spelling in spellings(number))
    epochs = frozenset(map(dates.instant_of_epoch, spelled))
    others = [equals(operand) for operand in operands if type(operand) not in (str, int, float)]

    def holds(value: object) -> bool:
        if type(value) is str:
            return (
                value in plain
                or any(fits(value) for fits in patterns)
                or (bool(epochs) and dates.instant(value) in epochs)
            )
        if type(value) is int or type(value) is float:
            return value in spelled or dates.instant_of_epoch(value) in dated
        return any(equal(value) for equal in others)

    return holds


def text(fits: wildcards.Fits) -> Test:
    return lambda value: type(value) is str and fits(value)


def _equals_text(operand: str) -> Test:
    moment = dates.instant(operand)
    if moment is None:
        return lambda value: value == operand

    def holds(value: object) -> bool:
        if type(value) is int or type(value) is float:
            return dates.instant_of_epoch(value) == moment
        return value == operand

    return holds


def _equals_number(operand: int | float) -> Test:
    spelled = spellings(operand)

    def holds(value: object) -> bool:
        if type(value) is int or type(value) is float:
            return value in spelled
        return type(value) is str and dates.instant(value) == dates.instant_of_epoch(operand)

    return holds


def spellings(number: int | float) -> tuple[int | float, ...]:
    """A number as a JSON reader may hand it over: beyond 64 bits also as a double."""
    return (number,) if -(2**63) < number < 2**63 else (number, float(number))


def _same(operand: Operand, value: object) -> bool:
    """Equality inside lists and objects, where a text has no wildcards and a date is a text."""
    if isinstance(operand, tuple):
        return type(value) is list and len(value) == len(operand) and all(map(_same, operand, value))
    if isinstance(operand, Object):
        return (
            type(value) is dict
            and len(value) == len(operand.members)
            and all(key in value and _same(member, value[key]) for key, member in operand.members)
        )
    if operand is None or isinstance(operand, bool):
        return value is operand
    if isinstance(operand, str):
        return value == operand
    return (type(value) is int or type(value) is float) and value in spellings(operand)
