"""`trigger-engine match`: a dry run of triggers on events, with the engine's own matcher."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click

from launcher.cli import exits, tables
from launcher.cli.asking import PATH, asks_the_engine, json_option

if TYPE_CHECKING:
    from launcher.cli.engine import Engine
    from launcher.cli.event_lines import Numbered
    from launcher.cli.live import Held
    from launcher.cli.trying import Hit, Taken, Trial

BATCH, BATCH_BYTES = 1_000, 8_000_000


@click.command()
@click.option("--trigger", "path", type=PATH, metavar="FILE|FOLDER", help="Triggers, instead of the engine's.")
@click.option("--event", "event_file", type=click.File("rb"), required=True, metavar="FILE|-", help="Events.")
@click.option("--project", metavar="P", help="The project of events that name none.  [default: default]")
@click.option(
    "--explain/--no-explain", default=None, help="Say of each event and trigger why.  [default: of a single event]"
)
@json_option
@asks_the_engine
async def command(
    engine: Engine, path: Path | None, event_file: BinaryIO, project: str | None, explain: bool | None, as_json: bool
) -> None:
    """Try triggers on events, and say which match. Nothing is sent anywhere, nothing is run.

    The triggers are those of a file or a folder, as `triggers apply` takes them, and then no engine is needed; else
    those of the engine's project, and of every project. Events are read as `publish` reads them. Of a single event
    every trigger is told of, with the first clause that failed and the value it saw. --json prints a document a line,
    the summary last.

    Ends with 0 when anything matches, with 1 when nothing does, with 2 when an event cannot be taken.

    \b
    Examples:
      trigger-engine match --trigger trigger.json --event event.json
      trigger-engine match --trigger triggers/ --event events.jsonl --json
      trigger-engine match --event events.jsonl --project demo
      trigger-engine events show ID --json | trigger-engine match --trigger trigger.json --event -
    """
    from launcher.cli import event_lines, live, trying

    if path is not None:
        held, project_of = live.in_files(path), lambda key: key or project
    else:
        held, project_of = await _of_the_engine(engine, project)
    numbered = event_lines.read(event_file, event_file.name)
    first = list(itertools.islice(numbered, 2))
    trial = trying.Trial(held)
    summary = Summary()
    explain = len(first) < 2 if explain is None else explain
    say = _explained if explain else _told
    for lines in event_lines.batches(itertools.chain(first, numbered), BATCH, BATCH_BYTES):
        batch = list(_taken(lines, project_of, summary, as_json))
        hits, unreadable = trial.match(batch)
        for letter in unreadable:
            summary.refuse(f"event {letter.position}", letter.path, letter.reason, as_json)
        summary.events += len(lines)
        summary.matches += len(hits)
        if said := "\n".join(say(batch, hits, trial, as_json)):
            click.echo(said)
    summary.say(as_json)
    if summary.refused:
        raise click.exceptions.Exit(exits.INVALID)
    if not summary.matches:
        raise click.exceptions.Exit(exits.NO_MATCH)


async def _of_the_engine(engine: Engine, project: str | None) -> tuple[list[Held], Callable[[str | None], str]]:
    """The triggers that events of the project meet; and the id of the project that an event names."""
    from launcher.cli import live
    from launcher.cli.declaring.files import DEFAULT_PROJECT

    own = (await engine.project(project or DEFAULT_PROJECT))["id"]
    ids = {known["name"]: known["id"] for known in await engine.get("/projects")}
    held = await live.in_engine(engine, {"projectId": own}) + await live.in_engine(engine, {"global": True})
    return held, lambda key: ids.get(key, key) if key else own


@dataclass
class Summary:
    events: int = 0
    matches: int = 0
    refused: int = 0
    began: float = field(default_factory=time.perf_counter)

    def refuse(self, place: str, path: str, reason: str, as_json: bool) -> None:
        self.refused += 1
        if as_json:
            click.echo(_line({"place": place, "deadLetter": {"path": path, "reason": reason}}))
        sentence = f"{path}: {reason}" if path else reason
        exits.complain(f"{place}: {tables.plain(sentence)}")

    def say(self, as_json: bool) -> None:
        rate = round(self.events / (time.perf_counter() - self.began))
        if as_json:
            counted = {"events": self.events, "matches": self.matches, "deadLetters": self.refused}
            click.echo(_line({"summary": {**counted, "eventsPerSecond": rate}}))
        else:
            click.echo(
                f"{self.events:,} events, {self.matches:,} matches, {self.refused:,} dead letters;"
                f" {rate:,} events a second"
            )


def _taken(
    lines: Sequence[Numbered], project_of: Callable[[str | None], str | None], summary: Summary, as_json: bool
) -> Iterator[Taken]:
    from datetime import UTC, datetime

    import msgspec

    from backbone.model import envelopes
    from backbone.model.errors import InvalidEvent
    from backbone.model.events import RecordedEvent
    from launcher.cli.catalog import catalog
    from launcher.cli.trying import Taken

    known, now = catalog(), datetime.now(UTC)
    for line in lines:
        try:
            submission = envelopes.decode(line.document, known, now)
        except InvalidEvent as error:
            summary.refuse(line.place, error.path, error.reason, as_json)
            continue
        project = project_of(submission.project)
        event = msgspec.structs.replace(submission.event, project_id=project or "")
        yield Taken(line.place, project, RecordedEvent(event=event, received=now))


def _told(batch: Sequence[Taken], hits: Sequence[Hit], trial: Trial, as_json: bool) -> Iterator[str]:
    for taken, trigger in hits:
        event_id = taken.recorded.event.id
        if as_json:
            yield _line({"place": taken.place, "event": event_id, "trigger": trigger.name, "triggerId": trigger.id})
        else:
            yield tables.plain(f"{taken.place}  {event_id}  {trigger.name}")


def _explained(batch: Sequence[Taken], hits: Sequence[Hit], trial: Trial, as_json: bool) -> Iterator[str]:
    from launcher.cli import trying

    for taken in batch:
        for held in trial.held.values():
            verdict, name = trying.verdict(held, taken), held.live.name
            if as_json:
                event_id = taken.recorded.event.id
                yield _line({"place": taken.place, "event": event_id, "trigger": name, "verdict": verdict})
            else:
                word = click.style("matched", fg="green") if verdict.match else click.style("no match", fg="red")
                yield f"{taken.place}  {tables.plain(name)}: {word}: {tables.plain(verdict.sentence)}"


def _line(document: object) -> str:
    import msgspec

    return msgspec.json.encode(document).decode()
