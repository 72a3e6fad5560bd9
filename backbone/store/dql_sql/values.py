"""Each operator as SQL over one value: what `comparing` and `equality` of the model do in closures.

A value is a jsonb, SQL's NULL where the field is missing; a test that gives NULL has not passed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

import orjson

from backbone.model.dql import assumptions, dates
from backbone.model.dql.expression import Comparison, Operand, operand_json
from backbone.store.dql_sql import numbers, texts
from backbone.store.dql_sql.parameters import Parameters

_RANGE = {"$gt": ">", "$gte": ">=", "$lt": "<", "$lte": "<="}


def test_of(comparison: Comparison, it: str, parameters: Parameters) -> tuple[str, bool]:
    """The test of one value, and whether the comparison is the negation: it holds where no value passes."""
    match comparison.operator, comparison.operand:
        case "$gt" | "$gte" | "$lt" | "$lte" as name, int() | float() as bound:
            return _beside_number(_RANGE[name], bound, it, parameters), False
        case "$gt" | "$gte" | "$lt" | "$lte" as name, str() as bound:
            return _beside_text(_RANGE[name], bound, it, parameters), False
        case "$exists", wanted:
            return f"{it} <> 'null'", not wanted
        case "$ieq" | "$ilike", str() as operand:
            return texts.fits_folded(operand, it, parameters), False
        case "$glob", str() as operand:
            negated, pattern = assumptions.negated_glob(operand)
            return texts.fits_glob(pattern, it, parameters), negated
        case name, _:
            return _one_of(operands_of(comparison), it, parameters), name in ("$ne", "$nin")


def operands_of(comparison: Comparison) -> tuple[Operand, ...]:
    """What one equality, or each of `$in`, compares with."""
    if comparison.operator in ("$in", "$nin") and isinstance(comparison.operand, tuple):
        return comparison.operand
    return (comparison.operand,)


def is_plain(operand: Operand) -> bool:
    """A text without wildcards that writes no date, or a truth: it equals only what is written like it."""
    if isinstance(operand, str):
        return not assumptions.has_wildcard(operand) and dates.instant(operand) is None
    return isinstance(operand, bool)


def _one_of(operands: tuple[Operand, ...], it: str, parameters: Parameters) -> str:
    wanted = _Wanted()
    for operand in operands:
        wanted.add(operand)
    tests = list(numbers.one_of(wanted.numbers, wanted.moments, it, parameters))
    if wanted.null:
        tests.append(f"coalesce({it}, 'null') = 'null'")
    if wanted.literals:
        tests.append(f"{it} = ANY ({parameters.put(tuple(wanted.literals), 'jsonb[]')})")
    if wanted.patterns:
        tests.append(texts.fits_one_of(wanted.patterns, it, parameters))
    if wanted.holding_numbers:
        tests.append(numbers.same_as_one_of(wanted.holding_numbers, it, parameters))
    return f"({' OR '.join(tests) or 'false'})"


@dataclass
class _Wanted:
    """Operands by how PostgreSQL is to compare with them."""

    null: bool = False
    literals: list[str] = field(default_factory=list)  #: as JSON, without a number in it
    patterns: list[str] = field(default_factory=list)
    numbers: list[int | float] = field(default_factory=list)
    moments: list[int] = field(default_factory=list)
    holding_numbers: list[Operand] = field(default_factory=list)

    def add(self, operand: Operand) -> None:
        if operand is None:
            self.null = True
        elif isinstance(operand, str) and assumptions.has_wildcard(operand):
            self.patterns.append(operand)
        elif isinstance(operand, int | float) and not isinstance(operand, bool):
            self.numbers.append(operand)
        elif numbers.are_in(operand):
            self.holding_numbers.append(operand)
        else:
            self.literals.append(orjson.dumps(operand_json(operand)).decode())
            moment = dates.instant(operand) if isinstance(operand, str) else None
            self.moments += [] if moment is None else [moment]


def _beside_number(order: str, bound: int | float, it: str, parameters: Parameters) -> str:
    number = numbers.beyond(order, bound, it, parameters)
    return f"({number} OR {numbers.instant_beyond(order, bound, it, parameters)})"


def _beside_text(order: str, bound: str, it: str, parameters: Parameters) -> str:
    moment, number = dates.instant(bound), dates.number(bound)
    text = f"{texts.of(it)} {order} {parameters.put(bound, 'text')}"
    if number is not None:
        return f"({text} OR {numbers.beyond(order, number, it, parameters)})"
    if moment is None:
        return text
    dated = f"dql_instant(dql_text({it})) {order} {parameters.put(Decimal(moment), 'numeric')}"
    return f"(coalesce({dated}, {text}) OR {numbers.beyond_instant(order, moment, it, parameters)})"
