"""Loops that do not die: what breaks is begun again, and said.

A process is a handful of loops. Each is a coroutine function that opens what it needs, works for ever, and raises
when something breaks. `keep` begins it again after a pause that grows, whatever it raised: a narrow `except` is how
services end up alive and doing nothing. `Health` knows which loops are at work, and readiness asks it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from backbone.kit.few_lines import Few

FIRST_PAUSE = 0.05  # seconds
LONGEST_PAUSE = 2.0
STEADY = 5.0
"""A loop that worked this long before it broke begins again with the first pause."""

SLOWEST = 15.0
"""No server that is away needs longer to be found so."""

LINES: Final = 4
"""Of all loops of a process about what went away, a minute. What is wrong now is in `Health`."""

log = logging.getLogger(__name__)
away = logging.getLogger(f"{__name__}.away")
away.addFilter(Few(LINES))


@dataclass
class Health:
    """What is wrong, by loop. A loop is in here from its start until it is well, and again when it breaks."""

    wrong: dict[str, str] = field(default_factory=dict)

    def well(self, name: str) -> None:
        self.wrong.pop(name, None)

    def broken(self, name: str, reason: str) -> None:
        self.wrong[name] = reason

    @property
    def ready(self) -> bool:
        return not self.wrong

    @property
    def detail(self) -> str:
        return "; ".join(f"{name}: {reason}" for name, reason in sorted(self.wrong.items()))


async def keep(name: str, body: Callable[[], Awaitable[None]], health: Health) -> None:
    """Run `body` for ever. It is taken to be well once it has worked for longer than the pause before it was, and
    longer than it took to break: who waits for a silent server's answer is not at work."""
    loop = asyncio.get_running_loop()
    pause, broke_after = FIRST_PAUSE, 0.0
    health.broken(name, "starting")
    try:
        while True:
            began = loop.time()
            steady = loop.call_later(max(pause, broke_after), health.well, name)
            try:
                await body()
                _broke(name, health, "ended")
            except Exception as error:  # any: see above
                _broke(name, health, f"{type(error).__name__}: {error}", error)
            finally:
                steady.cancel()
            worked = loop.time() - began
            if worked > STEADY:
                pause = FIRST_PAUSE
            broke_after = 1.5 * worked if worked < SLOWEST else 0.0
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)
    finally:
        health.well(name)  # who was told to end is not broken


def _broke(name: str, health: Health, reason: str, error: Exception | None = None) -> None:
    if health.wrong.get(name) != reason:  # said once, and not with every try
        trace = _trace_of(error)
        told = away if trace is None else log
        told.warning("loop broke, begins again", extra={"loop": name, "reason": reason}, exc_info=trace)
    health.broken(name, reason)


def _trace_of(error: Exception | None) -> Exception | None:
    """A server that went away needs no traceback, nor what we raise on purpose; a mistake of ours does."""
    expected = isinstance(error, OSError) or type(error).__module__.startswith(("asyncpg", "backbone.model.errors"))
    return None if expected else error
