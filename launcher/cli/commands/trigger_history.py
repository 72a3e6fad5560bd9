"""`trigger-engine triggers history` and `triggers why`: what a trigger was, and what it did."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from launcher.cli import completing, tables, telling
from launcher.cli.asking import asks_the_engine, json_option, project_option
from launcher.cli.moments import AGE

if TYPE_CHECKING:
    from launcher.cli.engine import Document, Engine

_ID = re.compile(r"[0-9a-f]{24}")


@click.command()
@click.argument("name_or_id", shell_complete=completing.names_of("triggers"))
@project_option
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True)
@click.option(
    "--before", type=click.IntRange(1), metavar="VERSION", help="Only those before this one, to turn the page."
)
@json_option
@asks_the_engine
async def history(
    engine: Engine, name_or_id: str, project: str | None, limit: int, before: int | None, as_json: bool
) -> None:
    """Tell who changed a trigger, when, and what; the newest version first. A deleted one is found by its id.

    \b
    Examples:
      trigger-engine triggers history grayscale
      trigger-engine triggers history 66f0c1d2a3b4c5d6e7f80912 --limit 3 --json
    """
    trigger_id = await id_of(engine, name_or_id, project)
    answer = await engine.get(f"/triggers/{trigger_id}/history", before=before, limit=limit)
    if as_json:
        tables.show_json(answer["items"])
        return
    _say(answer["items"])
    if answer["hasNextPage"]:
        click.echo(f"there are more: --before {answer['items'][-1]['version']}", err=True)


@click.command()
@click.argument("name_or_id", shell_complete=completing.names_of("triggers"))
@project_option
@click.option("--since", type=AGE, default="1h", show_default=True, help="How far to look back: 90s, 30m, 1h, 7d.")
@click.option("--limit", type=click.IntRange(1, 1000), default=10, show_default=True, help="Events of each kind.")
@json_option
@asks_the_engine
async def why(engine: Engine, name_or_id: str, project: str | None, since: int, limit: int, as_json: bool) -> None:
    """Tell what a trigger fired at lately, what was refused and why, and what it nearly fired at.

    \b
    Examples:
      trigger-engine triggers why grayscale --since 1h
      trigger-engine triggers why 66f0c1d2a3b4c5d6e7f80912 --since 7d --json
    """
    trigger_id = await id_of(engine, name_or_id, project)
    answer = await engine.get(f"/triggers/{trigger_id}/why", seconds=since, limit=limit)
    if as_json:
        tables.show_json(answer)
        return
    for title in ("fired", "refused", "nearly"):
        for verdict in answer[title]:
            moment, event = tables.moment(verdict["received"]), tables.plain(verdict["eventId"])
            telling.say(verdict, f"{moment}  {event}")
    bound = "" if answer["whole"] else ", the newest of more"
    said = telling.counted(answer["counts"]) or "it listened to none of them"
    click.echo(f"{answer['looked']:,} events{bound}: {said}")


async def id_of(engine: Engine, name_or_id: str, project: str | None) -> str:
    """By its name; what reads as an id is one, as a deleted trigger has no name any more."""
    if _ID.fullmatch(name_or_id):
        return name_or_id
    project_id = (await engine.project(project))["id"] if project else None
    return str((await engine.find("triggers", name_or_id, project_id))["id"])


def _say(changes: Sequence[Document]) -> None:
    for change in changes:
        moment, actor = tables.moment(change["at"]), tables.plain(change["actor"])
        click.echo(f"version {change['version']}  {moment}  {tables.coloured(change['change'])} by {actor}")
        for one in change["differences"]:
            click.echo(f"    {one['field']}: {tables.text(one['before'])}  ->  {tables.text(one['after'])}")
