"""`trigger-engine publish`: events from a file into the log."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, BinaryIO

import click

from backbone.model.errors import TriggerEngineError
from launcher.cli import exits, tables
from launcher.cli.asking import asks_the_engine

if TYPE_CHECKING:
    from launcher.cli.engine import Engine
    from launcher.cli.event_lines import Numbered

EVERY = 2.0  # seconds between two words about a long file


@click.command()
@click.argument("file", type=click.File("rb"), metavar="FILE|-")
@click.option("--project", metavar="P", help="The project of events that name none.  [default: default]")
@click.option("--batch", type=click.IntRange(1, 10_000), default=200, show_default=True, help="Events a request.")
@asks_the_engine
async def command(engine: Engine, file: BinaryIO, project: str | None, batch: int) -> None:
    """Publish the events of FILE, or of standard input.

    Read are: a JSON event, an array, {"events": [...]}, one event a line (NDJSON), and CloudEvents 1.0 in each of
    these. Events that are refused are told with their place and kept as dead letters; the others are taken. Ends
    with 2 when any was refused.

    \b
    Examples:
      trigger-engine publish events.jsonl
      trigger-engine publish events.json --project demo
      jq -c .[] events.json | trigger-engine publish - --batch 1000
    """
    from launcher.cli import delivery, event_lines

    progress = Progress()
    numbered = event_lines.read(file, file.name)
    for lines in event_lines.batches(numbered, batch, delivery.BATCH_BYTES):
        try:
            receipt = await delivery.deliver(engine, [line.document for line in lines], project)
        except TriggerEngineError:
            click.echo(f"stopped at {lines[0].place}: {progress}", err=True)
            raise
        for rejected in receipt.rejected:
            exits.complain(f"{_place(lines, rejected.index)}: {tables.plain(str(rejected))}")
        progress.add(receipt.accepted, len(receipt.rejected))
    click.echo(str(progress))
    if progress.refused:
        raise click.exceptions.Exit(exits.INVALID)


class Progress:
    def __init__(self) -> None:
        self.accepted = 0
        self.refused = 0
        self._told = time.monotonic()

    def __str__(self) -> str:
        return f"{self.accepted:,} accepted, {self.refused:,} refused"

    def add(self, accepted: int, refused: int) -> None:
        self.accepted += accepted
        self.refused += refused
        if time.monotonic() - self._told >= EVERY:
            self._told = time.monotonic()
            click.echo(f"{self} so far", err=True)


def _place(lines: list[Numbered], index: int) -> str:
    return lines[index].place if 0 <= index < len(lines) else f"event {index}"
