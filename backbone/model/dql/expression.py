"""What a filter says, as an immutable tree: the one form from which an evaluator, an index or an SQL compiler is built.

Everything here is checked: a tree exists only if the document it was parsed from keeps every rule and limit. Nodes are
hashable, so that equal predicates of many filters can be shared; mind that Python holds `True == 1` and `1 == 1.0`, so
a key made of an operand needs its type beside it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Object:
    """A JSON object that is compared as a whole; its members are sorted by key, because order does not count."""

    members: tuple[tuple[str, Operand], ...]


Operand: TypeAlias = None | bool | int | float | str | tuple["Operand", ...] | Object


@dataclass(frozen=True, slots=True)
class Comparison:
    """One operator at one path. `$in` and `$nin` hold a tuple, also when the document named a single value.

    `parts` is empty inside an `ElementMatch` on values: the element itself is compared.
    """

    parts: tuple[str, ...]
    operator: str
    operand: Operand

    @property
    def path(self) -> str:
        return ".".join(self.parts)


@dataclass(frozen=True, slots=True)
class ElementMatch:
    """`$match` with an object: one element of the list at the path satisfies the whole condition.

    With `on_values` the condition compares the element itself (`{"$gt": 1, "$lt": 5}`); otherwise it names fields of it.
    """

    parts: tuple[str, ...]
    condition: Expression
    on_values: bool

    @property
    def path(self) -> str:
        return ".".join(self.parts)


@dataclass(frozen=True, slots=True)
class And:
    """All hold; with no members it holds for every entity."""

    members: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """At least one holds; with no members none does."""

    members: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Nor:
    """None holds; with one member it is negation."""

    members: tuple[Expression, ...]


Expression: TypeAlias = And | Or | Nor | Comparison | ElementMatch


def conjunction(members: list[Expression]) -> Expression:
    """All of `members`, without an And around one alone and without an And directly inside an And."""
    flat: list[Expression] = []
    for member in members:
        if isinstance(member, And):
            flat.extend(member.members)
        else:
            flat.append(member)
    return flat[0] if len(flat) == 1 else And(tuple(flat))


def document_of(operand: Operand) -> object:
    """The operand as the JSON value it was parsed from."""
    if isinstance(operand, tuple):
        return [document_of(member) for member in operand]
    if isinstance(operand, Object):
        return {key: document_of(member) for key, member in operand.members}
    return operand
