"""What all commands that ask a running engine share: how it is found, and the event loop they run in."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec

import click

from launcher.cli import address

if TYPE_CHECKING:
    from launcher.cli.engine import Engine

Arguments = ParamSpec("Arguments")

PATH: click.Path = click.Path(path_type=Path)

data_option = click.option(
    "--data",
    type=PATH,
    default=address.DATA,
    envvar="TRIGGER_ENGINE_DATA",
    show_default=True,
    help="The data folder of the engine on this machine.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
project_option = click.option("--project", metavar="P", help="The project, by its name or id.")


def asks_the_engine(
    command: Callable[Concatenate[Engine, Arguments], Coroutine[Any, Any, None]],
) -> Callable[..., None]:
    """Makes a command of a coroutine that takes the engine first."""

    @click.option("--url", envvar="TRIGGER_ENGINE_URL", help="The engine's address, instead of the data folder's.")
    @click.option(
        "--token-file", type=PATH, metavar="F", help="A file with the token for it; or set TRIGGER_ENGINE_TOKEN."
    )
    @data_option
    @functools.wraps(command)
    def run(*args: Any, url: str | None, token_file: Path | None, data: Path, **options: Any) -> None:
        asyncio.run(_ask(command, whereabouts(url, token_file, data), args, options))

    return run


async def _ask(
    command: Callable[..., Coroutine[Any, Any, None]],
    where: address.Whereabouts,
    args: tuple[Any, ...],
    options: dict[str, Any],
) -> None:
    from launcher.cli.engine import Engine

    async with Engine(where) as engine:
        await command(engine, *args, **options)


def whereabouts(url: str | None, token_file: Path | None, data: Path) -> address.Whereabouts:
    from launcher.settings import from_environment

    settings = from_environment(needs=())
    token = address.token_in(token_file) or settings.token or None
    return address.Whereabouts(url=url or settings.url or None, token=token, data=data)
