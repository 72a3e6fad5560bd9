"""Why a filter holds for an entity or not: the first clause that decided it, with the value seen.

The verdict is that of the test which matching runs; the clauses are then asked one by one with tests compiled alike.
"""

from __future__ import annotations

from dataclasses import dataclass

from backbone.model.dql.evaluation import compiled
from backbone.model.dql.expression import And, Comparison, ElementMatch, Expression, Nor, Or, json_of, operand_json
from backbone.model.dql.paths import MISSING, Test, leaves
from backbone.model.dql.wording import clipped, shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """When `verdict` is false, `path`, `operator` and `operand` are those of the first failing clause.

    `seen` is the value there, or the list of values when the path went through a list; None when `missing`.
    A clause that fails because it holds, inside `$nor`, is named just so, and the sentence says it.
    """

    verdict: bool
    sentence: str
    path: str | None = None
    operator: str | None = None
    operand: object = None
    seen: object = None
    missing: bool = False


def explained(expression: Expression, test: Test, entity: object) -> Explanation:
    if test(entity):
        return Explanation(verdict=True, sentence="every clause holds")
    leaf, held = _decisive(expression, entity, held=False)
    if isinstance(leaf, And | Or | Nor):
        return Explanation(verdict=False, sentence=_of_nothing(leaf))
    missing, seen = _seen(leaf.parts, entity)
    operator, operand = _asked(leaf)
    state = "missing" if missing else shown(seen)
    asks = "refuses" if held else "asks for"
    return Explanation(
        verdict=False,
        sentence=f"{clipped(leaf.path)} is {state}; the filter {asks} {operator} {shown(operand)}",
        path=leaf.path,
        operator=operator,
        operand=operand,
        seen=seen,
        missing=missing,
    )


def _decisive(expression: Expression, entity: object, *, held: bool) -> tuple[Expression, bool]:
    """The first clause without members that made `expression` hold, or fail, and whether it held itself."""
    if isinstance(expression, Comparison | ElementMatch) or not expression.members:
        return expression, held
    wanted = not held if isinstance(expression, Nor) else held
    first = next(member for member in expression.members if compiled(member)(entity) is wanted)
    return _decisive(first, entity, held=wanted)


def _of_nothing(expression: And | Or | Nor) -> str:
    if isinstance(expression, Or):
        return "the filter has an $or without alternatives, which never holds"
    return "the filter refuses everything: a $nor has a member without conditions"


def _seen(parts: tuple[str, ...], entity: object) -> tuple[bool, object]:
    found = [leaf for leaf in leaves(entity, parts) if leaf is not MISSING]
    if not found:
        return True, None
    return False, found if _through_a_list(parts, entity) else found[0]


def _through_a_list(parts: tuple[str, ...], entity: object) -> bool:
    node = entity
    for part in parts:
        if not isinstance(node, dict):
            return True
        node = node.get(part)
    return False


def _asked(leaf: Comparison | ElementMatch) -> tuple[str, object]:
    if isinstance(leaf, Comparison):
        return leaf.operator, operand_json(leaf.operand)
    return "$match", json_of(leaf.condition)
