"""Verdicts of the ledger, as lines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from launcher.cli import tables
from launcher.cli.tables import Column

GROUPS = (
    Column("TRIGGERS", lambda group: f"{group['triggers']:,}"),
    Column("OUTCOME", lambda group: group["outcome"]),
    Column("CONDITION", lambda group: group["condition"], True),
)


def counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {outcome}" for outcome, count in counts.items())


def name(verdict: Mapping[str, Any]) -> str:
    return tables.plain(verdict["triggerName"] or verdict["triggerId"])


def say(verdict: Mapping[str, Any], about: str) -> None:
    missing = f" ({verdict['missing']} missing)" if verdict["missing"] > 1 else ""
    click.echo(f"{tables.coloured(verdict['outcome'])}  {about}: {tables.plain(verdict['sentence'])}{missing}")
    if verdict.get("nearChange"):
        click.echo("    changed within two seconds of the event: the engine may have held the version beside this one")
    for link in verdict.get("chain") or ():
        by = tables.plain(link["triggerName"] or link["trigger"] or "a call")
        what = f"event {tables.plain(link['event'])} > " if link["event"] else ""
        click.echo(f"    {what}{by} > execution {tables.plain(link['execution'])}")
