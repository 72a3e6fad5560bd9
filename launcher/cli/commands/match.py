"""`trigger-engine match`: a dry run of triggers on events, without an engine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click

from launcher.cli import exits, tables
from launcher.cli.asking import PATH, json_option

if TYPE_CHECKING:
    from backbone.model.triggers import TriggerDraft
    from launcher.cli.trying import Verdict


@click.command()
@click.option("--trigger", "trigger_file", type=PATH, required=True, metavar="FILE", help="One trigger, or many.")
@click.option("--event", "event_file", type=click.File("rb"), required=True, metavar="FILE", help="Events, or -.")
@json_option
def command(trigger_file: Path, event_file: BinaryIO, as_json: bool) -> None:
    """Say of each event and trigger whether they match, or the first clause that failed and the value it saw.

    The files are those of `triggers apply` and `publish`. Nothing is sent anywhere. Ends with 0 when anything
    matches, with 1 when nothing does.

    \b
    Examples:
      trigger-engine match --trigger trigger.json --event event.json
      trigger-engine match --trigger triggers.json --event events.jsonl --json
      trigger-engine events show ID --json | trigger-engine match --trigger trigger.json --event -
    """
    told = [(place, event_id, name, verdict) for place, event_id, name, verdict in _verdicts(trigger_file, event_file)]
    if as_json:
        tables.show_json(
            [
                {"event": event_id, "place": place, "trigger": name, "verdict": verdict}
                for place, event_id, name, verdict in told
            ]
        )
    else:
        for place, _, name, verdict in told:
            _say(place, name, verdict)
    if not any(verdict.match for *_, verdict in told):
        raise click.exceptions.Exit(exits.NO_MATCH)


def _verdicts(trigger_file: Path, event_file: BinaryIO) -> Iterator[tuple[str, str, str, Verdict]]:
    from datetime import UTC, datetime

    from backbone.model import envelopes
    from backbone.model.errors import InvalidEvent
    from launcher.cli import event_lines, trying
    from launcher.cli.catalog import catalog

    known = catalog()
    drafts = list(_drafts(trigger_file))
    for numbered in event_lines.read(event_file, event_file.name):
        try:
            submission = envelopes.decode(numbered.document, known, datetime.now(UTC))
        except InvalidEvent as error:
            raise InvalidEvent(f"{event_file.name} {numbered.place}: {error.path}".rstrip(": "), error.reason) from None
        for name, draft in drafts:
            yield numbered.place, submission.event.id, name, trying.verdict(draft, submission)


def _drafts(file: Path) -> Iterator[tuple[str, TriggerDraft]]:
    from backbone.model import triggers
    from backbone.model.errors import Invalid, InvalidTrigger
    from launcher.cli import documents
    from launcher.cli.catalog import catalog
    from launcher.cli.declaring import files

    for written in files.inside(documents.read(file), str(file)):
        try:
            draft = triggers.parse(written.document, catalog(), strict=True)
        except Invalid as error:
            raise InvalidTrigger(f"{written.place}: {error.path}".rstrip(": "), error.reason) from None
        yield draft.name or written.place, draft


def _say(place: str, name: str, verdict: Verdict) -> None:
    word = click.style("matched", fg="green") if verdict.match else click.style("no match", fg="red")
    click.echo(f"{place}  {tables.plain(name)}: {word}: {tables.plain(verdict.sentence)}")
