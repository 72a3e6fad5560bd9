"""Values that a filter compares with: checked, and copied into a form that nobody can change afterwards."""

from __future__ import annotations

from collections.abc import Iterator

from backbone.model.dql import limits, operators
from backbone.model.dql.expression import Object, Operand
from backbone.model.dql.location import Location, refusal
from backbone.model.dql.wording import shown


def literal(value: object, at: Location, depth: int) -> Operand:
    if value is None or type(value) is str or type(value) is bool:
        return value
    if type(value) is int or type(value) is float:
        return _number(value, at)
    if isinstance(value, list):
        return tuple(literal(member, (at, index), depth + 1) for index, member in _members(value, at, depth))
    if isinstance(value, dict):
        return _object(value, at, depth)
    raise refusal(at, f"a {type(value).__name__} is not a JSON value")


def keys(document: dict[object, object], at: Location, depth: int) -> Iterator[tuple[str, object]]:
    """The members of an object, once its depth and each of its keys is found good."""
    check_depth(at, depth)
    for key, value in document.items():
        if not isinstance(key, str):
            raise refusal(at, f"the key {shown(key)} is not a string; JSON knows no other keys")
        yield key, value


def check_list(value: list[object], at: Location, depth: int) -> None:
    check_depth(at, depth)
    if len(value) > limits.LIST_MEMBERS:
        raise refusal(at, f"the list has {len(value):,} members; at most {limits.LIST_MEMBERS:,} are allowed")


def check_depth(at: Location, depth: int) -> None:
    if depth > limits.NESTING:
        raise refusal(at, f"objects and lists are nested deeper than {limits.NESTING} here")


def _members(value: list[object], at: Location, depth: int) -> Iterator[tuple[int, object]]:
    check_list(value, at, depth)
    return enumerate(value)


def _object(value: dict[object, object], at: Location, depth: int) -> Object:
    members: list[tuple[str, Operand]] = []
    for key, member in keys(value, at, depth):
        if key.startswith("$"):
            known = "an object that is compared as a whole holds values, not operators"
            raise refusal((at, key), known if key in operators.ALL else operators.unknown(key))
        members.append((key, literal(member, (at, key), depth + 1)))
    return Object(tuple(sorted(members, key=lambda member: member[0])))


def _number(value: int | float, at: Location) -> int | float:
    if -limits.NUMBER <= value <= limits.NUMBER:
        return value
    if isinstance(value, float):  # infinite, or not a number
        raise refusal(at, f"{value} is not a JSON number")
    raise refusal(at, f"{shown(value)} is more than a JSON number holds")
