"""A trigger: who wants to know of which events, or when by the clock, and the function to run then.

Two spellings of Event triggers are read: the platform's (`spec` holds resource, actions, filter, mode, operation) and
the flat one of a 2023 service.json (`{name, filter, resource, actions, executionMode, active, function}`). Projects and
services may be named instead of numbered: `project`, `spec.operation.service`. A Cron trigger has the platform's
spelling alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec

from backbone.model import dql, schedules, written_form
from backbone.model.dql import access
from backbone.model.errors import InvalidFilter, InvalidTrigger
from backbone.model.loops import LoopProtection
from backbone.model.resources import Catalog, ExecutionMode, OnceMeans
from backbone.model.schedules import Schedule, WrittenSchedule

MAX_NAME_LENGTH = 255

CRON = "Cron"
EVENT = "Event"
TYPES = (EVENT, CRON)


@dataclass(frozen=True, slots=True, kw_only=True)
class TriggerDraft:
    """A trigger as somebody wrote it, checked; names not yet resolved. None is 'not said'."""

    name: str | None
    project: str | None  #: an id or a name
    org_wide: bool = False  #: of no project: it listens in every one
    service: str | None  #: an id or a name
    function_name: str
    resource: str
    actions: tuple[str, ...]
    filter: Any  #: the DQL document as written; `{}` matches everything
    mode: ExecutionMode
    once_means: OnceMeans = OnceMeans.ATTEMPTED
    input: Mapping[str, Any] = field(default_factory=dict)  #: constant arguments beside the entity
    active: bool = True
    loop_protection: LoopProtection = LoopProtection.AVOID_LOOP
    id: str | None = None
    schedule: Schedule | None = None  #: of a Cron trigger, which listens to no resource

    @property
    def scans(self) -> bool:
        return self.schedule is None and scans(self.filter)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trigger:
    """A trigger as it is stored. `version` grows with every change."""

    id: str
    name: str
    project_id: str | None  #: None: of every project
    service_id: str
    function_name: str
    resource: str
    actions: tuple[str, ...]
    filter: Any
    mode: ExecutionMode
    once_means: OnceMeans = OnceMeans.ATTEMPTED
    input: Mapping[str, Any]
    active: bool
    version: int
    created_at: datetime
    updated_at: datetime
    creator: str
    schedule: Schedule | None = None  #: of a Cron trigger, which listens to no resource
    loop_protection: LoopProtection = LoopProtection.AVOID_LOOP

    @property
    def scans(self) -> bool:
        return self.schedule is None and scans(self.filter)

    @property
    def type(self) -> str:
        return EVENT if self.schedule is None else CRON


class Operation(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """What a match does. `service` names the service where `serviceId` is not known."""

    type: str = "function"
    service_id: str | None = None
    service: str | None = None
    function_name: str | None = None


class Spec(msgspec.Struct, frozen=True, rename="camel"):
    resource: str
    actions: list[str] | str
    filter: Any = None
    execution_mode: ExecutionMode = ExecutionMode.ONCE
    once_means: OnceMeans = OnceMeans.ATTEMPTED
    input: dict[str, Any] | list[Any] | None = None
    loop_protection: LoopProtection = LoopProtection.AVOID_LOOP
    operation: Operation = msgspec.field(default_factory=Operation)


class TriggerDocument(msgspec.Struct, frozen=True, rename="camel"):
    """The written form of a trigger; `schemas/trigger.schema.json` is made from it."""

    spec: Spec
    name: str | None = None
    project: str | None = None
    project_id: str | None = None
    global_: bool | None = msgspec.field(name="global", default=None)
    type: str = "Event"
    active: bool = True
    id: str | None = None
    schema: str | None = msgspec.field(name="$schema", default=None)


class CronSpec(WrittenSchedule, frozen=True, rename="camel", kw_only=True):
    input: dict[str, Any] | list[Any] | None = None
    operation: Operation = msgspec.field(default_factory=Operation)


class CronTriggerDocument(msgspec.Struct, frozen=True, rename="camel"):
    """The written form of a trigger by the clock."""

    type: str
    spec: CronSpec
    name: str | None = None
    project: str | None = None
    project_id: str | None = None
    global_: bool | None = msgspec.field(name="global", default=None)
    active: bool = True
    id: str | None = None
    schema: str | None = msgspec.field(name="$schema", default=None)


class FlatTriggerDocument(msgspec.Struct, frozen=True, rename="camel"):
    """The written form of 2023: no `spec`, the function beside the rest."""

    resource: str
    actions: list[str] | str
    name: str | None = None
    project: str | None = None
    project_id: str | None = None
    global_: bool | None = msgspec.field(name="global", default=None)
    type: str = "Event"
    active: bool = True
    filter: Any = None
    execution_mode: ExecutionMode = ExecutionMode.ONCE
    loop_protection: LoopProtection = LoopProtection.AVOID_LOOP
    once_means: OnceMeans = OnceMeans.ATTEMPTED
    function: str | None = None
    service: str | None = None
    input: dict[str, Any] | list[Any] | None = None
    id: str | None = None
    schema: str | None = msgspec.field(name="$schema", default=None)


def parse(given: object, catalog: Catalog, *, strict: bool = False) -> TriggerDraft:
    """Check one written trigger. Raises InvalidTrigger or InvalidFilter with the path of what is wrong.

    `strict` also refuses fields that no trigger has: right for files that people write, wrong for clients that
    send back the whole entity.
    """
    document = written_form.convert(given, dict[str, Any], InvalidTrigger)
    if strict:
        _refuse_unknown(document)
    if document.get("type") == CRON:
        return _from_cron(document)
    return _from_spec(document, catalog) if "spec" in document else _from_flat(document, catalog)


def _refuse_unknown(document: dict[str, Any]) -> None:
    shape, spec_shape = _shapes(document)
    written_form.refuse_unknown(document, shape, "", InvalidTrigger)
    spec = document.get("spec")
    if isinstance(spec, dict):
        written_form.refuse_unknown(spec, spec_shape, "spec", InvalidTrigger)
        if isinstance(spec.get("operation"), dict):
            written_form.refuse_unknown(spec["operation"], Operation, "spec.operation", InvalidTrigger)


def _shapes(document: dict[str, Any]) -> tuple[type[msgspec.Struct], type[msgspec.Struct]]:
    if document.get("type") == CRON:
        return CronTriggerDocument, CronSpec
    return (TriggerDocument if "spec" in document else FlatTriggerDocument), Spec


def _from_cron(document: dict[str, Any]) -> TriggerDraft:
    written = written_form.convert(document, CronTriggerDocument, InvalidTrigger)
    schedule = schedules.parse(written.spec, "spec.")
    if written.global_:
        raise InvalidTrigger("global", "is true, and a Cron trigger runs in the project of its service alone")
    _check_name_and_input(written, written.spec, "spec.")
    return TriggerDraft(
        id=written.id,
        name=written.name,
        project=written.project_id or written.project,
        service=_service(written.spec.operation),
        function_name=written.spec.operation.function_name or "run",
        resource="",
        actions=(),
        filter={},
        mode=ExecutionMode.ALWAYS,
        input=written.spec.input if isinstance(written.spec.input, dict) else {},
        active=written.active,
        schedule=schedule,
    )


def _from_spec(document: dict[str, Any], catalog: Catalog) -> TriggerDraft:
    written = written_form.convert(document, TriggerDocument, InvalidTrigger)
    service = _service(written.spec.operation)
    return _draft(written, written.spec, catalog, "spec.", service, written.spec.operation.function_name)


def _service(operation: Operation) -> str | None:
    if operation.type != "function":
        shown = written_form.clipped(operation.type)
        raise InvalidTrigger("spec.operation.type", f"{shown!r} is not supported; expected 'function'")
    return operation.service_id or operation.service


def _from_flat(document: dict[str, Any], catalog: Catalog) -> TriggerDraft:
    written = written_form.convert(document, FlatTriggerDocument, InvalidTrigger)
    return _draft(written, written, catalog, "", written.service, written.function)


def _draft(
    written: TriggerDocument | FlatTriggerDocument,
    spec: Spec | FlatTriggerDocument,
    catalog: Catalog,
    prefix: str,
    service: str | None,
    function_name: str | None,
) -> TriggerDraft:
    if written.type != EVENT:
        expected = " or ".join(map(repr, TYPES))
        raise InvalidTrigger(
            "type", f"{written_form.clipped(written.type)!r} is not a trigger type; expected {expected}"
        )
    project = written.project_id or written.project
    if written.global_ and project:
        shown = written_form.clipped(project)
        raise InvalidTrigger("global", f"is true, which is every project, and the trigger names project {shown!r} too")
    resource, actions = _listen(spec, catalog, prefix)
    _check_filter(spec.filter, f"{prefix}filter")
    _check_name_and_input(written, spec, prefix)
    if spec.once_means is not OnceMeans.ATTEMPTED and spec.execution_mode is not ExecutionMode.ONCE:
        raise InvalidTrigger(f"{prefix}onceMeans", f"{spec.once_means.value!r} is said of Once; Always has no claims")
    return TriggerDraft(
        id=written.id,
        name=written.name,
        project=project,
        org_wide=bool(written.global_),
        service=service,
        function_name=function_name or "run",
        resource=resource,
        actions=actions,
        filter={} if spec.filter is None else spec.filter,
        mode=spec.execution_mode,
        once_means=spec.once_means,
        input=spec.input if isinstance(spec.input, dict) else {},
        active=written.active,
        loop_protection=spec.loop_protection,
    )


def _check_name_and_input(
    written: TriggerDocument | FlatTriggerDocument | CronTriggerDocument,
    spec: Spec | FlatTriggerDocument | CronSpec,
    prefix: str,
) -> None:
    if written.name is not None and not 0 < len(written.name) <= MAX_NAME_LENGTH:
        raise InvalidTrigger("name", f"has {len(written.name)} characters; expected 1 to {MAX_NAME_LENGTH}")
    if isinstance(spec.input, list) and spec.input:
        raise InvalidTrigger(f"{prefix}input", "expected an object of constant arguments, got an array")


def _check_filter(document: Any, path: str) -> None:
    """A wrapped join has no effect on one entity, so it would fire for more than was meant."""
    if "join" in dql.compile(document, path).ignored:
        raise InvalidFilter(f"{path}.join", dql.JOIN)


def _listen(spec: Spec | FlatTriggerDocument, catalog: Catalog, prefix: str) -> tuple[str, tuple[str, ...]]:
    resource = catalog.resource(spec.resource, f"{prefix}resource")
    given = [spec.actions] if isinstance(spec.actions, str) else spec.actions
    if not given:
        known = ", ".join(catalog.resources[resource])
        raise InvalidTrigger(f"{prefix}actions", f"is empty; expected at least one of {known}")
    actions: dict[str, None] = {}
    for index, action in enumerate(given):
        path = f"{prefix}actions" if isinstance(spec.actions, str) else f"{prefix}actions[{index}]"
        _, spelled = catalog.spelling(resource, action, (f"{prefix}resource", path))
        catalog.check_mode(resource, spelled, spec.execution_mode, f"{prefix}executionMode")
        actions[spelled] = None
    return resource, tuple(actions)


def scans(filter: Any) -> bool:
    """Whether a filter, well as it is, has to be asked of every event: nothing of it can be looked up."""
    return access.cost(dql.compile(filter).expression) is access.Cost.SCAN


def document(trigger: Trigger) -> dict[str, Any]:
    """The API's shape of a stored trigger."""
    return {
        "id": trigger.id,
        "name": trigger.name,
        "type": trigger.type,
        "projectId": trigger.project_id,
        "global": trigger.project_id is None,
        "active": trigger.active,
        "version": trigger.version,
        "createdAt": trigger.created_at,
        "updatedAt": trigger.updated_at,
        "creator": trigger.creator,
        "spec": {
            **_when(trigger),
            "input": trigger.input,
            "operation": {
                "type": "function",
                "serviceId": trigger.service_id,
                "functionName": trigger.function_name,
            },
        },
    }


def _when(trigger: Trigger) -> dict[str, Any]:
    if trigger.schedule is not None:
        return schedules.document(trigger.schedule)
    return {
        "resource": trigger.resource,
        "actions": list(trigger.actions),
        "filter": trigger.filter,
        "executionMode": trigger.mode.value,
        "onceMeans": trigger.once_means.value,
        "loopProtection": trigger.loop_protection.value,
    }
