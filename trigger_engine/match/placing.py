"""How an index finds a trigger, told to people: its keys, who else stands under them, and what is left to ask."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from backbone.model.dql.conjunctions import Literal
from backbone.model.dql.expression import Nor, json_of
from backbone.model.dql.paths import MISSING
from trigger_engine.match.choosing import Family
from trigger_engine.match.filed import Filed
from trigger_engine.match.signatures import Signature


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One of the ways in which a trigger is found."""

    keys: tuple[str, ...]  #: looked up one after the other; none: it is asked of every event of its envelope
    others: int  #: conjunctions under the same keys
    left: tuple[dict[str, Any], ...]  #: clauses that are then asked, as filters


def place_of(filed: Filed) -> Place:
    keys: list[str] = []
    node = filed.node
    while node.home is not None:
        node, family, key = node.home
        keys.append(_told(family, key))
    left = tuple(sorted([_as_filter(check.literal) for check in filed.checks], key=str))
    return Place(keys=tuple(reversed(keys)), others=filed.node.load - 1, left=left)


def _told(family: Family, key: Any) -> str:
    if isinstance(family, Signature):
        values = key if len(family.paths) > 1 else (key,)
        told = (f"{'.'.join(path.parts)} = {_shown(value)}" for path, value in zip(family.paths, values, strict=True))
        return " and ".join(told)
    what, parts, folded = family.name
    any_case = ", in any case" if folded else ""
    return f"{'.'.join(parts)} {'=' if what == 'is' else what} {_shown(key)}{any_case}"


def _shown(value: Any) -> str:
    if value is MISSING:
        return "nothing"
    if isinstance(value, tuple):  # two bounds
        return " and ".join(f"{operator} {_shown(bound)}" for operator, bound in value)
    return (
        repr(value) if isinstance(value, str) else {None: "null", True: "true", False: "false"}.get(value, f"{value}")
    )


def _as_filter(literal: Literal) -> dict[str, Any]:
    return json_of(literal.clause if literal.wanted else Nor((literal.clause,)))
