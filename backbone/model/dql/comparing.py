"""Each operator as a test of one value at the path; `evaluation` applies it to all of them."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from backbone.model.dql import assumptions, dates, wildcards
from backbone.model.dql.equality import equals, fits_folded, one_of, text
from backbone.model.dql.expression import Comparison
from backbone.model.dql.paths import Test

_Order = Callable[[Any, Any], bool]

RANGE: dict[str, _Order] = {"$gt": operator.gt, "$gte": operator.ge, "$lt": operator.lt, "$lte": operator.le}


def test_of(comparison: Comparison) -> tuple[Test, bool]:
    """The test of one value, and whether the comparison is the negation: it holds where no value passes."""
    match comparison.operator, comparison.operand:
        case "$eq" | "$ne" as name, operand:
            return equals(operand), name == "$ne"
        case "$gt" | "$gte" | "$lt" | "$lte" as name, int() | float() as bound:
            return _beside_number(RANGE[name], bound), False
        case "$gt" | "$gte" | "$lt" | "$lte" as name, str() as bound:
            return _beside_text(RANGE[name], bound), False
        case "$in" | "$nin" as name, tuple() as operands:
            return one_of(operands), name == "$nin"
        case "$exists", wanted:
            return assumptions.exists, not wanted
        case "$glob", str() as operand:
            negated, pattern = assumptions.negated_glob(operand)
            return text(wildcards.glob(pattern)), negated
        case "$ieq" | "$ilike", str() as operand:
            return text(fits_folded(operand)), False
        case _, operand:  # `$match` with a text, `$ieq` with a value that has no case
            return equals(operand), False


def fits_of(comparison: Comparison) -> wildcards.Fits | None:
    """For a clause that only a text can pass, and that denies nothing: whether one does. None for every other."""
    match comparison.operator, comparison.operand:
        case "$eq" | "$match", str() as operand if assumptions.has_wildcard(operand):
            return wildcards.wildcard(operand)
        case "$ieq" | "$ilike", str() as operand:
            return fits_folded(operand)
    return None


def _beside_number(order: _Order, bound: int | float) -> Test:
    """Numbers compare with numbers, and as epoch milliseconds with ISO dates."""
    moment = dates.instant_of_epoch(bound)

    def holds(value: object) -> bool:
        if type(value) is int or type(value) is float:
            return order(value, bound)
        dated = dates.instant(value) if type(value) is str else None
        return dated is not None and order(dated, moment)

    return holds


def _beside_text(order: _Order, bound: str) -> Test:
    """Texts compare by code point, dates as instants, and a number with a text that writes a number or a date."""
    moment, number = dates.instant(bound), dates.number(bound)

    def holds(value: object) -> bool:
        if type(value) is str:
            dated = None if moment is None else dates.instant(value)
            return order(value, bound) if dated is None else order(dated, moment)
        if type(value) is int or type(value) is float:
            if number is not None:
                return order(value, number)
            return moment is not None and order(dates.instant_of_epoch(value), moment)
        return False

    return holds
