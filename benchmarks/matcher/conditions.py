"""What a trigger of the sets asks for, in a form that goes into DQL and into the languages of others."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Condition:
    """`kind`: is, one of, has (a list, that member), starts, ends, contains, above, below, between (low, high)."""

    path: str
    kind: str
    value: Any


Conditions = Sequence[Condition]


def dql(conditions: Conditions) -> dict[str, Any]:
    """As the SDK writes it: a clause each."""
    return {"$and": [{each.path: _dql(each)} for each in conditions]}


def _dql(condition: Condition) -> Any:
    match condition.kind, condition.value:
        case "is" | "has", value:
            return value
        case "one of", members:
            return {"$in": members}
        case "starts", literal:
            return f"{literal}*"
        case "ends", literal:
            return f"*{literal}"
        case "contains", literal:
            return f"*{literal}*"
        case "above", bound:
            return {"$gt": bound}
        case "below", bound:
            return {"$lt": bound}
        case "between", (low, high):
            return {"$gte": low, "$lt": high}
    raise ValueError(condition.kind)


def event_ruler(conditions: Conditions, envelope: dict[str, str]) -> str:
    """A rule on an event whose envelope stands beside the entity."""
    rule: dict[str, Any] = {key: [value] for key, value in envelope.items()}
    for condition in conditions:
        *parents, last = ("entity", *condition.path.split("."))
        node = rule
        for parent in parents:
            node = node.setdefault(parent, {})
        node[last] = _event_ruler(condition)
    return json.dumps(rule)


def _event_ruler(condition: Condition) -> list[Any]:
    match condition.kind, condition.value:
        case "is" | "has", value:
            return [value]
        case "one of", members:
            return list(members)
        case "starts", literal:
            return [{"prefix": literal}]
        case "ends", literal:
            return [{"suffix": literal}]
        case "contains", literal:
            return [{"wildcard": f"*{literal}*"}]
        case "above", bound:
            return [{"numeric": [">", bound]}]
        case "below", bound:
            return [{"numeric": ["<", bound]}]
        case "between", (low, high):
            return [{"numeric": [">=", low, "<", high]}]
    raise ValueError(condition.kind)


def mongo(conditions: Conditions) -> dict[str, Any]:
    """A wildcard is a regular expression there."""
    return {"$and": [{each.path: _mongo(each)} for each in conditions]}


def _mongo(condition: Condition) -> Any:
    if condition.kind in ("starts", "ends", "contains"):
        literal = re.escape(condition.value)
        return {"$regex": {"starts": f"^{literal}", "ends": f"{literal}$", "contains": literal}[condition.kind]}
    return _dql(condition)


def rule_engine(conditions: Conditions) -> str:
    return " and ".join(_rule_engine(each) for each in conditions)


def _rule_engine(condition: Condition) -> str:
    first, *rest = condition.path.split(".")
    at = first + "".join(f"[{json.dumps(key)}]" for key in rest)
    if condition.kind in ("starts", "ends", "contains"):
        literal = json.dumps(condition.value)
        method = {"starts": "starts_with", "ends": "ends_with"}.get(condition.kind)
        return f"{at}.{method}({literal})" if method else f"{literal} in {at}"
    return _in_symbols(condition, at)


def cel(conditions: Conditions) -> str:
    return " && ".join(_cel(each) for each in conditions)


def _cel(condition: Condition) -> str:
    at = condition.path
    if condition.kind in ("starts", "ends", "contains"):
        method = {"starts": "startsWith", "ends": "endsWith", "contains": "contains"}[condition.kind]
        return f"{at}.{method}({json.dumps(condition.value)})"
    return _in_symbols(condition, at).replace(" and ", " && ")


def _in_symbols(condition: Condition, at: str) -> str:
    value = condition.value
    if condition.kind == "between":
        return f"{at} >= {value[0]} and {at} < {value[1]}"
    written = json.dumps(value)
    return {
        "is": f"{at} == {written}",
        "has": f"{written} in {at}",
        "one of": f"{at} in {written}",
        "above": f"{at} > {written}",
        "below": f"{at} < {written}",
    }[condition.kind]
