"""What `triggers apply` would change: the declared triggers beside those that are there. Pure."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from backbone.model import schedules, triggers
from backbone.model.errors import InvalidTrigger, NotFound
from backbone.model.loops import LoopProtection
from backbone.model.resources import OnceMeans
from launcher.cli.declaring.files import Declared

_WHEN = (
    *("resource", "actions", "filter", "executionMode"),
    *("cron", "timezone", "startAt", "endAt", "misfire", "overlap", "jitter"),
)
"""The fields of `spec` that say of which events, or when."""

Document = dict[str, Any]
Verb = Literal["create", "update", "unchanged", "delete"]


@dataclass(frozen=True, slots=True)
class Present:
    """What is there now. A project that is not there yet is not in `projects` and has nothing in it."""

    projects: Mapping[str, str]  #: id by name
    services: Sequence[Document]
    triggers: Sequence[Document]

    def project_id(self, key: str | None) -> str | None:
        """None for a project that is not there, and for every project: `of` tells these apart."""
        if key is None:
            return None
        return self.projects.get(key) or (key if key in self.projects.values() else None)

    def of(self, key: str | None) -> list[Document]:
        """The triggers of the project; those of every project when None is asked for."""
        project_id = self.project_id(key)
        if key is not None and project_id is None:
            return []
        return [trigger for trigger in self.triggers if trigger["projectId"] == project_id]


@dataclass(frozen=True, slots=True)
class Difference:
    field: str
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class Change:
    verb: Verb
    project: str | None
    name: str
    id: str | None = None  #: of the trigger that is there
    body: Document | None = None  #: what the engine is sent
    differences: tuple[Difference, ...] = ()


def changes(declared: Sequence[Declared], present: Present, *, prune: bool) -> list[Change]:
    planned = [_change(one, present) for one in declared]
    return planned + _pruned(declared, present) if prune else planned


def _change(declared: Declared, present: Present) -> Change:
    there = [trigger for trigger in present.of(declared.project) if trigger["name"] == declared.name]
    if len(there) > 1:
        raise InvalidTrigger(
            f"{declared.place}: name",
            f"{declared.name!r} names {len(there)} triggers of {place(declared.project)}; delete all but one by id",
        )
    service = _service(declared, present)
    active = declared.draft.active if declared.says_active or not there else bool(there[0]["active"])
    body = _body(declared, service, active)
    kind = there[0].get("type", triggers.EVENT) if there else None
    if there and kind != body.get("type", triggers.EVENT):
        raise InvalidTrigger(
            f"{declared.place}: type", f"{declared.name!r} is of type {kind!r} already, and stays so; delete it first"
        )
    if not there:
        return Change("create", declared.project, declared.name, body=body)
    found = differences(there[0], body, {service["id"]: service["name"] for service in present.services})
    verb: Verb = "update" if found else "unchanged"
    return Change(verb, declared.project, declared.name, there[0]["id"], body, found)


def _service(declared: Declared, present: Present) -> str:
    """The id of the service that a trigger names, which may be known by its id in any project."""
    where = declared.service_project
    project_id = present.project_id(where)
    named = [
        service["id"]
        for service in present.services
        if service["name"] == declared.service and (where is None or service["projectId"] == project_id)
    ]
    found = named or [service["id"] for service in present.services if service["id"] == declared.service]
    if not found:
        raise NotFound(f"service for {declared.place}, in {place(where)}:", declared.service)
    if len(found) > 1:
        raise InvalidTrigger(
            f"{declared.place}: spec.operation.service",
            f"{declared.service!r} is in several projects; give one of their ids: {', '.join(found)}",
        )
    return str(found[0])


def place(project: str | None) -> str:
    return "every project" if project is None else f"project {project!r}"


def _body(declared: Declared, service_id: str, active: bool) -> Document:
    draft = declared.draft
    return {
        "name": declared.name,
        **({"global": True} if declared.project is None else {"project": declared.project}),
        **({"type": triggers.CRON} if draft.schedule else {}),
        "active": active,
        "spec": {
            **_when(draft),
            "input": dict(draft.input),
            "operation": {"type": "function", "serviceId": service_id, "functionName": draft.function_name},
        },
    }


def _when(draft: triggers.TriggerDraft) -> Document:
    if draft.schedule is not None:
        return schedules.document(draft.schedule)
    return {
        "resource": draft.resource,
        "actions": list(draft.actions),
        "filter": draft.filter,
        "executionMode": draft.mode.value,
        "onceMeans": draft.once_means.value,
        "loopProtection": draft.loop_protection.value,
    }


def differences(before: Document, after: Document, services: Mapping[str, str]) -> tuple[Difference, ...]:
    pairs = zip(_compared(before, services), _compared(after, services), strict=True)
    return tuple(Difference(field, old, new) for (field, old), (_, new) in pairs if _canonical(old) != _canonical(new))


def _compared(trigger: Document, services: Mapping[str, str]) -> list[tuple[str, Any]]:
    spec, operation = trigger["spec"], trigger["spec"]["operation"]
    when = {name: spec[name] for name in _WHEN if name in spec}
    if "actions" in when:
        when["actions"] = sorted(when["actions"])
    return [
        ("active", trigger["active"]),
        *((f"spec.{name}", when[name]) for name in when),
        ("spec.onceMeans", spec.get("onceMeans", OnceMeans.ATTEMPTED)),
        ("spec.input", spec.get("input") or {}),
        ("spec.loopProtection", spec.get("loopProtection", LoopProtection.AVOID_LOOP)),
        ("spec.operation.service", services.get(operation["serviceId"], operation["serviceId"])),
        ("spec.operation.functionName", operation["functionName"]),
    ]


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True)  # tells true from 1, which == does not


def _pruned(declared: Sequence[Declared], present: Present) -> list[Change]:
    """Triggers of the projects that the files name, which no file has; of every project, where a file names these."""
    there = [one for one in declared if one.project is None or present.project_id(one.project)]
    kept = {(present.project_id(one.project), one.name) for one in there}
    named = {present.project_id(one.project): one.project for one in there}
    return [
        Change("delete", named[trigger["projectId"]], trigger["name"], trigger["id"])
        for trigger in present.triggers
        if trigger["projectId"] in named and (trigger["projectId"], trigger["name"]) not in kept
    ]


def exported(triggers: Iterable[Document], projects: Mapping[str, str], services: Mapping[str, str]) -> Document:
    """The file that `apply` takes: names instead of ids, nothing that the engine made up. Names are by id here."""
    times = Counter(services.values())
    unlike = {service_id: name for service_id, name in services.items() if times[name] == 1}
    return {
        "triggers": [
            _as_written(trigger, projects, services if trigger["projectId"] else unlike) for trigger in triggers
        ]
    }


def _protection(spec: Document) -> Document:
    protection = spec.get("loopProtection", LoopProtection.AVOID_LOOP)
    return {} if protection == LoopProtection.AVOID_LOOP else {"loopProtection": protection}


def _as_written(trigger: Document, projects: Mapping[str, str], services: Mapping[str, str]) -> Document:
    spec, operation = trigger["spec"], trigger["spec"]["operation"]
    service_id, project_id = operation["serviceId"], trigger["projectId"]
    return {
        "name": trigger["name"],
        **({"project": projects.get(project_id, project_id)} if project_id else {"global": True}),
        **({"type": triggers.CRON} if trigger.get("type") == triggers.CRON else {}),
        "active": trigger["active"],
        "spec": {
            **{name: spec[name] for name in _WHEN if spec.get(name) is not None},
            **_once_means(spec),
            **({"input": spec["input"]} if spec.get("input") else {}),
            **_protection(spec),
            "operation": {
                "service": services.get(service_id, service_id),
                "functionName": operation["functionName"],
            },
        },
    }


def _once_means(spec: Document) -> Document:
    means = spec.get("onceMeans", OnceMeans.ATTEMPTED)
    return {} if means == OnceMeans.ATTEMPTED else {"onceMeans": means}
