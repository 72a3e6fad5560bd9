"""Triggers: written in either spelling, answered in the platform's."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import asyncpg
import msgspec

from backbone.model import ids, triggers
from backbone.model.definitions import Service
from backbone.model.errors import InvalidTrigger, NotFound
from backbone.model.triggers import CronTriggerDocument, FlatTriggerDocument, Trigger, TriggerDocument, TriggerDraft
from backbone.store import cron, definitions, finding
from gateway import loop_warnings, shapes
from gateway.operations import PREFIX, Call, Operation
from gateway.parts import CREATOR

_FLAT = ("resource", "actions", "filter", "executionMode", "onceMeans", "input", "loopProtection")


SCAN = (
    "is of the class scan: nothing of it can be looked up, so it is asked of every event. {count} active triggers of"
    " {place} are of this class already, and at most {quota} may be. Add an equality, a literal start or end of a text,"
    " a piece of 4 characters between two stars, or a range of numbers"
)


async def make(call: Call) -> Any:
    given = call.document()
    draft = triggers.parse(given, call.parts.settings.catalog)
    pool = call.parts.database.pool
    service = await _service_of(call, pool, draft)
    now = datetime.now(UTC)
    trigger = Trigger(
        id=ids.definition_id(),
        name=draft.name or service.name,
        project_id=None if draft.org_wide else service.project_id,
        service_id=service.id,
        function_name=draft.function_name,
        resource=draft.resource,
        actions=draft.actions,
        filter=draft.filter,
        mode=draft.mode,
        once_means=draft.once_means,
        input=draft.input,
        active=draft.active,
        loop_protection=draft.loop_protection,
        version=1,
        created_at=now,
        updated_at=now,
        creator=CREATOR,
        schedule=draft.schedule,
    )
    async with call.changing() as connection:
        made = await definitions.make_trigger(connection, trigger)
        if made.schedule is not None:
            await cron.set_schedule(connection, made.id, made.schedule, now)
        if made.active and made.scans:
            await _refuse_beyond_quota(call, connection, made, "spec.filter" if "spec" in given else "filter")
    call.parts.triggers_changed()
    return await _with_warnings(pool, made, service)


async def show(call: Call) -> Any:
    return triggers.document(await definitions.trigger(call.parts.database.pool, call.definition_id("trigger")))


async def change(call: Call) -> Any:
    trigger_id, given = call.definition_id("trigger"), call.document()
    async with call.changing() as connection:
        stored = await definitions.trigger_to_change(connection, trigger_id)
        draft = triggers.parse(merged(stored, given), call.parts.settings.catalog)
        service = await _service_of(call, connection, draft)
        if (stored.schedule is None) is not (draft.schedule is None):
            raise InvalidTrigger("type", f"is another one; a trigger stays of type {stored.type!r}")
        if stored.project_id != (None if draft.org_wide else service.project_id):
            raise InvalidTrigger("projectId", f"is another one; a trigger stays in {_place(stored)}")
        changed = await definitions.change_trigger(
            connection,
            replace(
                stored,
                name=draft.name or stored.name,
                service_id=service.id,
                function_name=draft.function_name,
                resource=draft.resource,
                actions=draft.actions,
                filter=draft.filter,
                mode=draft.mode,
                once_means=draft.once_means,
                input=draft.input,
                active=draft.active,
                schedule=draft.schedule,
                loop_protection=draft.loop_protection,
            ),
        )
        if changed.schedule is not None and changed.schedule != stored.schedule:
            await cron.set_schedule(connection, changed.id, changed.schedule, datetime.now(UTC))
        counted_before = stored.active and stored.filter == changed.filter
        if changed.active and changed.scans and not counted_before:
            await _refuse_beyond_quota(call, connection, changed, "spec.filter")
    call.parts.triggers_changed()
    return await _with_warnings(call.parts.database.pool, changed, service)


async def _with_warnings(pool: asyncpg.Pool, trigger: Trigger, service: Service) -> dict[str, Any]:
    """After it was written: looking through events must not keep a transaction open."""
    listens = trigger.active and trigger.schedule is None
    warnings = await loop_warnings.of(pool, trigger, service) if listens else []
    return {**triggers.document(trigger), **({"warnings": warnings} if warnings else {})}


async def delete(call: Call) -> Any:
    trigger_id = call.definition_id("trigger")
    async with call.changing() as connection:
        await definitions.delete_trigger(connection, trigger_id)
    call.parts.triggers_changed()
    return shapes.Identified(id=trigger_id)


def merged(stored: Trigger, given: dict[str, Any]) -> dict[str, Any]:
    """The given keys over the stored ones, down to those of `spec` and its `operation`; a filter is replaced whole.

    The flat spelling's keys are understood here too. A service that is given by name replaces the stored id.
    """
    document: dict[str, Any] = msgspec.to_builtins(triggers.document(stored))
    spec = _object(given, "spec", "spec")
    operation = _object(spec, "operation", "spec.operation")
    for flat, name in (("service", "service"), ("function", "functionName")):
        if flat in given:
            operation = {**operation, name: given[flat]}
    if "service" in operation and "serviceId" not in operation:
        document["spec"]["operation"]["serviceId"] = None
    if "project" in given and "projectId" not in given:
        document["projectId"] = None
    flat_spec = {name: given[name] for name in _FLAT if name in given}
    return {
        **document,
        **given,
        "spec": {
            **document["spec"],
            **flat_spec,
            **spec,
            "operation": {**document["spec"]["operation"], **operation},
        },
    }


def _object(given: dict[str, Any], name: str, path: str) -> dict[str, Any]:
    value = given.get(name, {})
    if not isinstance(value, dict):
        raise InvalidTrigger(path, f"expected an object, got {type(value).__name__}")
    return value


async def _refuse_beyond_quota(call: Call, connection: asyncpg.Connection, trigger: Trigger, path: str) -> None:
    """Called when the trigger is written, in the same transaction: it is one of those that are counted."""
    quota = call.parts.settings.scan_quota
    count = await definitions.scanning_triggers(connection, trigger.project_id)
    if count > quota:
        raise InvalidTrigger(path, SCAN.format(place=_place(trigger), count=count - 1, quota=quota))


def _place(trigger: Trigger) -> str:
    return "every project" if trigger.project_id is None else f"project {trigger.project_id!r}"


async def _service_of(call: Call, connection: definitions.Connection, draft: TriggerDraft) -> Service:
    """The service that is named, of the project that is named if one is; that of an org-wide trigger may be of any."""
    if draft.service is None:
        raise InvalidTrigger("spec.operation.serviceId", "is missing: a trigger needs a service whose function it runs")
    try:
        service = await definitions.service(connection, draft.service)
    except NotFound:
        pass
    else:
        if draft.project and await _project_of(call, connection, draft.project) != service.project_id:
            raise InvalidTrigger(
                "spec.operation.serviceId", f"service {draft.service!r} is not of project {draft.project!r}"
            )
        return service
    wanted = {"name": [draft.service]}
    if not draft.org_wide:
        wanted["projectId"] = [await _project_of(call, connection, draft.project)]
    found = await finding.SERVICES.page(connection, wanted, 2, 0)
    if not found:
        where = f"project {draft.project or call.parts.settings.default_project!r}"
        raise InvalidTrigger(
            "spec.operation.serviceId",
            f"there is no service {draft.service!r} in {'any project' if draft.org_wide else where}",
        )
    if len(found) > 1:
        raise InvalidTrigger("spec.operation.service", f"{draft.service!r} is in several projects; give its serviceId")
    return found[0]


async def _project_of(call: Call, connection: definitions.Connection, key: str | None) -> str:
    try:
        return await call.parts.projects.found(key, connection)
    except NotFound as error:
        raise InvalidTrigger("projectId", str(error)) from None


_ONE = f"{PREFIX}/triggers/{{id}}"
_ANSWERS = (shapes.TriggerShape, shapes.CronTriggerShape)

OPERATIONS = (
    Operation(
        method="POST", path=f"{PREFIX}/triggers", summary="Make a trigger", handler=make,
        takes=(TriggerDocument, FlatTriggerDocument, CronTriggerDocument), answers=_ANSWERS, signed=True,
    ),
    Operation(
        method="GET", path=_ONE, summary="A trigger", handler=show, answers=_ANSWERS, refusals=(404,),
    ),
    Operation(
        method="PATCH", path=_ONE, summary="Change the given keys", handler=change,
        takes=dict[str, Any], answers=_ANSWERS, refusals=(404,), signed=True,
    ),
    Operation(
        method="DELETE", path=_ONE, summary="Delete a trigger", handler=delete,
        answers=shapes.Identified, refusals=(404,), signed=True,
    ),
)  # fmt: skip
