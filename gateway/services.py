"""Services: a module of a package, kept running."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from backbone.model import definitions as nouns
from backbone.model import ids
from backbone.model.definitions import Package, Service, ServiceDocument
from backbone.model.errors import InvalidDefinition, NotFound
from backbone.store import definitions, finding
from backbone.store.queries import sql
from gateway import shapes
from gateway.operations import PREFIX, Call, Operation
from gateway.parts import CREATOR

_MOST_REPLICAS = 1_000


async def make(call: Call) -> Any:
    document = nouns.parse_service(call.document())
    if document.triggers:
        raise InvalidDefinition("triggers", "are made by POST /triggers, each on its own")
    package = await _package_of(call, document)
    revision = nouns.revision_of(document.package_revision, package.revision)
    package = await definitions.package(call.parts.database.pool, package.id, revision)
    now = datetime.now(UTC)
    service = _with(
        Service(
            id=ids.definition_id(),
            project_id=package.project_id,
            name=document.name,
            package_id=package.id,
            package_revision=revision,
            module_name="",
            runtime=nouns.Runtime(),
            init_params={},
            execution_timeout=timedelta(),
            drain_time=timedelta(),
            max_attempts=1,
            on_reset="failed",
            active=True,
            version=1,
            created_at=now,
            updated_at=now,
            creator=CREATOR,
        ),
        document,
        package,
    )
    made = await definitions.make_service(call.parts.database.pool, service)
    call.parts.services_changed()
    return shapes.service(made)


async def show(call: Call) -> Any:
    return shapes.service(await definitions.service(call.parts.database.pool, call.definition_id("service")))


async def change(call: Call) -> Any:
    """The given keys over the stored ones; `runtime` and `initParams` are replaced whole."""
    service_id, given = call.definition_id("service"), call.document()
    async with call.changing() as connection:
        stored = await definitions.service_to_change(connection, service_id)
        document = nouns.parse_service({**msgspec.to_builtins(shapes.service(stored)), **given})
        for field, new, old in (
            ("name", document.name, stored.name),
            ("packageId", document.package_id, stored.package_id),
            ("projectId", document.project_id, stored.project_id),
        ):
            if new not in (None, old):
                raise InvalidDefinition(field, f"{new!r} is another one; a service keeps {old!r}")
        latest = await definitions.package(connection, stored.package_id)
        revision = nouns.revision_of(document.package_revision, latest.revision)
        package = await definitions.package(connection, stored.package_id, revision)
        changed = await definitions.change_service(connection, _with(stored, document, package))
    call.parts.services_changed()
    return shapes.service(changed)


async def stop(call: Call) -> Any:
    return await _set_active(call, False)


async def resume(call: Call) -> Any:
    return await _set_active(call, True)


async def delete(call: Call) -> Any:
    service_id = call.definition_id("service")
    async with call.changing() as connection:
        await definitions.delete_service(connection, service_id)
    call.parts.services_changed()
    return shapes.Identified(id=service_id)


async def status(call: Call) -> Any:
    pool = call.parts.database.pool
    service = await definitions.service(pool, call.definition_id("service"))
    depth = await call.parts.work_queue.depth()
    agents = await pool.fetch(sql("finding/agents"), service.id, _MOST_REPLICAS)
    return shapes.ServiceStatus(
        num_messages_in_queue=depth.get(service.id, 0),
        runtime_status=[
            shapes.ReplicaStatus(replica_id=f"{service.name}-{agent['id']}", status=True, reason="running")
            for agent in agents
        ],
    )


async def _set_active(call: Call, active: bool) -> Any:
    async with call.changing() as connection:
        changed = await definitions.set_service_active(connection, call.definition_id("service"), active)
    call.parts.services_changed()
    return shapes.service(changed)


async def _package_of(call: Call, document: ServiceDocument) -> Package:
    """The package that is named, of the project that is named if one is. Raises InvalidDefinition."""
    pool = call.parts.database.pool
    project = document.project_id or document.project
    if document.package_id is not None:
        try:
            package = await definitions.package(pool, document.package_id)
        except NotFound as error:
            raise InvalidDefinition("packageId", str(error)) from None
        if project and await call.parts.projects.found(project) != package.project_id:
            raise InvalidDefinition("packageId", f"package {package.id!r} is not of project {project!r}")
        return package
    if document.package_name is None:
        raise InvalidDefinition("packageId", "is missing, and so is packageName")
    wanted = {"projectId": [await call.parts.projects.found(project)], "name": [document.package_name]}
    found = await finding.PACKAGES.page(pool, wanted, 1, 0)
    if not found:
        where = f"project {project or call.parts.settings.default_project!r}"
        raise InvalidDefinition("packageName", f"there is no package {document.package_name!r} in {where}")
    return found[0]


def _with(service: Service, document: ServiceDocument, package: Package) -> Service:
    """The service as the document wants it, of this revision of its package."""
    modules = [module.name for module in package.modules]
    module = document.module_name or modules[0]
    if module not in modules:
        raise InvalidDefinition(
            "moduleName", f"{module!r} is no module of {package.name} {package.version}; it has {', '.join(modules)}"
        )
    return replace(
        service,
        package_revision=package.revision,
        module_name=module,
        runtime=nouns.parse_runtime(document.runtime),
        init_params=document.init_params or {},
        execution_timeout=timedelta(seconds=document.execution_timeout),
        drain_time=timedelta(seconds=document.drain_time),
        max_attempts=document.max_attempts,
        on_reset=document.on_reset,
        active=document.active,
    )


_ONE = f"{PREFIX}/services/{{id}}"

OPERATIONS = (
    Operation(
        method="POST", path=f"{PREFIX}/services", summary="Make a service of a package's module", handler=make,
        takes=ServiceDocument, answers=shapes.ServiceShape, refusals=(404, 409),
    ),
    Operation(
        method="GET", path=_ONE, summary="A service", handler=show, answers=shapes.ServiceShape, refusals=(404,),
    ),
    Operation(
        method="PATCH", path=_ONE, summary="Change the given keys", handler=change,
        takes=dict[str, Any], answers=shapes.ServiceShape, refusals=(404,), signed=True,
    ),
    Operation(
        method="DELETE", path=_ONE, summary="Delete a service and its triggers", handler=delete,
        answers=shapes.Identified, refusals=(404,), signed=True,
    ),
    Operation(
        method="POST", path=f"{_ONE}/stop", summary="Run no more of its executions", handler=stop,
        answers=shapes.ServiceShape, refusals=(404,), signed=True,
    ),
    Operation(
        method="POST", path=f"{_ONE}/resume", summary="Run its executions again", handler=resume,
        answers=shapes.ServiceShape, refusals=(404,), signed=True,
    ),
    Operation(
        method="GET", path=f"{_ONE}/status", summary="What waits for it, and who runs it", handler=status,
        answers=shapes.ServiceStatus, refusals=(404,),
    ),
)  # fmt: skip
