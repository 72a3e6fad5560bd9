"""`trigger-engine events`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from launcher.cli import tables
from launcher.cli.asking import asks_the_engine, json_option, project_option

if TYPE_CHECKING:
    from launcher.cli.engine import Engine


@click.group()
def command() -> None:
    """Events, as they were taken.

    \b
    Examples:
      trigger-engine events show 7d4f0a6e
    """


@command.command()
@click.argument("event_id", metavar="ID")
@project_option
@json_option
@asks_the_engine
async def show(engine: Engine, event_id: str, project: str | None, as_json: bool) -> None:
    """Show an event and its entity.

    \b
    Examples:
      trigger-engine events show 7d4f0a6e --project demo
      trigger-engine events show 7d4f0a6e --json
    """
    from launcher.cli.engine import segment

    event = await engine.get(f"/events/{segment(event_id)}", project=project)
    if as_json:
        tables.show_json(event)
        return
    links = (event.get("causation") or {}).get("chain") or []
    tables.show_facts(
        (
            ("event", event["id"]),
            ("what", f"{event['resource']}.{event['action']}"),
            ("entity", event["entityId"]),
            ("project", event.get("projectId")),
            ("happened", tables.moment(event.get("time"))),
            ("received", tables.moment(event.get("received"))),
            ("by", event.get("actor")),
            ("led to by", ", ".join(f"execution {link['execution']}" for link in links) or None),
        )
    )
    tables.show_json(event["entity"])
