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
    if isinstance(operand, str):
        return text(wildcards.wildcard(operand)) if assumptions.has_wildcard(operand) else _equals_text(operand)
    if isinstance(operand, int | float) and not isinstance(operand, bool):
        return _equals_number(operand)
    return _same(operand)


def equals_folded(operand: str) -> Test:
    """`$ieq`, `$ilike`: the same for texts, upper and lower case being one."""
    folded = assumptions.folded
    wanted = folded(operand)
    if assumptions.has_wildcard(wanted):
        fits = wildcards.wildcard(wanted)
        return text(lambda value: fits(folded(value)))
    return text(lambda value: folded(value) == wanted)


def one_of(operands: tuple[Operand, ...]) -> Test:
    """`$in`: plain texts and numbers by one look into a set, whatever else is listed one after the other."""
    texts = [operand for operand in operands if isinstance(operand, str)]
    patterns = [wildcards.wildcard(operand) for operand in texts if assumptions.has_wildcard(operand)]
    plain = frozenset(operand for operand in texts if not assumptions.has_wildcard(operand))
    dated = frozenset(map(dates.instant, plain)) - {None}
    numbers = frozenset(number for operand in operands for number in _spellings(operand))
    epochs = frozenset(map(dates.instant_of_epoch, numbers))
    others = [_same(operand) for operand in operands if not isinstance(operand, str) and not _spellings(operand)]

    def holds(value: object) -> bool:
        if type(value) is str:
            return (
                value in plain
                or any(fits(value) for fits in patterns)
                or (bool(epochs) and dates.instant(value) in epochs)
            )
        if type(value) is int or type(value) is float:
            return value in numbers or dates.instant_of_epoch(value) in dated
        return any(same(value) for same in others)

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
    moment = dates.instant_of_epoch(operand)
    same = _same(operand)
    return lambda value: same(value) or (type(value) is str and dates.instant(value) == moment)


def _spellings(operand: Operand) -> tuple[int | float, ...]:
    """A number as a JSON reader may hand it over: beyond 64 bits also as a double. Nothing for what is no number."""
    if isinstance(operand, bool) or not isinstance(operand, int | float):
        return ()
    return (operand, float(operand)) if abs(operand) >= 2**63 else (operand,)


def _same(operand: Operand) -> Test:
    """Equality as JSON has it, and inside lists and objects the only one: no wildcards, no dates."""
    if operand is None:
        return assumptions.is_null
    if isinstance(operand, str):
        return lambda value: value == operand
    if isinstance(operand, bool):
        return lambda value: value is operand
    if isinstance(operand, tuple):
        return _same_list([_same(member) for member in operand])
    if isinstance(operand, Object):
        return _same_object({key: _same(member) for key, member in operand.members})
    spellings = _spellings(operand)
    return lambda value: (type(value) is int or type(value) is float) and value in spellings


def _same_list(members: list[Test]) -> Test:
    def holds(value: object) -> bool:
        return (
            type(value) is list
            and len(value) == len(members)
            and all(same(element) for same, element in zip(members, value, strict=True))
        )

    return holds


def _same_object(members: dict[str, Test]) -> Test:
    def holds(value: object) -> bool:
        return (
            type(value) is dict
            and len(value) == len(members)
            and all(key in value and same(value[key]) for key, same in members.items())
        )

    return holds
