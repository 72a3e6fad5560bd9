"""Numbers and instants as SQL, to the last bit: whole ones are `numeric`, others doubles, as to readers of JSON.

Python compares a whole number with a double by their exact values. PostgreSQL rounds one of them first, so a bound is
given twice: exactly, for whole numbers, and for doubles as the double nearest to it, with the operator to fit.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from typing import TypeAlias

import orjson

from backbone.model.dql import dates, equality
from backbone.model.dql.expression import Object, Operand
from backbone.store.dql_sql.parameters import Item, Parameters

Number: TypeAlias = int | float

_NANOSECONDS = 1_000_000  #: in one of the milliseconds that count since 1970
_FARTHEST = 10**21  #: nanoseconds to the end of the year 9999, and more


def are_in(operand: Operand) -> bool:
    if isinstance(operand, tuple):
        return any(map(are_in, operand))
    if isinstance(operand, Object):
        return any(are_in(member) for _, member in operand.members)
    return type(operand) is int or type(operand) is float


def beyond(order: str, bound: Number, it: str, parameters: Parameters) -> str:
    """A number on the `order` side of the bound."""
    nearest_order, nearest = _on_doubles(order, bound)
    return (
        f"(dql_integer({it}) {order} {_exactly(bound, parameters)}"
        f" OR dql_double({it}) {nearest_order} {parameters.put(nearest, 'float8')})"
    )


def beyond_instant(order: str, moment: int, it: str, parameters: Parameters) -> str:
    """A number that, as epoch milliseconds, is on the `order` side of the moment."""
    nearest_order, nearest = _on_doubles(order, moment)
    milliseconds = parameters.put(Decimal(moment) / _NANOSECONDS, "numeric")
    return (
        f"(dql_integer({it}) {order} {milliseconds}"
        f" OR dql_instant_of_epoch(dql_double({it})) {nearest_order} {parameters.put(nearest, 'float8')})"
    )


def instant_beyond(order: str, milliseconds: Number, it: str, parameters: Parameters) -> str:
    """A date on the `order` side of epoch milliseconds."""
    return f"dql_instant(dql_text({it})) {order} {_exactly(dates.instant_of_epoch(milliseconds), parameters)}"


def one_of(numbers: Sequence[Number], moments: Sequence[int], it: str, parameters: Parameters) -> Iterator[str]:
    """A number that is one of the numbers, or a moment in epoch milliseconds; a date that is one of the numbers."""
    spelled = [spelling for number in numbers for spelling in equality.spellings(number)]
    wholes = [int(number) for number in spelled if number == math.floor(number)]
    wholes += [moment // _NANOSECONDS for moment in moments if moment % _NANOSECONDS == 0]
    if wholes:
        yield f"dql_integer({it}) = ANY ({_array(map(Decimal, wholes), 'numeric', parameters)})"
    if spelled:
        epochs = [Decimal(epoch) for epoch in map(dates.instant_of_epoch, spelled) if abs(epoch) < _FARTHEST]
        yield f"dql_double({it}) = ANY ({_array(_doubles(spelled), 'float8', parameters)})"
        yield f"dql_instant(dql_text({it})) = ANY ({_array(epochs, 'numeric', parameters)})"
    if moments:
        yield f"dql_instant_of_epoch(dql_double({it})) = ANY ({_array(_doubles(moments), 'float8', parameters)})"


def same_as_one_of(operands: Sequence[Operand], it: str, parameters: Parameters) -> str:
    """A list or an object that is one of the operands, which hold numbers."""
    places: dict[str, int] = {}
    found: list[Number] = []

    def shape(operand: Operand) -> object:
        if isinstance(operand, tuple):
            return list(map(shape, operand))
        if isinstance(operand, Object):
            return {key: shape(member) for key, member in operand.members}
        if isinstance(operand, bool) or not isinstance(operand, int | float):
            return operand
        if repr(operand) not in places:
            found.append(operand)
            places[repr(operand)] = len(found)  # from 1, as SQL counts
        return places[repr(operand)]

    shapes = tuple(orjson.dumps(shape(operand)).decode() for operand in operands)
    rounded = [equality.spellings(number)[-1] for number in found]
    arrays = (
        parameters.put(shapes, "jsonb[]"),
        _array(map(_as_whole, found), "numeric", parameters),
        _array(map(_as_whole, rounded), "numeric", parameters),
        _array(map(_as_double, rounded), "float8", parameters),
    )
    return "(SELECT bool_or(dql_same({}, wanted, {}, {}, {})) FROM unnest({}) AS wanted)".format(
        it, *arrays[1:], arrays[0]
    )


def _on_doubles(order: str, bound: Number) -> tuple[str, float]:
    """The same side of the same bound for doubles alone: where none is the bound, from the nearest one on."""
    try:
        nearest = float(bound)
    except OverflowError:
        return order, math.copysign(math.inf, bound)
    if nearest == bound:
        return order, nearest
    if nearest > bound:
        return (">=" if order[0] == ">" else "<"), nearest
    return (">" if order[0] == ">" else "<="), nearest


def _exactly(number: Number, parameters: Parameters) -> str:
    return parameters.put(Decimal(number), "numeric")


def _as_whole(number: Number) -> Decimal | None:
    return Decimal(number) if number == math.floor(number) else None


def _as_double(number: Number) -> float | None:
    return float(number) if float(number) == number else None


def _doubles(numbers: Iterable[Number]) -> Iterator[float]:
    return (float(number) for number in numbers if float(number) == number)


def _array(items: Iterable[Item], type_: str, parameters: Parameters) -> str:
    return parameters.put(tuple(items), f"{type_}[]")
