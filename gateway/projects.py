"""Projects: the room that everything else is in."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

from backbone.model import json_text
from backbone.model.definitions import check_name
from backbone.model.errors import Invalid, NotFound
from backbone.store import definitions
from gateway import shapes
from gateway.operations import PREFIX, Call, Operation

_FORM = "application/x-www-form-urlencoded"


async def every(call: Call) -> Any:
    return [shapes.project(one) for one in await definitions.projects(call.parts.database.pool)]


async def make(call: Call) -> Any:
    """A project that is there already comes back as it is."""
    name = _name_in_form(call.body) if call.content_type.startswith(_FORM) else call.written(shapes.NewProject).name
    check_name(name, "name")
    return shapes.project(await definitions.make_project(call.parts.database.pool, name))


async def show(call: Call) -> Any:
    key = str(call.uuid("project"))
    return shapes.project(await definitions.project(call.parts.database.pool, key))


async def by_name(call: Call) -> Any:
    name = call.path["name"]
    if "\x00" in name:
        raise NotFound("project", name)
    return [shapes.project(await definitions.project(call.parts.database.pool, name))]


def _name_in_form(body: bytes) -> str:
    json_text.check(body, Invalid)
    try:
        fields = dict(parse_qsl(body.decode(), max_num_fields=100, errors="strict"))
    except ValueError as error:
        raise Invalid("", f"the form cannot be read: {error}") from None
    if "name" not in fields:
        raise Invalid("name", "is missing")
    return fields["name"]


OPERATIONS = (
    Operation(
        method="GET", path=f"{PREFIX}/projects", summary="Every project", handler=every,
        answers=list[shapes.ProjectShape],
    ),
    Operation(
        method="POST", path=f"{PREFIX}/projects", summary="Make a project", handler=make,
        takes=shapes.NewProject, media_types=("application/json", _FORM), answers=shapes.ProjectShape,
    ),
    Operation(
        method="GET", path=f"{PREFIX}/projects/{{id}}", summary="A project", handler=show,
        answers=shapes.ProjectShape, refusals=(404,),
    ),
    Operation(
        method="GET", path=f"{PREFIX}/projects/{{name}}/name", summary="The project of a name, in a list",
        handler=by_name, answers=list[shapes.ProjectShape], refusals=(404,),
    ),
)  # fmt: skip
