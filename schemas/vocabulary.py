"""Which actions a resource has, and which modes an action allows, as rules of JSON Schema."""

from __future__ import annotations

from typing import Any

from backbone.model.resources import Catalog, ExecutionMode

Schema = dict[str, Any]


def resource(catalog: Catalog) -> Schema:
    return {"enum": list(catalog.resources)}


def action(catalog: Catalog) -> Schema:
    """For completion before the resource is known; the rules say more."""
    return {"enum": list(dict.fromkeys(action for actions in catalog.resources.values() for action in actions))}


def event_rules(catalog: Catalog) -> list[Schema]:
    return [
        {"if": _is(resource=name), "then": {"properties": {"action": {"enum": list(actions)}}}}
        for name, actions in catalog.resources.items()
    ]


def trigger_rules(catalog: Catalog) -> list[Schema]:
    rules: list[Schema] = []
    for name, actions in catalog.resources.items():
        always = [action for action, modes in actions.items() if ExecutionMode.ALWAYS in modes]
        rules.append({"if": _is(resource=name), "then": _actions(list(actions))})
        rules.append(
            {
                "if": _is(resource=name, executionMode="Always"),
                "then": _actions(always) if always else {"properties": {"executionMode": {"const": "Once"}}},
            }
        )
    return rules


def one_or_many(names: list[str]) -> Schema:
    return {"anyOf": [{"type": "array", "items": {"enum": names}, "minItems": 1}, {"enum": names}]}


def _actions(names: list[str]) -> Schema:
    return {"properties": {"actions": one_or_many(names)}}


def _is(**values: str) -> Schema:
    return {"properties": {name: {"const": value} for name, value in values.items()}, "required": list(values)}
