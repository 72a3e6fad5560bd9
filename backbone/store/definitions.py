"""Projects, packages, services, triggers: what users define. Few rows, changed by people, read by every part."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from hashlib import sha256
from typing import Any, TypeAlias
from uuid import UUID

import asyncpg
import msgspec
import orjson

from backbone.model import ids, schedules
from backbone.model.definitions import Module, Package, Project, Runtime, Service
from backbone.model.errors import AlreadyExists, NotFound, NotInState
from backbone.model.loops import LoopProtection
from backbone.model.resources import ExecutionMode, OnceMeans
from backbone.model.triggers import Trigger
from backbone.store.queries import sql

TRIGGERS_CHANNEL = "triggers"
"""Woken after every change of a trigger or a service."""

MOST_PROJECTS = 10_000
MOST_REVISIONS = 1_000
"""The longest lists that are given."""

Connection: TypeAlias = "asyncpg.Connection | asyncpg.Pool"


# Projects


async def project(connection: Connection, key: str) -> Project:
    """By id or by name. Raises NotFound."""
    row = None
    if _is_uuid(key):
        row = await connection.fetchrow(sql("definition/project by id"), UUID(key))
    row = row or await connection.fetchrow(sql("definition/project by name"), key)
    if row is None:
        raise NotFound("project", key)
    return _project(row)


async def make_project(connection: Connection, name: str) -> Project:
    """The project of that name, made now if there was none."""
    return _project(await connection.fetchrow(sql("definition/make project"), name))


async def projects(connection: Connection) -> list[Project]:
    return [_project(row) for row in await connection.fetch(sql("definition/projects"), MOST_PROJECTS)]


# Packages


async def put_codebase(connection: Connection, content: bytes) -> str:
    """Keep a zip; the same bytes are kept once."""
    digest = (await asyncio.to_thread(sha256, content)).digest()
    found = await connection.fetchval(sql("definition/put codebase"), ids.definition_id(), digest, content)
    return str(found)


async def codebase(connection: Connection, codebase_id: str) -> bytes:
    content = await connection.fetchval(sql("definition/codebase"), codebase_id)
    if content is None:
        raise NotFound("codebase", codebase_id)
    return bytes(content)


async def put_package(
    pool: asyncpg.Pool, project_id: str, name: str, modules: Sequence[Module], codebase_id: str, creator: str
) -> Package:
    """The first revision of a new package, or one more of the package that has this name."""
    async with pool.acquire() as connection, connection.transaction():
        await _check_codebase(connection, codebase_id)
        row = await connection.fetchrow(sql("definition/put package"), ids.definition_id(), project_id, name, creator)
        await _put_revision(connection, row["id"], row["latest"], modules, codebase_id)
        return await package(connection, row["id"])


async def revise_package(pool: asyncpg.Pool, package_id: str, modules: Sequence[Module], codebase_id: str) -> Package:
    async with pool.acquire() as connection, connection.transaction():
        await _check_codebase(connection, codebase_id)
        latest = await connection.fetchval(sql("definition/revise package"), package_id)
        if latest is None:
            raise NotFound("package", package_id)
        await _put_revision(connection, package_id, latest, modules, codebase_id)
        return await package(connection, package_id)


async def package(connection: Connection, package_id: str, revision: int | None = None) -> Package:
    """The revision, or the latest. Raises NotFound."""
    row = await connection.fetchrow(sql("definition/package"), package_id, revision)
    if row is None:
        raise NotFound("package", package_id)
    return package_from_row(row)


async def package_revisions(connection: Connection, package_id: str) -> list[Package]:
    """Newest first. Raises NotFound."""
    rows = await connection.fetch(sql("definition/package revisions"), package_id, MOST_REVISIONS)
    if not rows:
        raise NotFound("package", package_id)
    return [package_from_row(row) for row in rows]


async def packages(connection: Connection, project_id: str | None = None, name: str | None = None) -> list[Package]:
    return [package_from_row(row) for row in await connection.fetch(sql("definition/packages"), project_id, name)]


async def delete_package(connection: Connection, package_id: str) -> None:
    """Raises NotFound, and NotInState while a service uses it."""
    try:
        found = await connection.fetchval(sql("definition/delete package"), package_id)
    except asyncpg.ForeignKeyViolationError:
        raise NotInState(f"package {package_id!r}", "in use", "delete its services first") from None
    if found is None:
        raise NotFound("package", package_id)


async def has_codebase(connection: Connection, codebase_id: str) -> bool:
    return bool(await connection.fetchval(sql("definition/has codebase"), codebase_id))


async def _check_codebase(connection: Connection, codebase_id: str) -> None:
    if not await has_codebase(connection, codebase_id):
        raise NotFound("codebase", codebase_id)


async def _put_revision(
    connection: Connection, package_id: str, revision: int, modules: Sequence[Module], codebase_id: str
) -> None:
    document = msgspec.json.encode(list(modules)).decode()
    await connection.execute(sql("definition/put package revision"), package_id, revision, document, codebase_id)


# Services


async def make_service(connection: Connection, service_: Service) -> Service:
    """Raises AlreadyExists when the project has a service of that name."""
    made = await connection.fetchval(
        sql("definition/make service"),
        service_.id,
        service_.project_id,
        service_.name,
        service_.package_id,
        *_changeable(service_),
        service_.creator,
    )
    if made is None:
        raise AlreadyExists("service", service_.name)
    return await service(connection, service_.id)


async def change_service(connection: Connection, service_: Service) -> Service:
    """Store everything but id, project, name and package; the version grows. Raises NotFound."""
    if await connection.fetchval(sql("definition/change service"), service_.id, *_changeable(service_)) is None:
        raise NotFound("service", service_.id)
    return await service(connection, service_.id)


async def set_service_active(connection: Connection, service_id: str, active: bool) -> Service:
    if await connection.fetchval(sql("definition/set service active"), service_id, active) is None:
        raise NotFound("service", service_id)
    return await service(connection, service_id)


async def service(connection: Connection, service_id: str, statement: str = "definition/service") -> Service:
    row = await connection.fetchrow(sql(statement), service_id)
    if row is None:
        raise NotFound("service", service_id)
    return service_from_row(row)


async def service_to_change(connection: asyncpg.Connection, service_id: str) -> Service:
    """The service, which nobody else changes until the transaction ends."""
    return await service(connection, service_id, "definition/service to change")


async def services(connection: Connection, project_id: str | None = None, name: str | None = None) -> list[Service]:
    return [service_from_row(row) for row in await connection.fetch(sql("definition/services"), project_id, name)]


async def service_ids(connection: Connection) -> list[str]:
    return [row["id"] for row in await connection.fetch(sql("definition/service ids"))]


async def delete_service(connection: Connection, service_id: str) -> None:
    """Its triggers go with it, and what waits for it is canceled."""
    if await connection.fetchval(sql("definition/delete service"), service_id) is None:
        raise NotFound("service", service_id)


def _changeable(service_: Service) -> tuple[Any, ...]:
    return (
        service_.package_revision,
        service_.module_name,
        msgspec.json.encode(service_.runtime).decode(),
        orjson.dumps(service_.init_params).decode(),
        service_.execution_timeout,
        service_.drain_time,
        service_.max_attempts,
        service_.on_reset,
        service_.active,
    )


# Triggers


async def make_trigger(connection: Connection, trigger_: Trigger) -> Trigger:
    await connection.execute(
        sql("definition/make trigger"), trigger_.id, trigger_.project_id, *_written(trigger_), trigger_.creator
    )
    return await trigger(connection, trigger_.id)


async def change_trigger(connection: Connection, trigger_: Trigger) -> Trigger:
    """Store everything but id and project; the version grows. Raises NotFound."""
    if await connection.fetchval(sql("definition/change trigger"), trigger_.id, *_written(trigger_)) is None:
        raise NotFound("trigger", trigger_.id)
    return await trigger(connection, trigger_.id)


async def trigger(connection: Connection, trigger_id: str, statement: str = "definition/trigger") -> Trigger:
    row = await connection.fetchrow(sql(statement), trigger_id)
    if row is None:
        raise NotFound("trigger", trigger_id)
    return trigger_from_row(row)


async def trigger_to_change(connection: asyncpg.Connection, trigger_id: str) -> Trigger:
    """The trigger, which nobody else changes until the transaction ends."""
    return await trigger(connection, trigger_id, "definition/trigger to change")


async def triggers(connection: Connection, project_id: str | None = None, name: str | None = None) -> list[Trigger]:
    return [trigger_from_row(row) for row in await connection.fetch(sql("definition/triggers"), project_id, name)]


async def delete_trigger(connection: Connection, trigger_id: str) -> None:
    if await connection.fetchval(sql("definition/delete trigger"), trigger_id) is None:
        raise NotFound("trigger", trigger_id)


async def scanning_triggers(connection: asyncpg.Connection, project_id: str | None) -> int:
    """How many active ones the project has. Until this transaction ends no other one sees its own number."""
    await connection.execute(sql("definition/hold scanning triggers"), project_id)
    return int(await connection.fetchval(sql("definition/count scanning triggers"), project_id))


def _written(trigger_: Trigger) -> tuple[Any, ...]:
    return (
        trigger_.service_id,
        trigger_.name,
        trigger_.function_name,
        trigger_.resource,
        list(trigger_.actions),
        msgspec.json.encode(trigger_.filter).decode(),
        trigger_.mode.value,
        msgspec.json.encode(trigger_.input).decode(),
        trigger_.active,
        trigger_.scans,
        None if trigger_.schedule is None else schedules.stored(trigger_.schedule),
        trigger_.loop_protection.value,
        trigger_.once_means.value,
    )


# Rows to nouns


def _project(row: asyncpg.Record) -> Project:
    return Project(id=str(row["id"]), name=row["name"], created_at=row["created_at"])


def package_from_row(row: asyncpg.Record) -> Package:
    return Package(
        id=row["id"],
        project_id=str(row["project_id"]),
        name=row["name"],
        revision=row["revision"],
        modules=msgspec.json.decode(row["modules"], type=tuple[Module, ...]),
        codebase_id=row["codebase_id"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        creator=row["creator"],
    )


def service_from_row(row: asyncpg.Record) -> Service:
    return Service(
        id=row["id"],
        project_id=str(row["project_id"]),
        name=row["name"],
        package_id=row["package_id"],
        package_revision=row["package_revision"],
        module_name=row["module_name"],
        runtime=msgspec.json.decode(row["runtime"], type=Runtime),
        init_params=orjson.loads(row["init_params"]),
        execution_timeout=row["execution_timeout"],
        drain_time=row["drain_time"],
        max_attempts=row["max_attempts"],
        on_reset=row["on_reset"],
        active=row["active"],
        version=row["version"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        creator=row["creator"],
    )


def trigger_from_row(row: asyncpg.Record) -> Trigger:
    return Trigger(
        id=row["id"],
        name=row["name"],
        project_id=_optional(row["project_id"]),
        service_id=row["service_id"],
        function_name=row["function_name"],
        resource=row["resource"],
        actions=tuple(row["actions"]),
        filter=msgspec.json.decode(row["filter"]),
        mode=ExecutionMode(row["mode"]),
        once_means=OnceMeans(row["once_means"]),
        input=msgspec.json.decode(row["input"]),
        active=row["active"],
        version=row["version"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        creator=row["creator"],
        schedule=None if row["schedule"] is None else schedules.from_stored(row["schedule"]),
        loop_protection=LoopProtection(row["loop_protection"]),
    )


def _optional(project_id: UUID | None) -> str | None:
    return None if project_id is None else str(project_id)


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True
