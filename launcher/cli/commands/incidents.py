"""`trigger-engine incidents`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from launcher.cli import tables
from launcher.cli.asking import asks_the_engine, json_option, project_option
from launcher.cli.tables import Column, Row

if TYPE_CHECKING:
    from launcher.cli.engine import Engine


@click.group()
def command() -> None:
    """Incidents: matches that were stopped because they closed a loop.

    \b
    Examples:
      trigger-engine incidents list
    """


@command.command("list")
@project_option
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True)
@json_option
@asks_the_engine
async def list_(engine: Engine, project: str | None, limit: int, as_json: bool) -> None:
    """List the latest stops: the trigger, why, and the triggers that led there.

    \b
    Examples:
      trigger-engine incidents list --limit 10
      trigger-engine incidents list --project demo --json
    """
    answer = await engine.get("/incidents", project=project, limit=limit)
    columns = (
        Column("AT", lambda incident: tables.moment(incident["at"])),
        Column("TRIGGER", lambda incident: incident.get("triggerName") or incident["triggerId"], gives_way=True),
        Column("EVENT", lambda incident: incident["eventId"], gives_way=True),
        Column("REASON", lambda incident: incident["reason"], gives_way=True),
        Column("CHAIN", _chain, gives_way=True),
    )
    tables.show(answer["items"], columns, as_json=as_json, empty="nothing was stopped")


def _chain(incident: Row) -> str:
    links = [link.get("triggerName") or link["trigger"] for link in incident["chain"]]
    return " > ".join([*links, incident.get("triggerName") or incident["triggerId"]])
