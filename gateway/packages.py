"""Packages: code, and what in it may be called. A change is one more revision; none is ever overwritten."""

from __future__ import annotations

import io
import zipfile
from typing import Any

import msgspec

from backbone.model import definitions as nouns
from backbone.model.definitions import Package, PackageDocument
from backbone.model.errors import InvalidDefinition
from backbone.store import definitions
from gateway import intake, shapes
from gateway.answers import Answer
from gateway.operations import PREFIX, Call, Operation, Parameter
from gateway.parts import CREATOR

_ZIP = "application/zip"


async def keep_codebase(call: Call) -> Any:
    if not zipfile.is_zipfile(io.BytesIO(call.body)):
        raise InvalidDefinition("", "the body is no zip archive")
    return shapes.Identified(id=await definitions.put_codebase(call.parts.database.pool, call.body))


async def show_codebase(call: Call) -> Any:
    content = await definitions.codebase(call.parts.database.pool, call.definition_id("codebase"))
    return Answer(200, content, _ZIP.encode())


async def make(call: Call) -> Any:
    document = nouns.parse_package(call.document())
    pool = call.parts.database.pool
    codebase_id = await _codebase_of(call, document)
    project_id = await call.parts.projects.found_or_made(document.project_id or document.project)
    made = await definitions.put_package(pool, project_id, document.name, document.modules, codebase_id, CREATOR)
    return shapes.package(made)


async def show(call: Call) -> Any:
    revision = call.whole_number("revision", -1, 0, 2**31 - 1)
    package_id = call.definition_id("package")
    pool = call.parts.database.pool
    return shapes.package(await definitions.package(pool, package_id, None if revision < 0 else revision))


async def revisions(call: Call) -> Any:
    found = await definitions.package_revisions(call.parts.database.pool, call.definition_id("package"))
    return [shapes.package(one) for one in found]


async def change(call: Call) -> Any:
    """The given keys over the latest revision's."""
    pool = call.parts.database.pool
    latest = await definitions.package(pool, call.definition_id("package"))
    document = nouns.parse_package({**_written(latest), **call.document()})
    if document.name != latest.name:
        raise InvalidDefinition("name", f"{document.name!r} is another one; a package keeps its name {latest.name!r}")
    codebase_id = await _codebase_of(call, document)
    return shapes.package(await definitions.revise_package(pool, latest.id, document.modules, codebase_id))


async def delete(call: Call) -> Any:
    package_id = call.definition_id("package")
    await definitions.delete_package(call.parts.database.pool, package_id)
    return shapes.Identified(id=package_id)


async def _codebase_of(call: Call, document: PackageDocument) -> str:
    """The id of a codebase that is here. Raises InvalidDefinition."""
    codebase = document.codebase or {}
    if codebase.get("type", "item") != "item":
        raise InvalidDefinition("codebase.type", f"{codebase['type']!r} is not supported; expected 'item'")
    codebase_id = codebase.get("itemId")
    if not isinstance(codebase_id, str):
        raise InvalidDefinition("codebase.itemId", "is missing; POST the zip to /codebases, it answers with the id")
    if not await definitions.has_codebase(call.parts.database.pool, codebase_id):
        raise InvalidDefinition("codebase.itemId", f"there is no codebase {codebase_id!r}")
    return codebase_id


def _written(package: Package) -> dict[str, Any]:
    document: dict[str, Any] = msgspec.to_builtins(shapes.package(package))
    return document


OPERATIONS = (
    Operation(
        method="POST", path=f"{PREFIX}/codebases", summary="Keep the zip of a package's code", handler=keep_codebase,
        media_types=(_ZIP,), answers=shapes.Identified, largest=intake.CODEBASE,
    ),
    Operation(
        method="GET", path=f"{PREFIX}/codebases/{{id}}", summary="The zip again", handler=show_codebase,
        gives=_ZIP, refusals=(404,),
    ),
    Operation(
        method="POST", path=f"{PREFIX}/packages", handler=make,
        summary="Make a package, or one more revision of the one of this name",
        takes=PackageDocument, answers=shapes.PackageShape, refusals=(404,),
    ),
    Operation(
        method="GET", path=f"{PREFIX}/packages/{{id}}", summary="A package", handler=show,
        parameters=(Parameter("revision", "This revision instead of the latest", 0, 2**31 - 1),),
        answers=shapes.PackageShape, refusals=(404,),
    ),
    Operation(
        method="GET", path=f"{PREFIX}/packages/{{id}}/revisions", handler=revisions,
        summary="Its revisions, newest first, at most 1,000",
        answers=list[shapes.PackageShape], refusals=(404,),
    ),
    Operation(
        method="PATCH", path=f"{PREFIX}/packages/{{id}}", handler=change,
        summary="One more revision: the given keys over the latest",
        takes=dict[str, Any], answers=shapes.PackageShape, refusals=(404,),
    ),
    Operation(
        method="DELETE", path=f"{PREFIX}/packages/{{id}}", summary="Delete a package that no service uses",
        handler=delete, answers=shapes.Identified, refusals=(404, 409),
    ),
)  # fmt: skip
