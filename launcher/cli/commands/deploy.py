"""`trigger-engine deploy`: a folder becomes a package, a service and its triggers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from launcher.cli import exits, tables
from launcher.cli.asking import PATH, asks_the_engine

if TYPE_CHECKING:
    from launcher.cli.deploying.folder import Described
    from launcher.cli.engine import Engine


@click.command()
@click.argument("folder", type=PATH)
@click.option("--project", metavar="P", help="The project, made when it is not there.  [default: what the files say]")
@click.option("--dry-run", is_flag=True, help="Say what would change, and change nothing.")
@asks_the_engine
async def command(engine: Engine, folder: Path, project: str | None, dry_run: bool) -> None:
    """Bring FOLDER to the engine. Repeatable: what has not changed is left alone.

    \b
    The folder has
      package.json   modules and functions; without it, main.py is the module
      service.json   how it is run; optional, the service is named after the folder
      triggers.json  one trigger or many; optional, also inside service.json
    What .gitignore names stays behind. A changed code is a new revision of the package, and the service follows.

    \b
    Examples:
      trigger-engine deploy examples/grayscale
      trigger-engine deploy . --project demo --dry-run
    """
    from launcher.cli.catalog import catalog
    from launcher.cli.declaring import applying, plan
    from launcher.cli.deploying import folder as described_folder

    described = described_folder.describe(folder, project, catalog())
    for problem in described.triggers.problems:
        exits.complain(problem)
    if described.triggers.problems:
        click.echo("nothing was changed", err=True)
        raise click.exceptions.Exit(exits.INVALID)
    project_id = await _project(engine, described.project, dry_run)
    revision = await _package(engine, described, project_id, dry_run)
    service_is_there = await _service(engine, described, project_id, revision, dry_run)
    if service_is_there:
        changes = await applying.planned(engine, described.triggers.declared)
        applying.say(changes, dry_run=dry_run)
        if not dry_run:
            await applying.carry_out(engine, changes)
    else:
        for declared in described.triggers.declared:
            click.echo(f"{tables.coloured('create')}  trigger {declared.name!r} of {plan.place(declared.project)}")


async def _project(engine: Engine, key: str, dry_run: bool) -> str | None:
    """The project's id; None only where a dry run does not make it."""
    for project in await engine.get("/projects"):
        if key in (project["id"], project["name"]):
            return str(project["id"])
    click.echo(f"{tables.coloured('create')}  project {key!r}")
    return None if dry_run else str((await engine.post("/projects", {"name": key}))["id"])


async def _package(engine: Engine, described: Described, project_id: str | None, dry_run: bool) -> str:
    """The revision that the folder is, or will be."""
    from launcher.cli.deploying import archive

    name = described.package.name
    there = await _named(engine, "packages", name, project_id)
    packed = archive.packed(described.files)
    if there and await _is_unchanged(engine, there, described, packed):
        click.echo(f"unchanged  package {name!r}, revision {there['version']}")
        return str(there["version"])
    said = f"package {name!r}, {len(described.files)} files, {len(packed):,} bytes"
    if dry_run:
        click.echo(f"{tables.coloured('update' if there else 'create')}  {said}")
        return "a new one"
    codebase = await engine.request("POST", "/codebases", body=packed, content_type="application/zip")
    package = await engine.post(
        "/packages",
        {
            "name": name,
            "projectId": project_id,
            "modules": described.modules,
            "codebase": {"type": "item", "itemId": codebase.json()["id"]},
        },
    )
    click.echo(f"{tables.coloured('update' if there else 'create')}  {said}, revision {package['version']}")
    return str(package["version"])


async def _is_unchanged(engine: Engine, package: dict[str, Any], described: Described, packed: bytes) -> bool:
    from launcher.cli.deploying import revising
    from launcher.cli.engine import segment

    if not revising.same_modules(package, described):
        return False
    return await engine.get_bytes(f"/codebases/{segment(package['codebase']['itemId'])}") == packed


async def _service(engine: Engine, described: Described, project_id: str | None, revision: str, dry_run: bool) -> bool:
    """Whether the service is there afterwards."""
    from launcher.cli.deploying import revising

    name = described.service.name
    there = await _named(engine, "services", name, project_id)
    if there is None:
        if not dry_run:
            await engine.post("/services", revising.new_service(described))
        click.echo(f"{tables.coloured('create')}  service {name!r}")
        return not dry_run
    differences = revising.service_changes(there, described, revision)
    click.echo(f"{tables.coloured('update' if differences else 'unchanged')}  service {name!r}")
    for difference in differences:
        click.echo(f"    {difference.field}: {tables.text(difference.before)}  ->  {tables.text(difference.after)}")
    if differences and not dry_run:
        await engine.patch(f"/services/{there['id']}", {each.field: each.after for each in differences})
    return True


async def _named(engine: Engine, resource: str, name: str, project_id: str | None) -> dict[str, Any] | None:
    if project_id is None:
        return None
    found = await engine.query(resource, {"name": name, "projectId": project_id})
    return next((one for one in found if one["name"] == name), None)
