"""Bringing the engine to what files declare: look, plan, say, do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from launcher.cli import freeing, tables
from launcher.cli.declaring import plan
from launcher.cli.declaring.files import Declared
from launcher.cli.engine import segment

if TYPE_CHECKING:
    from launcher.cli.engine import Engine


async def present(engine: Engine, project_keys: set[str | None]) -> plan.Present:
    """What the engine has in the named projects; None names every project."""
    projects = {project["name"]: project["id"] for project in await engine.get("/projects")}
    known = plan.Present(projects, (), ())
    ids = sorted({project_id for key in project_keys if (project_id := known.project_id(key))})
    triggers = await engine.query("triggers", {"projectId": {"$in": ids}}) if ids else []
    if None in project_keys:
        triggers += await engine.query("triggers", {"global": True})
    return plan.Present(projects, await engine.query("services", {}), triggers)


async def planned(engine: Engine, declared: Sequence[Declared], *, prune: bool = False) -> list[plan.Change]:
    return plan.changes(declared, await present(engine, {one.project for one in declared}), prune=prune)


async def carry_out(engine: Engine, changes: Sequence[plan.Change], *, reset_claims: bool = False) -> None:
    for change in changes:
        if change.verb == "create":
            _warn(change, await engine.post("/triggers", change.body))
        elif change.verb == "update" and change.id:
            _warn(change, await engine.patch(f"/triggers/{segment(change.id)}", change.body))
            if reset_claims:
                freed, _ = await freeing.free(engine, {"trigger": change.id, "reason": _why(change)})
                click.echo(f"{freed:,} claims of trigger {change.name!r} were freed")
        elif change.verb == "delete" and change.id:
            await engine.delete(f"/triggers/{segment(change.id)}")


def _warn(change: plan.Change, trigger: dict[str, Any]) -> None:
    for warning in trigger.get("warnings") or ():
        click.echo(f"warning: trigger {change.name!r}: {warning}", err=True)


def _why(change: plan.Change) -> str:
    return f"triggers apply --reset-claims: changed {', '.join(one.field for one in change.differences)}"


def say(changes: Sequence[plan.Change], *, dry_run: bool) -> None:
    for change in changes:
        click.echo(f"{tables.coloured(change.verb)}  trigger {change.name!r} of {plan.place(change.project)}")
        for difference in change.differences:
            click.echo(f"    {difference.field}: {tables.text(difference.before)}  ->  {tables.text(difference.after)}")
    counted = Counter(change.verb for change in changes)
    said = ", ".join(f"{count} {verb}" for verb, count in counted.items()) or "no triggers"
    click.echo(f"{said}{'; nothing was done, this was a dry run' if dry_run else ''}")
