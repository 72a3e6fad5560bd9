"""`trigger-engine incidents`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from launcher.cli import tables
from launcher.cli.asking import asks_the_engine, json_option, project_option
from launcher.cli.tables import Column, Row, field

if TYPE_CHECKING:
    from launcher.cli.engine import Engine

id_argument = click.argument("incident_id", type=int, metavar="ID")


@click.group()
def command() -> None:
    """Incidents: loops that were stopped. docs/loops.md tells how they are seen.

    \b
    Examples:
      trigger-engine incidents list
      trigger-engine incidents show 3
      trigger-engine incidents release 3
    """


@command.command("list")
@project_option
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True)
@json_option
@asks_the_engine
async def list_(engine: Engine, project: str | None, limit: int, as_json: bool) -> None:
    """List the latest loops: the trigger, why it was stopped, how often, and the triggers that led there.

    \b
    Examples:
      trigger-engine incidents list --limit 10
      trigger-engine incidents list --project demo --json
    """
    answer = await engine.get("/incidents", project=project, limit=limit)
    columns = (
        field("id"),
        Column("LAST", lambda incident: tables.moment(incident["at"])),
        field("state"),
        Column("TRIGGER", _trigger, gives_way=True),
        field("stopped"),
        field("waiting"),
        Column("REASON", lambda incident: incident["reason"], gives_way=True),
        Column("CHAIN", _chain, gives_way=True),
    )
    tables.show(answer["items"], columns, as_json=as_json, empty="nothing was stopped")


@command.command()
@id_argument
@json_option
@asks_the_engine
async def show(engine: Engine, incident_id: int, as_json: bool) -> None:
    """Show a loop: event by event and execution by execution, and the latest matches that it stopped.

    \b
    Examples:
      trigger-engine incidents show 3
      trigger-engine incidents show 3 --json
    """
    incident = await engine.get(f"/incidents/{incident_id}")
    if as_json:
        tables.show_json(incident)
        return
    tables.show_facts(
        (
            ("incident", incident["id"]),
            ("state", incident["state"]),
            ("kind", incident["kind"]),
            ("trigger", _trigger(incident)),
            ("reason", incident["reason"]),
            ("stopped", incident["stopped"]),
            ("waiting", incident["waiting"] or None),
            ("circuit", incident["circuit"]),
            ("tried again", tables.moment(incident["until"]) if incident["circuit"] == "open" else None),
            ("first", tables.moment(incident["firstAt"])),
            ("last", tables.moment(incident["at"])),
        )
    )
    for link in incident["chain"]:
        if link["event"]:
            click.echo(f"event {link['event']}")
            click.echo(f"  matched trigger {link.get('triggerName') or link['trigger']}")
        else:
            click.echo(f"the clock of trigger {_link(link)}" if link["trigger"] else "a call")
        click.echo(f"  began execution {link['execution']}, which made")
    if incident["entityId"]:
        click.echo(f"event {incident['eventId']} of entity {incident['entityId']}, which was stopped")
    else:
        click.echo("a call, which was refused")
    for stopped in incident["latest"]:
        went = f", went on {tables.moment(stopped['releasedAt'])}" if stopped["releasedAt"] else ""
        click.echo(f"  {tables.moment(stopped['at'])}  event {stopped['eventId']} of {stopped['entityId']}{went}")


@command.command()
@id_argument
@asks_the_engine
async def release(engine: Engine, incident_id: int) -> None:
    """Let go on what was stopped, once: the same loop is stopped again.

    \b
    Examples:
      trigger-engine incidents release 3
    """
    _say(await engine.post(f"/incidents/{incident_id}/release"))


@command.command()
@id_argument
@asks_the_engine
async def allow(engine: Engine, incident_id: int) -> None:
    """This is no loop: let go on what was stopped, and do not stop it again.

    \b
    Examples:
      trigger-engine incidents allow 3
    """
    _say(await engine.post(f"/incidents/{incident_id}/allow"))


def _say(incident: Row) -> None:
    click.echo(f"incident {incident['id']} is {incident['state']}; {incident['goingOn']} matches go on")


def _trigger(incident: Row) -> str:
    return str(incident.get("triggerName") or incident["triggerId"] or "(calls)")


def _link(link: Row) -> str:
    return str(link.get("triggerName") or link["trigger"] or "(call)")


def _chain(incident: Row) -> str:
    links = [_link(link) for link in incident["chain"]]
    return " > ".join([*links, _trigger(incident)])
