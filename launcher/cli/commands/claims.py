"""`trigger-engine claims`: the ledger of Once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from launcher.cli import completing, freeing, tables
from launcher.cli.asking import asks_the_engine, json_option, project_option
from launcher.cli.moments import MOMENT
from launcher.cli.tables import Column, field

if TYPE_CHECKING:
    from launcher.cli.engine import Document, Engine

trigger_option = click.option(
    "--trigger",
    metavar="T",
    shell_complete=completing.names_of("triggers"),
    help="Its name or id; by id a deleted one, too.",
)
entity_option = click.option("--entity", metavar="ID", help="Claims on this entity.")
since_option = click.option("--since", type=MOMENT, help="Claimed then or later: an age (1h, 7d) or a time.")
before_option = click.option("--before", type=MOMENT, help="Claimed before that.")


@click.group()
def command() -> None:
    """Claims: which trigger with mode Once has run for which entity. Freed, it runs at the entity's next event.

    \b
    Examples:
      trigger-engine claims list --trigger grayscale
      trigger-engine claims show grayscale item-17
      trigger-engine claims reset --trigger grayscale --entity item-17 --reason "the picture was broken"
    """


@command.command("list")
@trigger_option
@entity_option
@project_option
@since_option
@before_option
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True)
@click.option("--after", metavar="CLAIM", help="To turn the page: what the page before said.")
@json_option
@asks_the_engine
async def list_(
    engine: Engine,
    /,
    trigger: str | None,
    entity: str | None,
    project: str | None,
    limit: int,
    as_json: bool,
    **rest: Any,
) -> None:
    """List claims of a trigger, of an entity or of a project, in the order of trigger and entity.

    \b
    Examples:
      trigger-engine claims list --trigger grayscale --since 1h
      trigger-engine claims list --entity item-17 --json
    """
    selection = await _selection(engine, trigger, entity, project)
    answer = await engine.get("/claims", limit=limit, **selection, **rest)
    tables.show(answer["items"], _COLUMNS, as_json=as_json, empty="there are no such claims")
    if answer["next"] and not as_json:
        click.echo(f"there are more: --after {answer['next']}", err=True)


@command.command()
@click.argument("trigger", metavar="TRIGGER", shell_complete=completing.names_of("triggers"))
@click.argument("entity", metavar="ENTITY")
@project_option
@json_option
@asks_the_engine
async def show(engine: Engine, trigger: str, entity: str, project: str | None, as_json: bool) -> None:
    """Show who holds a trigger's claim on an entity, and by whom it was freed before, and why.

    \b
    Examples:
      trigger-engine claims show grayscale item-17 --project demo
    """
    from launcher.cli.commands.trigger_history import id_of
    from launcher.cli.engine import segment

    trigger_id = await id_of(engine, trigger, project)
    told = await engine.get(f"/triggers/{trigger_id}/claims/{segment(entity)}", project=project)
    if as_json:
        tables.show_json(told)
        return
    tables.show(
        told["held"], _COLUMNS, as_json=False, empty="nobody holds it: the entity's next event that matches runs"
    )
    if told["resets"]:
        click.echo("freed before")
        tables.show(told["resets"], _FREED, as_json=False, empty="")


@command.command()
@trigger_option
@entity_option
@project_option
@since_option
@before_option
@click.option("--filter", "filter_", metavar="DQL", help="Only where the entity, as the claiming event had it, passes.")
@click.option("--reason", required=True, help="Why. It is kept, with your name.")
@click.option("--dry-run", is_flag=True, help="Say how many, and free none.")
@asks_the_engine
async def reset(
    engine: Engine, /, trigger: str | None, entity: str | None, project: str | None, filter_: str | None, **rest: Any
) -> None:
    """Free claims of a trigger, an entity or a project, so that the next event of the entity runs once more.

    Nothing runs by itself. Claims whose event retention has removed stay, where there is a --filter.

    \b
    Examples:
      trigger-engine claims reset --trigger grayscale --entity item-17 --reason "the picture was broken"
      trigger-engine claims reset --trigger grayscale --since 2d --reason "a bug in 1.0.4" --dry-run
      trigger-engine claims reset --trigger grayscale --filter '{"dir": "/train"}' --reason "new labels"
    """
    dry_run = rest.pop("dry_run")
    asked = {**await _selection(engine, trigger, entity, project), **rest, "dryRun": dry_run}
    if filter_ is not None:
        from launcher.cli import documents

        asked["filter"] = documents.parse(filter_.encode(), "--filter")
    freed, unknown = await freeing.free(engine, asked)
    click.echo(f"{freed:,} claims {'would be' if dry_run else 'were'} freed")
    if unknown:
        click.echo(f"{unknown:,} stay: the events that made them are gone, so the filter could not be asked", err=True)


@command.command()
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True)
@click.option("--before", type=int, metavar="ID", help="Only those before this one, to turn the page.")
@json_option
@asks_the_engine
async def resets(engine: Engine, limit: int, before: int | None, as_json: bool) -> None:
    """List who freed claims, when and why.

    \b
    Examples:
      trigger-engine claims resets --limit 10
    """
    answer = await engine.get("/claim-resets", limit=limit, before=before)
    columns = (
        field("id"),
        Column("AT", lambda one: tables.moment(one["at"])),
        Column("WHO", lambda one: one["actor"], True),
        field("claims"),
        field("reason", gives_way=True),
        Column("OF", lambda one: {name: value for name, value in one["asked"].items() if value is not None}, True),
    )
    tables.show(answer["items"], columns, as_json=as_json, empty="nobody freed claims")


async def _selection(engine: Engine, trigger: str | None, entity: str | None, project: str | None) -> Document:
    from launcher.cli.commands.trigger_history import id_of

    if not (trigger or entity or project):
        raise click.UsageError("which claims? Give --trigger, --entity or --project")
    return {"trigger": await id_of(engine, trigger, project) if trigger else None, "entity": entity, "project": project}


_HELD = (
    Column("CLAIMED", lambda claim: tables.moment(claim["claimedAt"])),
    Column("EVENT", lambda claim: claim["eventId"], gives_way=True),
    Column("EXECUTION", lambda claim: claim["executionId"]),
)
_COLUMNS = (
    Column("TRIGGER", lambda claim: claim["triggerName"] or claim["triggerId"], gives_way=True),
    Column("ENTITY", lambda claim: claim["entityId"], gives_way=True),
    *_HELD,
)
_FREED = (
    Column("AT", lambda one: tables.moment(one["at"])),
    Column("WHO", lambda one: one["actor"], gives_way=True),
    field("reason", gives_way=True),
    *_HELD,
)
