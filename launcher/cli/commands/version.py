"""`trigger-engine version`."""

from __future__ import annotations

import platform

import click


@click.command()
def command() -> None:
    """Print the version.

    \b
    Examples:
      trigger-engine version
    """
    click.echo(f"trigger-engine {installed()} (Python {platform.python_version()})")


def installed() -> str:
    from importlib import metadata  # slow, and needed here only

    try:
        return metadata.version("trigger-engine")
    except metadata.PackageNotFoundError:
        return "from a source tree"
