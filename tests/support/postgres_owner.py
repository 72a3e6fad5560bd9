"""A process that owns an embedded PostgreSQL server until it is killed.

    python -m tests.support.postgres_owner FOLDER

Writes the postmaster's process id on a line once the server is ready.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from launcher.postgres import PostgresServer
from tests.support.postgres import SMALL_AND_FAST


async def main(folder: Path) -> None:
    server = PostgresServer(folder, settings=SMALL_AND_FAST)
    await server.start()
    print(server.pid, flush=True)
    await server.wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
