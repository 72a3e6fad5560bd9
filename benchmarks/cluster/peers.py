"""Dramatiq and Celery on the same RabbitMQ, each in a Python of its own: `benchmarks/peers/amqp`."""

from __future__ import annotations

import asyncio
import json
from urllib.parse import urlsplit

from benchmarks import engine
from benchmarks.cluster.tracked import Cluster

RESULTS = "celery, results in PostgreSQL"

# Who, what each needs to be there, and with what part of --jobs: each run takes a few seconds.
IMPORTS = {"dramatiq": "dramatiq, pika", "celery": "celery", RESULTS: "celery, sqlalchemy, psycopg"}
SHARES = {"dramatiq": 0.5, "celery": 0.2, RESULTS: 0.05}


async def is_there(python: str, who: str) -> bool:
    process = await asyncio.create_subprocess_exec(
        *[python, "-c", f"import {IMPORTS[who]}"], stderr=asyncio.subprocess.DEVNULL
    )
    return await process.wait() == 0


async def run(cluster: Cluster, python: str, who: str, how: str, jobs: int) -> dict[str, float]:
    """Jobs a second, and microseconds of processor time a job; everything that works for it included."""
    words = [who.partition(",")[0], how, "--url", cluster.brokers.rabbitmq, "--jobs", str(round(jobs * SHARES[who]))]
    if server := cluster.brokers.pids.get("rabbitmq"):
        words += ["--server-pid", str(server)]
    if who != RESULTS:
        return await _said(python, words)
    await cluster.engine.database.execute("DROP DATABASE IF EXISTS celery WITH (FORCE)")
    await cluster.engine.database.execute("CREATE DATABASE celery")
    try:
        dsn = urlsplit(cluster.engine.dsn)._replace(scheme="postgresql+psycopg", path="/celery").geturl()
        return await _said(python, [*words, "--results", f"db+{dsn}"])
    finally:
        await cluster.engine.database.execute("DROP DATABASE celery WITH (FORCE)")


async def _said(python: str, words: list[str]) -> dict[str, float]:
    process = await asyncio.create_subprocess_exec(
        *[python, "-m", "benchmarks.peers.amqp", *words], stdout=asyncio.subprocess.PIPE, cwd=engine.HERE.parent
    )
    try:
        output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()
    if process.returncode != 0:
        raise RuntimeError(f"benchmarks.peers.amqp {' '.join(words[:2])} ended with {process.returncode}")
    figures = json.loads(output)
    return {"rate": figures["rate"], "cpu": figures["cpu"]}
