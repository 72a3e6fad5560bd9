"""The Faust host as a process: an engine that only waits, and connectors into the event log in PostgreSQL.

`python -m tests.support.connector_host waits | fails`, with the settings in the environment: what the engine does.
Tells on standard output when the engine begins and ends, and when all has ended in order.
"""

from __future__ import annotations

import asyncio
import sys
from dataclasses import replace
from datetime import timedelta

import uvloop

from backbone.kit import logs
from backbone.kit.loops import Health
from launcher import connectors, embedded, faust_host
from launcher.settings import from_environment


async def main(engine: str) -> None:
    settings, health = from_environment(), Health()
    async with embedded.parts(settings, "host", health) as parts:
        streams = connectors.streams(settings, parts.database, parts.event_log, health)
        if streams is not None:
            streams = replace(streams, session_timeout=timedelta(seconds=1.5))
        body = _fails if engine == "fails" else _waits
        await faust_host.run(body, health, host=settings.host, port=settings.status_port, streams=streams)
    print("ended in order", flush=True)


async def _waits() -> None:
    print("engine begins", flush=True)
    try:
        await asyncio.Event().wait()
    finally:
        print("engine ends", flush=True)


async def _fails() -> None:
    raise ValueError("a mistake in the engine")


if __name__ == "__main__":
    logs.configure("host")
    uvloop.run(main(*sys.argv[1:]))
