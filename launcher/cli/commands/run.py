"""`trigger-engine run`."""

from __future__ import annotations

from pathlib import Path

import click

from launcher.cli.asking import data_option

ROLES = ("engine", "dispatcher", "gateway", "agent", "agents", "all")


@click.command()
@click.argument("role", type=click.Choice(ROLES))
@click.option(
    "--service", "service_id", metavar="ID", help="Of `agent`: whose functions it runs, where its token does not say."
)
@data_option
def command(role: str, service_id: str | None, data: Path) -> None:
    """Run one role here, on servers that are there already. SIGTERM ends it in order.

    Settings come from the environment (TRIGGER_ENGINE_...) or from the file that TRIGGER_ENGINE_SETTINGS names; see
    docs/settings.md. engine, dispatcher and gateway need DATABASE; with KAFKA events come from there, with RABBITMQ
    executions go there. Several engines share the topic, several dispatchers have one leader. agent runs the functions
    of one service and agents those of all; they need RABBITMQ and the gateway's URL and no database.

    \b
    Examples:
      trigger-engine run engine
      TRIGGER_ENGINE_DATABASE=postgresql://... trigger-engine run all
      trigger-engine run agent --service 65f0c2a1b7d9e4f3a8b6c5d2
    """
    from launcher.run import run

    code = run(role, data, service_id)
    if code:
        raise click.exceptions.Exit(code)
