"""What JSON Schema can say of a DQL filter: where operators may stand, and which there are."""

from __future__ import annotations

from typing import Any

from backbone.model.dql import operators

_FIELD = "^[^$]"


def definitions() -> dict[str, Any]:
    """`Filter`, and `FilterCondition`: what may be asked of one field."""
    members = {"type": "array", "maxItems": 1000, "items": {"$ref": "#/$defs/Filter"}}
    logical = {
        "$and": {"title": "All of", "description": "All of these filters hold.", **members},
        "$or": {"title": "Any of", "description": "At least one of these filters holds.", **members},
        "$nor": {"title": "None of", "description": "None of these filters holds.", **members},
    }
    return {
        "Filter": {
            "title": "Filter (DQL)",
            "description": "Field names beside $and, $or, $nor: all of them must hold. {} means every entity.",
            "type": "object",
            "properties": logical,
            "patternProperties": {_FIELD: {"$ref": "#/$defs/FilterCondition"}},
            "additionalProperties": False,
            "examples": [{"$and": [{"hidden": False}, {"type": "file"}, {"dir": "/train"}]}],
        },
        "FilterCondition": {
            "title": "Condition on a field",
            "description": 'A value to be equal to (texts may hold * as a wildcard), or operators such as {"$gt": 5}.',
            "if": {"type": "object"},
            "then": {
                "properties": {operator: _operator(operator) for operator in sorted(operators.COMPARISON)},
                "propertyNames": {"anyOf": [{"enum": sorted(operators.ALL)}, {"pattern": _FIELD}]},
                "patternProperties": {_FIELD: {"$ref": "#/$defs/FilterCondition"}},
            },
        },
    }


def _operator(name: str) -> dict[str, Any]:
    return {"description": _MEANING[name], **_OPERAND.get(name, {})}


_MEANING = {
    "$eq": "equal",
    "$ne": "not equal; also where the field is missing",
    "$gt": "greater than",
    "$gte": "greater than or equal",
    "$lt": "less than",
    "$lte": "less than or equal",
    "$in": "equal to one of these",
    "$nin": "equal to none of these",
    "$exists": "true: the field is there and not null; false: it is not",
    "$match": "an element of the list meets all of these conditions, or matches this text",
    "$ieq": "equal, whatever the case",
    "$ilike": "matches this text with wildcards, whatever the case",
    "$glob": "matches this pattern; a leading ! turns it round",
}
_OPERAND: dict[str, dict[str, Any]] = {
    "$exists": {"type": "boolean"},
    "$ilike": {"type": "string"},
    "$glob": {"type": "string"},
    "$match": {"type": ["string", "object"]},
    **{name: {"type": ["number", "string"]} for name in operators.RANGE},
}
