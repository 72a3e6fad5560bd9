"""From a filter document to its expression. What is wrong is found here, with its place, and never when matching."""

from __future__ import annotations

import itertools

from backbone.model.dql import assumptions, limits, operators, wildcards
from backbone.model.dql.expression import (
    Comparison,
    ElementMatch,
    Expression,
    Nor,
    Object,
    Operand,
    Or,
    conjunction,
)
from backbone.model.dql.literals import check_depth, check_list, keys, literal
from backbone.model.dql.location import Location, refusal
from backbone.model.dql.wording import clipped, shown

_Parts = tuple[str, ...]


def parse(document: dict[object, object], at: Location) -> Expression:
    expression = _conditions(document, at, 1)
    if limits.conjunctions(expression) > limits.CONJUNCTIONS:
        raise refusal(
            at,
            f"with its $or multiplied out it has more than {limits.CONJUNCTIONS} alternatives; "
            "several values of one field belong in one $in",
        )
    if limits.indexes(expression) > limits.INDEXES:
        raise refusal(at, f"a path has more than {limits.INDEXES} numbers among its parts")
    return expression


def member(key: str, value: object) -> Expression:
    """What one member of a document says that was parsed before; member after member they are its conditions."""
    if key.startswith("$"):
        return _conditions({key: value}, (None, key), 1)
    return _field(tuple(key.split(".")), value, (None, key), 2)


def _conditions(document: dict[object, object], at: Location, depth: int) -> Expression:
    """Field names and logical operators side by side: all of them must hold."""
    members: list[Expression] = []
    for key, value in keys(document, at, depth):
        here = (at, key)
        if not key.startswith("$"):
            members.append(_field(_path((), key, here), value, here, depth + 1))
        elif key in operators.LOGICAL:
            members.append(_logical(key, value, here, depth + 1))
        elif key in operators.COMPARISON:
            raise refusal(here, f'operator {key} needs a field around it: {{"field": {{"{key}": …}}}}')
        else:
            raise refusal(here, operators.unknown(key))
    return conjunction(members)


def _logical(operator: str, value: object, at: Location, depth: int) -> Expression:
    if not isinstance(value, list):
        raise refusal(at, f"{operator} wants a list of filters, not {shown(value)}")
    check_list(value, at, depth)
    members: list[Expression] = []
    for index, member in enumerate(value):
        if not isinstance(member, dict):
            raise refusal((at, index), f"{operator} wants filters as its members, not {shown(member)}")
        members.append(_conditions(member, (at, index), depth + 1))
    if operator == "$and":
        return conjunction(members)
    return Or(tuple(members)) if operator == "$or" else Nor(tuple(members))


def _field(parts: _Parts, value: object, at: Location, depth: int) -> Expression:
    if not isinstance(value, dict):
        return Comparison(parts, "$eq", literal(value, at, depth))
    if not value:
        return Comparison(parts, "$eq", Object(()))
    if len(value) == 1:  # as nearly all are
        [(key, member)] = value.items()
        if _is_operator(key):
            check_depth(at, depth)
            return _operator(parts, key, member, (at, key), depth + 1)
    if _holds_operators(value, at):
        return conjunction(
            [_operator(parts, key, member, (at, key), depth + 1) for key, member in keys(value, at, depth)]
        )
    return conjunction(
        [_field(_path(parts, key, (at, key)), member, (at, key), depth + 1) for key, member in keys(value, at, depth)]
    )


def _holds_operators(value: dict[object, object], at: Location) -> bool:
    found = next(filter(_is_operator, value), None)
    plain = next(itertools.filterfalse(_is_operator, value), None)
    if found is not None and plain is not None:
        raise refusal(at, f"operator {clipped(str(found))} and field {shown(plain)} do not go into one object")
    return found is not None


def _is_operator(key: object) -> bool:
    return isinstance(key, str) and key.startswith("$")


def _path(before: _Parts, key: str, at: Location) -> _Parts:
    parts = (*before, *key.split(".")) if "." in key else (*before, key)
    if len(parts) > limits.NESTING:
        raise refusal(at, f"the path has more than {limits.NESTING} parts")
    if "" in parts:
        raise refusal(at, f"the field name {shown(key)} has an empty part")
    return parts


def _operator(parts: _Parts, operator: str, value: object, at: Location, depth: int) -> Expression:
    if operator == "$match" and isinstance(value, dict):
        on_values = any(_is_operator(key) and key not in operators.LOGICAL for key in value)
        condition = _field((), value, at, depth) if on_values else _conditions(value, at, depth)
        return ElementMatch(parts, condition, on_values)
    if operator in operators.LOGICAL:
        raise refusal(at, f"{operator} stands beside field names, not under one")
    if operator not in operators.COMPARISON:
        raise refusal(at, operators.unknown(operator))
    return Comparison(parts, operator, _operand(operator, value, at, depth))


def _operand(operator: str, value: object, at: Location, depth: int) -> Operand:
    operand = literal(value, at, depth)
    if operator in operators.MEMBERSHIP:
        return assumptions.members(operand)
    wanted = _wanted(operator, operand)
    if wanted:
        raise refusal(at, f"{operator} wants {wanted}, not {shown(value)}")
    return operand


def _wanted(operator: str, operand: Operand) -> str | None:
    """What the operator would have taken, if not this."""
    if operator == "$exists" and not isinstance(operand, bool):
        return "true or false"
    if operator in operators.RANGE and (isinstance(operand, bool) or not isinstance(operand, int | float | str)):
        return "a number or a text"
    if operator == "$match" and not isinstance(operand, str):
        return "an object of conditions on one element, or a text with wildcards"
    if operator in ("$ilike", "$glob") and not isinstance(operand, str):
        return "a text"
    if operator == "$ieq" and isinstance(operand, tuple | Object):
        return "a text, a number, true, false or null"
    if operator == "$glob" and isinstance(operand, str) and wildcards.stars(operand) > limits.GLOB_STARS:
        return f"at most {limits.GLOB_STARS} wildcards"
    return None
