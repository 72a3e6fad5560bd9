"""`trigger-engine explain`: why an event made triggers fire, or did not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from launcher.cli import telling
from launcher.cli.asking import asks_the_engine, json_option, project_option

if TYPE_CHECKING:
    from launcher.cli.engine import Engine


@click.command()
@click.argument("event_id", metavar="EVENT")
@project_option
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="Triggers told one by one.")
@json_option
@asks_the_engine
async def command(engine: Engine, event_id: str, project: str | None, limit: int, as_json: bool) -> None:
    """Tell of each trigger that listens to an event whether it fired, and if not, why.

    What matched comes first, then the nearest misses: those with the fewest conditions that fail. Of the others it is
    counted which condition failed first. Triggers are taken as they were when the event was received.

    \b
    Examples:
      trigger-engine explain 7d4f0a6e --project demo
      trigger-engine explain 7d4f0a6e --limit 5 --json
    """
    from launcher.cli import tables
    from launcher.cli.engine import segment

    answer = await engine.get(f"/events/{segment(event_id)}/explanation", project=project, limit=limit)
    if as_json:
        tables.show_json(answer)
        return
    event = answer["event"]
    tables.show_facts(
        (
            ("event", event["id"]),
            ("what", f"{event['resource']}.{event['action']} of {event['entityId']}"),
            ("received", tables.moment(event["received"])),
            ("triggers", telling.counted(answer["counts"]) or "none listens to it"),
        )
    )
    for verdict in answer["triggers"]:
        telling.say(verdict, telling.name(verdict))
    if sum(answer["counts"].values()) > len(answer["triggers"]):
        click.echo("all of them, by the first condition that fails")
        tables.show(answer["groups"], telling.GROUPS, as_json=False, empty="")
