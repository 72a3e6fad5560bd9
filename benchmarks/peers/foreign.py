"""A peer in another language: a program beside this file that installs, produces and works; see river/main.go.

There where somebody has made it:
  (cd benchmarks/peers/river && go build -o river .)
  (cd benchmarks/peers/graphile_worker && npm install)
"""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

HERE = Path(__file__).parent
COMMANDS = {
    "river": [str(HERE / "river" / "river")],
    "graphile_worker": ["node", str(HERE / "graphile_worker" / "peer.mjs")],
}
_MADE = {"river": HERE / "river" / "river", "graphile_worker": HERE / "graphile_worker" / "node_modules"}

# A finished job of graphile-worker is no more.
_FINISHED = {
    "river": "SELECT count(*) FROM river_job WHERE state = 'completed'",
    "graphile_worker": "SELECT {jobs} - count(*) FROM graphile_worker._private_jobs",
}


def is_made(name: str) -> bool:
    return _MADE[name].exists() and shutil.which(COMMANDS[name][0]) is not None


async def install(name: str, dsn: str) -> None:
    await _run(*COMMANDS[name], "install", dsn)


def worker(name: str, dsn: str, warm_up: int, jobs: int) -> list[str]:
    return [*COMMANDS[name], "work", dsn, str(warm_up), str(jobs)]


def finished(name: str, jobs: int) -> str:
    return _FINISHED[name].format(jobs=jobs)


async def produce(name: str, dsn: str, how: str, numbers: range) -> None:
    await _run(*COMMANDS[name], "produce", dsn, how, str(numbers.start), str(numbers.stop))


async def _run(*command: str) -> None:
    process = await asyncio.create_subprocess_exec(*command)
    try:
        code = await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if code != 0:
        raise RuntimeError(f"{' '.join(command)} ended with {code}")
