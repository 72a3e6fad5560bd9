"""`trigger-engine services`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from launcher.cli import tables
from launcher.cli.asking import asks_the_engine, json_option, project_option
from launcher.cli.tables import Column, field

if TYPE_CHECKING:
    from launcher.cli.engine import Engine


@click.group()
def command() -> None:
    """Services: which revision of a package runs, and how.

    \b
    Examples:
      trigger-engine services list
    """


@command.command("list")
@project_option
@json_option
@asks_the_engine
async def list_(engine: Engine, project: str | None, as_json: bool) -> None:
    """List the services.

    \b
    Examples:
      trigger-engine services list --project demo
      trigger-engine services list --json
    """
    place = {"projectId": (await engine.project(project))["id"]} if project else {}
    found = await engine.query("services", place)
    projects, packages = await engine.names("projects"), await engine.names("packages")
    columns = (
        field("name", gives_way=True),
        Column("PROJECT", lambda service: projects.get(service["projectId"], service["projectId"]), gives_way=True),
        Column("PACKAGE", lambda service: packages.get(service["packageId"], service["packageId"]), gives_way=True),
        field("packageRevision", "REVISION"),
        field("moduleName", "MODULE", gives_way=True),
        Column("STATE", lambda service: "active" if service.get("active") else "paused"),
        field("id"),
    )
    tables.show(found, columns, as_json=as_json, empty="there are no services; see: trigger-engine deploy --help")
