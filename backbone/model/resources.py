"""What can be listened to: resources, their actions, and the modes that each action allows.

The seven resources are the platform's. A deployment adds its own by the setting `resources`
(`Shipment:Created,Updated`); theirs allow both modes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from enum import StrEnum

from backbone.model import written_form
from backbone.model.errors import Invalid, InvalidEvent, InvalidTrigger


class ExecutionMode(StrEnum):
    ONCE = "Once"
    ALWAYS = "Always"


class OnceMeans(StrEnum):
    """What uses up the one time of Once: an execution, however it ends, or one that came to success."""

    ATTEMPTED = "attempted"
    SUCCEEDED = "succeeded"


_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")  # no dot: the type of a CloudEvent is split there
_ONCE = frozenset({ExecutionMode.ONCE})
_BOTH = frozenset(ExecutionMode)

KNOWN: Mapping[str, Mapping[str, frozenset[ExecutionMode]]] = {
    "Item": {"Created": _ONCE, "Updated": _BOTH, "Deleted": _ONCE, "Clone": _ONCE},
    "Dataset": {"Created": _ONCE, "Updated": _BOTH, "Deleted": _ONCE},
    "Annotation": {"Created": _ONCE, "Updated": _BOTH, "Deleted": _ONCE},
    "ItemStatus": {"Updated": _BOTH, "taskAssigned": _BOTH},
    "Task": {"Created": _ONCE, "Updated": _ONCE, "Deleted": _ONCE, "statusChanged": _ONCE},
    "Assignment": {"Created": _ONCE, "Updated": _ONCE, "Deleted": _ONCE, "statusChanged": _ONCE},
    "Model": {"Created": _ONCE, "Updated": _BOTH, "Deleted": _ONCE},
}


class Catalog:
    """The resources a deployment knows. Names are matched whatever their case; the known spelling comes back."""

    def __init__(self, resources: Mapping[str, Mapping[str, frozenset[ExecutionMode]]] = KNOWN) -> None:
        self.resources = resources
        pairs = [(resource, action) for resource, actions in resources.items() for action in actions]
        self._exact = frozenset(pairs)
        self._resource_by_lower = {resource.lower(): resource for resource in resources}
        self._action_by_lower = {(resource, action.lower()): action for resource, action in pairs}

    @classmethod
    def with_additions(cls, additions: Iterable[str] = ()) -> Catalog:
        """`additions`: one text a resource, `Name:Action,Action`. Raises Invalid for what does not read so.

        What is known keeps its spelling and its modes.
        """
        catalog = cls()
        for addition in additions:
            name, colon, actions = (part.strip() for part in addition.partition(":"))
            words = [action.strip() for action in actions.split(",")]
            if not (colon and all(map(_WORD.fullmatch, (name, *words)))):
                raise Invalid("resources", f"{addition!r} does not read Name:Action,Action")
            catalog = catalog._with(name, words)
        return catalog

    def _with(self, name: str, actions: Iterable[str]) -> Catalog:
        resource = self._resource_by_lower.get(name.lower(), name)
        modes = dict(self.resources.get(resource, {}))
        for action in actions:
            modes.setdefault(self._action_by_lower.get((resource, action.lower()), action), _BOTH)
        return Catalog({**self.resources, resource: modes})

    def check_event(
        self, resource: str, action: str, path: tuple[str, str] = ("resource", "action")
    ) -> tuple[str, str]:
        if (resource, action) in self._exact:
            return resource, action
        try:
            return self.spelling(resource, action, path)
        except InvalidTrigger as error:
            raise InvalidEvent(error.path, error.reason) from None

    def spelling(self, resource: str, action: str, path: tuple[str, str]) -> tuple[str, str]:
        known = self.resource(resource, path[0])
        found = self._action_by_lower.get((known, action.lower()))
        if found is None:
            raise InvalidTrigger(path[1], _unknown("an action of " + known, action, self.resources[known]))
        return known, found

    def resource(self, name: str, path: str) -> str:
        found = self._resource_by_lower.get(name.lower())
        if found is None:
            raise InvalidTrigger(path, _unknown("a known resource", name, self.resources))
        return found

    def check_mode(self, resource: str, action: str, mode: ExecutionMode, path: str) -> None:
        allowed = self.resources[resource][action]
        if mode not in allowed:
            names = ", ".join(sorted(allowed))
            raise InvalidTrigger(path, f"{mode.value} is not allowed for {resource}.{action}; allowed: {names}")


def _unknown(kind: str, given: str, known: Iterable[str]) -> str:
    return f"{written_form.clipped(given)!r} is not {kind}; {written_form.hint(given, known)}"
