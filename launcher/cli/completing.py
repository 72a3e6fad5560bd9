"""What may come next, asked of the engine while somebody types: soon, or not at all."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import click
from click.shell_completion import CompletionItem

from launcher.cli import address
from launcher.cli.asking import whereabouts

PATIENCE = 0.7  # seconds; somebody holds a key
MOST = 200

Completer = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


def names_of(resource: str) -> Completer:
    def complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        try:
            names = asyncio.run(_names(resource, _whereabouts(ctx)))
        except Exception:  # any: whoever presses Tab can do nothing about it
            return []
        return [CompletionItem(name) for name in sorted(names) if name.startswith(incomplete)]

    return complete


async def _names(resource: str, where: address.Whereabouts) -> set[str]:
    from launcher.cli.engine import Engine

    async with asyncio.timeout(PATIENCE), Engine(where) as engine:
        return {one["name"] for one in await engine.query(resource, {}, MOST)}


def _whereabouts(ctx: click.Context) -> address.Whereabouts:
    data = Path(ctx.params.get("data") or os.environ.get("TRIGGER_ENGINE_DATA") or address.DATA)
    return whereabouts(ctx.params.get("url"), None, data)
