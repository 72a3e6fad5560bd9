"""`trigger-engine tokens`: what agents show at the gateway, made from the gateway's own token."""

from __future__ import annotations

from pathlib import Path

import click

from backbone.model.errors import Invalid
from launcher.cli import address
from launcher.cli.asking import PATH

token_file = click.option(
    "--token-file", type=PATH, metavar="F", help="A file with the gateway's token; or set TRIGGER_ENGINE_TOKEN."
)


@click.group()
def command() -> None:
    """Print the token that agents show at the gateway. No engine is asked: it follows from the gateway's own.

    \b
    Examples:
      trigger-engine tokens agents --token-file secrets/token
      trigger-engine tokens agent 65f0c2a1b7d9e4f3a8b6c5d2
    """


@command.command()
@token_file
def agents(token_file: Path | None) -> None:
    """For a host of agents: it reads the services, their code and the inputs of their executions.

    \b
    Examples:
      trigger-engine tokens agents --token-file secrets/token > secrets/agents_token
    """
    from gateway import agent_tokens

    click.echo(agent_tokens.of_host(_gateway_token(token_file)))


@command.command()
@click.argument("service_id", metavar="SERVICE_ID")
@token_file
def agent(service_id: str, token_file: Path | None) -> None:
    """For agents of one service: it reads what is that service's own.

    \b
    Examples:
      trigger-engine tokens agent 65f0c2a1b7d9e4f3a8b6c5d2
    """
    from gateway import agent_tokens

    if not service_id.isalnum():
        raise Invalid("SERVICE_ID", f"{service_id!r} is no id of a service; trigger-engine services list has them")
    click.echo(agent_tokens.of_service(_gateway_token(token_file), service_id))


def _gateway_token(file: Path | None) -> str:
    from launcher.settings import PREFIX, from_environment

    token = address.token_in(file) or from_environment(needs=()).token
    if not token:
        raise Invalid(PREFIX + "TOKEN", "is not set; it is the gateway's own token that the others are made from")
    return token
