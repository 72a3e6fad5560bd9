"""`trigger-engine up`."""

from __future__ import annotations

from pathlib import Path

import click

from launcher.cli.address import token_in
from launcher.cli.asking import PATH, data_option


@click.command()
@data_option
@click.option("--host", show_default="127.0.0.1", help="What to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    show_default="8900",
    help="The gateway's port; 0 takes any that is free.",
)
@click.option("--token-file", type=PATH, metavar="F", help="A file with the token that callers must show.")
@click.option("--only", metavar="ROLE", help="Only postgres, engine, dispatcher, gateway or agents.")
def command(data: Path, host: str | None, port: int | None, token_file: Path | None, only: str | None) -> None:
    """Start the whole engine here: PostgreSQL, engine, dispatcher, gateway and agents. Ctrl-C stops it.

    Everything it keeps is in the data folder; started again, it goes on with what was unfinished. A token
    (--token-file or TRIGGER_ENGINE_TOKEN) is required as soon as it listens beyond this machine.

    \b
    Examples:
      trigger-engine up
      trigger-engine up --data /var/lib/trigger-engine --port 9000
      trigger-engine up --host 0.0.0.0 --token-file token.txt
      trigger-engine up --only gateway
    """
    from launcher.up import up

    told = {"host": host, "port": port, "token": token_in(token_file)}
    code = up(data, only, **{name: value for name, value in told.items() if value is not None})
    if code:
        raise click.exceptions.Exit(code)
