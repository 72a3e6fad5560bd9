"""`trigger-engine triggers`: who wants to know of which events."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from backbone.model.errors import NotFound, NotInState
from launcher.cli import completing, exits, tables
from launcher.cli.asking import PATH, asks_the_engine, json_option, project_option
from launcher.cli.commands.trigger_history import history, why
from launcher.cli.tables import Column, field

if TYPE_CHECKING:
    from launcher.cli.declaring.files import Declared, Defaults
    from launcher.cli.engine import Engine
    from launcher.cli.explaining import Told

name_argument = click.argument("name_or_id", shell_complete=completing.names_of("triggers"))


@click.group()
def command() -> None:
    """Triggers: a resource, actions, a filter, and the function of a service to run.

    \b
    Examples:
      trigger-engine triggers list --project demo
      trigger-engine triggers apply triggers.json --dry-run
      trigger-engine triggers pause grayscale
    """


command.add_command(history)
command.add_command(why)


@command.command("list")
@project_option
@json_option
@asks_the_engine
async def list_(engine: Engine, project: str | None, as_json: bool) -> None:
    """List the triggers.

    \b
    Examples:
      trigger-engine triggers list
      trigger-engine triggers list --project demo --json
    """
    found = await _all(engine, project)
    projects, services = await engine.names("projects"), await engine.names("services")
    by_the_clock = any(trigger["type"] == "Cron" for trigger in found)
    missed = await _missed(engine, project) if by_the_clock and not as_json else {}
    columns = (
        field("name", gives_way=True),
        Column("PROJECT", lambda trigger: _project(trigger, projects), gives_way=True),
        Column("LISTENS", _listens, gives_way=True),
        Column("MODE", lambda trigger: trigger["spec"].get("executionMode") or trigger["type"]),
        Column("RUNS", lambda trigger: _runs(trigger, services), gives_way=True),
        Column("STATE", _state),
        *([Column("MISSED", lambda trigger: missed.get(trigger["id"]))] if by_the_clock else []),
        field("id"),
    )
    tables.show(found, columns, as_json=as_json, empty="there are no triggers")


@command.command()
@name_argument
@project_option
@json_option
@asks_the_engine
async def show(engine: Engine, name_or_id: str, project: str | None, as_json: bool) -> None:
    """Show a trigger and its filter, or its schedule.

    \b
    Examples:
      trigger-engine triggers show grayscale
      trigger-engine triggers show grayscale --project demo --json
    """
    trigger = await _one(engine, name_or_id, project)
    if as_json:
        tables.show_json(trigger)
        return
    projects, services = await engine.names("projects"), await engine.names("services")
    spec = trigger["spec"]
    tables.show_facts(
        (
            ("name", trigger["name"]),
            ("id", trigger["id"]),
            ("project", _project(trigger, projects)),
            ("state", _state(trigger)),
            ("listens to", _listens(trigger)),
            ("mode", spec.get("executionMode")),
            *(await _schedule(engine, trigger)),
            ("loops", spec.get("loopProtection")),
            ("runs", _runs(trigger, services)),
            ("input", spec.get("input") or None),
            ("changed", tables.moment(trigger.get("updatedAt"))),
        )
    )
    if "filter" in spec:
        click.echo("filter")
        tables.show_json(spec["filter"])


@command.command("next")
@name_argument
@click.option("-n", "count", type=click.IntRange(1, 1000), default=10, show_default=True, help="How many.")
@project_option
@json_option
@asks_the_engine
async def next_(engine: Engine, name_or_id: str, count: int, project: str | None, as_json: bool) -> None:
    """Tell when a Cron trigger fires next: in UTC, and by the clock of its time zone.

    \b
    Examples:
      trigger-engine triggers next nightly
      trigger-engine triggers next nightly -n 3 --json
    """
    from zoneinfo import ZoneInfo

    trigger = await _one(engine, name_or_id, project)
    answer = await engine.get(f"/triggers/{trigger['id']}/next", count=count)
    if as_json:
        tables.show_json(answer)
        return
    click.echo(answer["words"] + ("" if trigger["active"] else " (paused)"))
    zone = ZoneInfo(answer["timezone"])
    columns = (
        Column("UTC", lambda fire: tables.moment(fire["at"])),
        Column(answer["timezone"], lambda fire: tables.moment(fire["at"], zone)),
    )
    fires = [{"at": fire} for fire in answer["fires"]]
    tables.show(fires, columns, as_json=False, empty="it fires no more")


@command.command()
@name_argument
@project_option
@asks_the_engine
async def run(engine: Engine, name_or_id: str, project: str | None) -> None:
    """Run a Cron trigger's function now, as a fire would. Prints the execution's id.

    \b
    Examples:
      trigger-engine triggers run nightly
    """
    trigger = await _one(engine, name_or_id, project)
    click.echo((await engine.post(f"/triggers/{trigger['id']}/run"))["id"])


@command.command()
@click.argument("name_or_id", required=False, shell_complete=completing.names_of("triggers"))
@project_option
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="The latest so many.")
@json_option
@asks_the_engine
async def missed(engine: Engine, name_or_id: str | None, project: str | None, limit: int, as_json: bool) -> None:
    """List the fires of Cron triggers that did not come, and why.

    \b
    Examples:
      trigger-engine triggers missed
      trigger-engine triggers missed nightly --json
    """
    trigger = (await _one(engine, name_or_id, project))["id"] if name_or_id else None
    answer = await engine.get("/missed-fires", trigger=trigger, project=project, limit=limit)
    columns = (
        Column("TRIGGER", lambda one: one["triggerName"] or one["triggerId"], gives_way=True),
        Column("FIRST", lambda one: tables.moment(one["first"])),
        Column("LAST", lambda one: tables.moment(one["last"])),
        field("fires"),
        field("reason"),
    )
    tables.show(answer["items"], columns, as_json=as_json, empty="nothing was missed")


@command.command()
@click.argument("name_or_id", required=False, shell_complete=completing.names_of("triggers"))
@click.option("--trigger", "path", type=PATH, metavar="FILE|FOLDER", help="Of these triggers, without an engine.")
@project_option
@json_option
@asks_the_engine
async def explain(
    engine: Engine, name_or_id: str | None, path: Path | None, project: str | None, as_json: bool
) -> None:
    """Tell how events find a trigger: by which keys, who else is found by them, what is then asked.

    The class says what the filter costs an event that it does not mean: docs/filters.md has them all. What else is
    found by the same keys is counted among the active triggers of its project and resource; with --trigger, among
    those of the file. Of a paused trigger it is told how it would be found.

    \b
    Examples:
      trigger-engine triggers explain grayscale --project demo
      trigger-engine triggers explain 66f0c1d2a3b4c5d6e7f80912 --json
      trigger-engine triggers explain --trigger triggers.json
    """
    from launcher.cli import explaining, live

    if path is not None:
        held = live.in_files(path)
        wanted = [one for one in held if name_or_id in (None, one.live.name)]
        if not wanted:
            raise NotFound("trigger", f"{name_or_id} in {path}")
    elif name_or_id is not None:
        trigger = await _one(engine, name_or_id, project)
        if trigger["type"] == "Cron":
            raise NotInState(f"trigger {trigger['name']!r}", "of type 'Cron'", "`triggers next` tells when it fires")
        place = trigger["projectId"]
        held = await live.in_engine(engine, {"projectId": place} if place else {"global": True})
        wanted = [one for one in held if one.live.id == trigger["id"]]
    else:
        raise click.UsageError("which trigger? Give its name or id, or --trigger FILE")
    told = explaining.told(wanted, held)
    if as_json:
        tables.show_json(told)
    else:
        for one in told:
            _say_how(one)


@command.command()
@click.argument("paths", type=PATH, nargs=-1, required=True, metavar="FILE|FOLDER...")
@project_option
@click.option("--dry-run", is_flag=True, help="Say what would change, and change nothing.")
@click.option("--prune", is_flag=True, help="Delete the other triggers of the projects that the files name.")
@click.option("--yes", is_flag=True, help="Do not ask before --prune deletes.")
@click.option("--reset-claims", is_flag=True, help="Free the claims of the triggers that change: Once begins anew.")
@asks_the_engine
async def apply(
    engine: Engine,
    paths: tuple[Path, ...],
    project: str | None,
    dry_run: bool,
    prune: bool,
    yes: bool,
    reset_claims: bool,
) -> None:
    """Make the triggers what the files say. Repeatable: the same name and project is the same trigger.

    A file holds one trigger, an array, or {"triggers": [...]}; a folder is its *.json files. Projects and services are
    named. Nothing is done when anything is wrong. A trigger whose file does not say `active` stays paused or active.
    A trigger that changes keeps its claims, so that Once stays once: --reset-claims frees them.

    \b
    Examples:
      trigger-engine triggers apply triggers.json
      trigger-engine triggers apply triggers/ --project demo --dry-run
      trigger-engine triggers apply triggers/ --prune --yes
    """
    from launcher.cli.declaring import applying, files

    declared = _checked(paths, files.Defaults(project=project))
    changes = await applying.planned(engine, declared, prune=prune)
    applying.say(changes, dry_run=dry_run)
    if dry_run:
        return
    doomed = sum(change.verb == "delete" for change in changes)
    if doomed and not yes:
        _ask_before_deleting(doomed)
    await applying.carry_out(engine, changes, reset_claims=reset_claims)


@command.command()
@click.argument("paths", type=PATH, nargs=-1, required=True, metavar="FILE...")
@json_option
def lint(paths: tuple[Path, ...], as_json: bool) -> None:
    """Check files with triggers, without an engine. Ends with 2 when one is wrong.

    \b
    Examples:
      trigger-engine triggers lint triggers.json
      trigger-engine triggers lint triggers/ --json
    """
    from launcher.cli.catalog import catalog
    from launcher.cli.declaring import files

    written, unreadable = files.read(paths)
    checked = files.check(written, catalog(), files.Defaults(service="of the folder"))
    checked.remarks += [f"{one.place}: names no service: for `deploy` only" for one in checked.serviceless]
    problems = unreadable + checked.problems
    if as_json:
        tables.show_json({"triggers": len(written), "problems": problems, "remarks": checked.remarks})
    else:
        _complain(problems, checked.remarks)
        click.echo(f"{len(checked.declared)} of {len(written)} triggers are well")
    if problems:
        raise click.exceptions.Exit(exits.INVALID)


@command.command()
@project_option
@asks_the_engine
async def export(engine: Engine, project: str | None) -> None:
    """Print the triggers as a file that `apply` takes.

    \b
    Examples:
      trigger-engine triggers export --project demo > triggers.json
    """
    from launcher.cli.declaring import plan

    found = await _all(engine, project)
    tables.show_json(plan.exported(found, await engine.names("projects"), await engine.names("services")))


@command.command()
@name_argument
@project_option
@asks_the_engine
async def pause(engine: Engine, name_or_id: str, project: str | None) -> None:
    """Let a trigger match nothing until it is resumed.

    \b
    Examples:
      trigger-engine triggers pause grayscale
    """
    await _set_active(engine, await _one(engine, name_or_id, project), False)


@command.command()
@name_argument
@project_option
@asks_the_engine
async def resume(engine: Engine, name_or_id: str, project: str | None) -> None:
    """Let a paused trigger match again, from now on.

    \b
    Examples:
      trigger-engine triggers resume grayscale
    """
    await _set_active(engine, await _one(engine, name_or_id, project), True)


@command.command()
@name_argument
@project_option
@asks_the_engine
async def delete(engine: Engine, name_or_id: str, project: str | None) -> None:
    """Delete a trigger. Its executions stay.

    \b
    Examples:
      trigger-engine triggers delete grayscale --project demo
    """
    trigger = await _one(engine, name_or_id, project)
    await engine.delete(f"/triggers/{trigger['id']}")
    click.echo(f"deleted trigger {trigger['name']!r}")


async def _all(engine: Engine, project: str | None) -> list[dict[str, Any]]:
    place = {"projectId": (await engine.project(project))["id"]} if project else {}
    return await engine.query("triggers", place)


async def _one(engine: Engine, name_or_id: str, project: str | None) -> dict[str, Any]:
    project_id = (await engine.project(project))["id"] if project else None
    return await engine.find("triggers", name_or_id, project_id)


async def _set_active(engine: Engine, trigger: dict[str, Any], active: bool) -> None:
    if trigger["active"] is not active:
        await engine.patch(f"/triggers/{trigger['id']}", {"active": active})
    click.echo(f"trigger {trigger['name']!r} is {'active' if active else 'paused'}")


def _say_how(told: Told) -> None:
    from launcher.cli import explaining

    tables.show_facts(
        (
            ("name", told.name),
            ("id", told.id),
            ("state", f"paused: {told.paused}; this is how it would be found" if told.paused else "active"),
            ("listens to", f"{told.listens}, with {told.triggers - 1:,} other triggers of the resource"),
            ("class", f"{told.cost}: {explaining.in_words(told.cost)}"),
            ("best key", "; ".join(told.can_be_found_by) or "none"),
        )
    )
    for place in told.places:
        click.echo("found by")
        for key in place.keys or ("no key: every event of the resource and action is shown to it",):
            click.echo(f"  {tables.plain(key)}")
        left = tables.text(list(place.left)) if place.left else "nothing"
        click.echo(f"  as {place.others:,} others are; left to ask: {left}")


def _checked(paths: tuple[Path, ...], defaults: Defaults) -> list[Declared]:
    from launcher.cli.catalog import catalog
    from launcher.cli.declaring import files

    written, unreadable = files.read(paths)
    checked = files.check(written, catalog(), defaults)
    problems = unreadable + checked.problems
    _complain(problems, checked.remarks)
    if problems:
        click.echo("nothing was changed", err=True)
        raise click.exceptions.Exit(exits.INVALID)
    return checked.declared


def _complain(problems: list[str], remarks: list[str]) -> None:
    for problem in problems:
        exits.complain(problem)
    for remark in remarks:
        click.echo(f"remark: {remark}", err=True)


def _ask_before_deleting(doomed: int) -> None:
    if not sys.stdin.isatty():
        raise click.UsageError(f"--prune would delete {doomed} triggers; nothing was changed. Say --yes to allow it")
    click.confirm(f"Delete {doomed} triggers?", abort=True, err=True)


def _project(trigger: tables.Row, projects: dict[str, str]) -> str:
    project_id: str | None = trigger["projectId"]
    return projects.get(project_id, project_id) if project_id else "(every)"


def _listens(trigger: tables.Row) -> str:
    spec = trigger["spec"]
    if trigger["type"] == "Cron":
        from backbone.model import cron_expressions, cron_words

        return f"{cron_words.sentence(cron_expressions.parse(spec['cron'], 'cron'))}, {spec['timezone']}"
    return f"{spec['resource']}.{','.join(spec['actions'])}"


async def _schedule(engine: Engine, trigger: tables.Row) -> list[tuple[str, object]]:
    """What there is to tell of a Cron trigger alone."""
    if trigger["type"] != "Cron":
        return []
    spec = trigger["spec"]
    told = await engine.get(f"/triggers/{trigger['id']}/next", count=3)
    missed = (await engine.get("/missed-fires", trigger=trigger["id"], limit=3))["items"]
    return [
        ("cron", spec["cron"]),
        ("starts", tables.moment(spec["startAt"]) if spec["startAt"] else None),
        ("ends", tables.moment(spec["endAt"]) if spec["endAt"] else None),
        ("misfire", spec["misfire"]),
        ("overlap", spec["overlap"]),
        ("jitter", f"{spec['jitter']} s" if spec["jitter"] else None),
        ("fired last", tables.moment(told["lastFire"]) if told["lastFire"] else None),
        ("fires next", ", ".join(map(tables.moment, told["fires"])) or "no more"),
        ("missed", "; ".join(map(_missed_in_words, missed)) or None),
    ]


def _missed_in_words(missed: tables.Row) -> str:
    return f"{missed['fires']} until {tables.moment(missed['last'])} ({missed['reason']})"


async def _missed(engine: Engine, project: str | None) -> dict[str, int]:
    """How many fires each trigger missed lately."""
    counted: dict[str, int] = {}
    for one in (await engine.get("/missed-fires", project=project, limit=1000))["items"]:
        counted[one["triggerId"]] = counted.get(one["triggerId"], 0) + one["fires"]
    return counted


def _state(trigger: tables.Row) -> str:
    return "active" if trigger["active"] else "paused"


def _runs(trigger: tables.Row, services: dict[str, str]) -> str:
    operation = trigger["spec"]["operation"]
    return f"{services.get(operation['serviceId'], operation['serviceId'])}.{operation['functionName']}"
