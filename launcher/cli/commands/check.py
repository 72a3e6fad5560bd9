"""`trigger-engine check`."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from launcher.cli import exits, tables
from launcher.cli.asking import data_option, json_option

if TYPE_CHECKING:
    from launcher.checking.finding import Finding


@click.command()
@data_option
@json_option
def command(data: Path, as_json: bool) -> None:
    """Say which servers of the settings can be reached, what we may do there, and what is wrong.

    PostgreSQL, Kafka, RabbitMQ and the gateway, as far as the settings name them (environment, settings
    file); otherwise those of the data folder. Nothing is changed, and each look ends within 5 s. Exit code 0
    only if all is well, else 5.

    \b
    Examples:
      trigger-engine check
      trigger-engine check --json
      TRIGGER_ENGINE_SETTINGS=/etc/trigger-engine.toml trigger-engine check
    """
    from launcher.checking.every import every_server
    from launcher.settings import from_environment

    logging.disable()  # what the clients would log of it, the findings say
    findings = asyncio.run(every_server(from_environment(needs=()), data))
    well = all(finding.well for finding in findings)
    if as_json:
        tables.show_json({"well": well, "servers": [_document(finding) for finding in findings]})
    else:
        for finding in findings:
            _show(finding)
    if not well:
        raise click.exceptions.Exit(exits.UNAVAILABLE)


def _document(finding: Finding) -> dict[str, Any]:
    return {
        "server": finding.server,
        "address": finding.address,
        "reached": finding.reached,
        "well": finding.well,
        "facts": finding.facts,
        "problems": [{"wrong": problem.wrong, "remedy": problem.remedy} for problem in finding.problems],
    }


def _show(finding: Finding) -> None:
    state = "well" if finding.well else "reached" if finding.reached else "not reached"
    colour = "green" if finding.well else "yellow" if finding.reached else "red"
    click.echo(f"{click.style(finding.server, bold=True)}  {click.style(state, fg=colour)}  {finding.address}".rstrip())
    longest = max(map(len, finding.facts), default=0)
    for name, value in finding.facts.items():
        click.echo(f"  {name:<{longest}}  {tables.text(value)}")
    for problem in finding.problems:
        click.echo(f"  {click.style('wrong:', fg='red')} {tables.plain(problem.wrong)}")
        click.echo(f"     do: {tables.plain(problem.remedy)}")
