"""`trigger-engine dead-letters`: what could not be taken, kept with the reason."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import click

from launcher.cli import exits, tables
from launcher.cli.asking import asks_the_engine, json_option
from launcher.cli.tables import Column, field

if TYPE_CHECKING:
    from launcher.cli.engine import Engine

ids_argument = click.argument("ids", type=int, nargs=-1, required=True, metavar="ID...")


@click.group("dead-letters")
def command() -> None:
    """Dead letters: documents that were refused, kept as they came.

    \b
    Examples:
      trigger-engine dead-letters list
      trigger-engine dead-letters show 17
      trigger-engine dead-letters replay 17 18
    """


@command.command("list")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True)
@click.option("--before", type=int, metavar="ID", help="Only those before this one, to turn the page.")
@json_option
@asks_the_engine
async def list_(engine: Engine, limit: int, before: int | None, as_json: bool) -> None:
    """List the latest dead letters.

    \b
    Examples:
      trigger-engine dead-letters list --limit 10
      trigger-engine dead-letters list --before 120 --json
    """
    answer = await engine.get("/dead-letters", before=before, limit=limit)
    columns = (
        field("id"),
        Column("AT", lambda letter: tables.moment(letter["at"])),
        field("source"),
        field("position", gives_way=True),
        field("bytes"),
        field("path", gives_way=True),
        field("reason", gives_way=True),
    )
    tables.show(answer["items"], columns, as_json=as_json, empty="there are no dead letters")
    if answer["hasNextPage"] and not as_json:
        click.echo(f"there are more: --before {answer['items'][-1]['id']}", err=True)


@command.command()
@click.argument("letter_id", type=int, metavar="ID")
@json_option
@asks_the_engine
async def show(engine: Engine, letter_id: int, as_json: bool) -> None:
    """Show why a document was refused, and the document.

    \b
    Examples:
      trigger-engine dead-letters show 17
      trigger-engine dead-letters show 17 --json
    """
    letter = await engine.get(f"/dead-letters/{letter_id}")
    if as_json:
        tables.show_json(letter)
        return
    tables.show_facts(
        (
            ("dead letter", letter["id"]),
            ("at", tables.moment(letter["at"])),
            ("from", f"{letter['source']} {letter['position']}"),
            ("project", letter.get("projectId")),
            ("field", letter["path"] or None),
            ("reason", letter["reason"]),
        )
    )
    text = letter.get("body")
    click.echo(tables.plain_lines(text) if text is not None else repr(base64.b64decode(letter["bodyBase64"])))


@command.command()
@ids_argument
@asks_the_engine
async def replay(engine: Engine, ids: tuple[int, ...]) -> None:
    """Take these documents now, for instance after the engine learned to read them. What is taken is no longer kept.

    \b
    Examples:
      trigger-engine dead-letters replay 17 18
    """
    failures = []
    for letter_id in ids:
        try:
            await engine.post(f"/dead-letters/{letter_id}/replay")
        except exits.Refused as refusal:
            exits.complain(f"dead letter {letter_id}: {refusal}")
            failures.append(refusal)
        else:
            click.echo(f"dead letter {letter_id} was taken")
    _end(failures)


@command.command()
@ids_argument
@asks_the_engine
async def drop(engine: Engine, ids: tuple[int, ...]) -> None:
    """Forget these documents for ever.

    \b
    Examples:
      trigger-engine dead-letters drop 17 18
    """
    failures = []
    for letter_id in ids:
        try:
            await engine.delete(f"/dead-letters/{letter_id}")
        except exits.Refused as refusal:
            exits.complain(f"dead letter {letter_id}: {refusal}")
            failures.append(refusal)
        else:
            click.echo(f"dead letter {letter_id} was dropped")
    _end(failures)


def _end(failures: list[exits.Refused]) -> None:
    """Each was told; the command ends as the first failure would have ended it."""
    if failures:
        raise click.exceptions.Exit(exits.code_of(failures[0]))
