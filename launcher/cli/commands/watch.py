"""`trigger-engine watch`: the files of a folder become Item events."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from launcher.cli import exits, tables
from launcher.cli.asking import PATH, asks_the_engine

if TYPE_CHECKING:
    from launcher.cli.engine import Engine


@click.command()
@click.argument("folder", type=PATH)
@click.option("--project", metavar="P", default="default", show_default=True, help="The project of the items.")
@click.option("--dataset", metavar="D", help="The items' datasetId.  [default: the folder's name]")
@click.option("--once", is_flag=True, help="Tell what changed since the last time, and end.")
@asks_the_engine
async def command(engine: Engine, folder: Path, project: str, dataset: str | None, once: bool) -> None:
    """Make Item events of what happens to the files of FOLDER and below: Created, Updated, Deleted.

    Hidden files and folders are left out. A file is told of when it has not changed for 100 ms. What happened while
    nobody watched is found at the next start; what the engine cannot take now is told when it can. Files that an
    execution wrote with its context carry where they come from, so that loops are seen.

    \b
    Examples:
      trigger-engine watch ./photos
      trigger-engine watch ./photos --project demo --dataset photos
      trigger-engine watch ./photos --once
    """
    from launcher.cli.watching.items import Place
    from launcher.cli.watching.snapshot import Snapshot
    from launcher.cli.watching.watcher import Watcher

    place = Place.of(folder, project, dataset)
    memory = Snapshot.of(engine.data, place.folder, place.project, place.dataset)
    watcher = Watcher(engine, place, memory, _say, _complain)
    if once:
        await watcher.once()
    else:
        click.echo(f"watching {place.folder} as dataset {place.dataset!r} of project {project!r}", err=True)
        await watcher.forever()


def _say(sentence: str) -> None:
    click.echo(tables.plain(sentence))


def _complain(sentence: str) -> None:
    exits.complain(tables.plain(sentence))
