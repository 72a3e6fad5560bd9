"""`trigger-engine compose-secrets`."""

from __future__ import annotations

from pathlib import Path

import click

from launcher.cli.asking import PATH


@click.command()
@click.argument("folder", type=PATH, default=Path("secrets"))
def command(folder: Path) -> None:
    """Fill a folder with the secrets that compose.yaml mounts: random passwords, a token, and what follows from them.

    What is there is kept: to have a new one, delete its file, and run this and `docker compose up -d` again. (The
    password of PostgreSQL is in its database, too; change it there first.) docs/deployment.md tells what each is for.

    \b
    Examples:
      trigger-engine compose-secrets
      trigger-engine compose-secrets /etc/trigger-engine/secrets
    """
    from launcher import compose_secrets

    for name in compose_secrets.write(folder):
        click.echo(folder / name)
