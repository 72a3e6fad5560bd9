"""Triggers as the matcher holds them: those of files, and those of a running engine."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from backbone.model import dql, triggers
from backbone.model.errors import Invalid, InvalidTrigger
from backbone.model.matches import LiveTrigger
from backbone.model.resources import ExecutionMode
from backbone.model.triggers import TriggerDraft
from launcher.cli.catalog import catalog
from launcher.cli.declaring import files
from launcher.cli.engine import Engine

EVERY = 1.0  # seconds between two words about a long list


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A trigger that the matcher holds, or would hold if nothing kept it from that."""

    live: LiveTrigger
    project: str | None  #: as a file names it: a name, an id or nothing. The engine's have `live.project_id`
    paused: str | None = None  #: why the engine does not hold it


def in_files(path: Path) -> list[Held]:
    """The triggers of a file or a folder. Raises Invalid, naming the place of what is wrong."""
    written, problems = files.read((path,))
    if problems:
        raise Invalid("", problems[0])
    return [held for one in written if (held := _from_file(one))]


def _from_file(written: files.Written) -> Held | None:
    """None for one that goes by the clock: no event finds it."""
    try:
        draft = triggers.parse(written.document, catalog(), strict=True)
    except Invalid as error:
        raise InvalidTrigger(f"{written.place}: {error.path}".rstrip(": "), error.reason) from None
    if draft.schedule is not None:
        return None
    return Held(
        live=_from_draft(draft, written.place),
        project=draft.project,
        paused=None if draft.active else "the trigger is not active",
    )


def _from_draft(draft: TriggerDraft, place: str) -> LiveTrigger:
    return LiveTrigger(
        id=place,
        name=draft.name or place,
        version=1,
        project_id=None,  # what a file calls a project, only an engine knows
        service_id=draft.service or "",
        function_name=draft.function_name,
        resource=draft.resource,
        actions=draft.actions,
        filter=dql.compile(draft.filter),
        once=draft.mode is ExecutionMode.ONCE,
        input=None,
        max_attempts=1,
    )


async def in_engine(engine: Engine, filter: dict[str, Any]) -> list[Held]:
    """The engine's triggers that the filter means, paused ones too."""
    services = {service["id"]: service["active"] for service in await engine.query("services", {})}
    held: list[Held] = []
    told = began = time.monotonic()
    async for document in engine.pages("triggers", filter):
        if document["type"] == triggers.CRON:
            continue
        held.append(_from_document(document, services.get(document["spec"]["operation"]["serviceId"], False)))
        if time.monotonic() - told >= EVERY:
            told = time.monotonic()
            click.echo(f"{len(held):,} triggers read so far", err=True)
    if told > began:
        click.echo(f"{len(held):,} triggers read; they are filed now", err=True)
    return held


def _from_document(document: dict[str, Any], service_is_active: bool) -> Held:
    spec = document["spec"]
    live = LiveTrigger(
        id=document["id"],
        name=document["name"],
        version=document["version"],
        project_id=document["projectId"],
        service_id=spec["operation"]["serviceId"],
        function_name=spec["operation"]["functionName"],
        resource=spec["resource"],
        actions=tuple(spec["actions"]),
        filter=dql.compile(spec["filter"]),
        once=spec["executionMode"] == ExecutionMode.ONCE,
        input=None,
        max_attempts=1,
    )
    paused = None if service_is_active else "its service is paused"
    return Held(live=live, project=None, paused=paused if document["active"] else "the trigger is not active")
