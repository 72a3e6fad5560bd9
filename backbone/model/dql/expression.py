"""What a filter says, as an immutable tree: the one form from which an evaluator, an index or an SQL compiler is built.

Everything here is checked: a tree exists only if the document it was parsed from keeps every rule and limit. Nodes are
hashable, so that equal predicates of many filters can be shared; mind that Python holds `True == 1` and `1 == 1.0`, so
a key made of an operand needs its type beside it.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec


class Object(msgspec.Struct, frozen=True, gc=False):
    """A JSON object that is compared as a whole; its members are sorted by key, because order does not count."""

    members: tuple[tuple[str, Operand], ...]


Operand: TypeAlias = bool | int | float | str | tuple["Operand", ...] | Object | None


class Comparison(msgspec.Struct, frozen=True, gc=False):
    """One operator at one path. `$in` and `$nin` hold a tuple, also when the document named a single value.

    `parts` is empty inside an `ElementMatch` on values: the element itself is compared.
    """

    parts: tuple[str, ...]
    operator: str
    operand: Operand

    @property
    def path(self) -> str:
        return ".".join(self.parts)


class ElementMatch(msgspec.Struct, frozen=True, gc=False):
    """`$match` with an object: one element of the list at the path satisfies the whole condition.

    With `on_values` the condition compares the element itself (`{"$gt": 1, "$lt": 5}`), otherwise fields of it.
    """

    parts: tuple[str, ...]
    condition: Expression
    on_values: bool

    @property
    def path(self) -> str:
        return ".".join(self.parts)


class And(msgspec.Struct, frozen=True, gc=False):
    """All hold; with no members it holds for every entity."""

    members: tuple[Expression, ...]


class Or(msgspec.Struct, frozen=True, gc=False):
    """At least one holds; with no members none does."""

    members: tuple[Expression, ...]


class Nor(msgspec.Struct, frozen=True, gc=False):
    """None holds; with one member it is negation."""

    members: tuple[Expression, ...]


Expression: TypeAlias = And | Or | Nor | Comparison | ElementMatch


def conjunction(members: list[Expression]) -> Expression:
    """All of `members`, without an And around one alone and without an And directly inside an And."""
    if len(members) == 1:
        return members[0]
    flat: list[Expression] = []
    for member in members:
        if isinstance(member, And):
            flat.extend(member.members)
        else:
            flat.append(member)
    return flat[0] if len(flat) == 1 else And(tuple(flat))


def json_of(expression: Expression) -> dict[str, object]:
    """The expression as a filter document again: parsed, it gives the same expression."""
    match expression:
        case Comparison(parts, operator, operand):
            asked: dict[str, object] = {operator: operand_json(operand)}
            return {expression.path: asked} if parts else asked
        case ElementMatch(parts, condition):
            asked = {"$match": json_of(condition)}
            return {expression.path: asked} if parts else asked
        case And(members) if members and all(_on_the_element(member) for member in members):
            return {operator: operand for member in members for operator, operand in json_of(member).items()}
        case And(members):
            return {"$and": [json_of(member) for member in members]} if members else {}
        case Or(members):
            return {"$or": [json_of(member) for member in members]}
        case Nor(members):
            return {"$nor": [json_of(member) for member in members]}


def operand_json(operand: Operand) -> object:
    if isinstance(operand, tuple):
        return [operand_json(member) for member in operand]
    if isinstance(operand, Object):
        return {key: operand_json(member) for key, member in operand.members}
    return operand


def _on_the_element(member: Expression) -> bool:
    return isinstance(member, Comparison | ElementMatch) and not member.parts
