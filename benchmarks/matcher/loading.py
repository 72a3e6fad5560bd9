"""How long an engine needs to know its triggers, and what following their changes costs it then.

Writes the triggers into a PostgreSQL of its own, starts a process that loads and follows them as the engine does, and
another one in which the garbage collector looks through them as it likes (no gc.freeze). Times of the collector and of
what holds the event loop are CPU time, the others the clock's.

Examples:
  python -m benchmarks.matcher.loading
  python -m benchmarks.matcher.loading --set worst --rounds 3
  python -m benchmarks.matcher.loading --triggers 2000
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, TypeAlias

import asyncpg
import uvloop

from backbone.kit.loops import Health, keep
from backbone.model import ids
from backbone.model.definitions import Module, Runtime, Service
from backbone.store import definitions, migrations
from backbone.store.database import Database
from backbone.store.wakeups import Wakeups
from benchmarks import processes, showing
from benchmarks.matcher import machine, records, sets
from launcher.postgres import PostgresServer
from trigger_engine import live_triggers
from trigger_engine.live_triggers import LiveTriggers
from trigger_engine.match import Index

FORMS = ("frozen", "not frozen")
AT_ONCE = 0.1
"""Of the triggers, how many are changed by one statement."""
ONE_BY_ONE = 50
PASSES = 4


Figures: TypeAlias = dict[str, float]
"""By the line of the table."""


# The triggers in a database -----------------------------------------------------------------------------------------


async def fill(dsn: str, asked: Sequence[sets.Asked]) -> None:
    await migrations.migrate(dsn)
    database = await Database(dsn, "benchmark").open()
    try:
        pool = database.pool
        service = await a_service(pool)
        now = datetime.now(UTC)
        projects = dict.fromkeys(one.project for one in asked)
        await pool.copy_records_to_table("project", records=[(id, id) for id in projects], columns=["id", "name"])
        await pool.copy_records_to_table(
            "trigger",
            records=[
                (
                    *(ids.definition_id(), one.project, service.id, one.id, "run", sets.RESOURCE, [sets.ACTION]),
                    *(json.dumps(one.filter), "Once", "{}", now, now, "benchmark"),
                )
                for one in asked
            ],
            columns=[
                *("id", "project_id", "service_id", "name", "function_name", "resource", "actions"),
                *("filter", "mode", "input", "created_at", "updated_at", "creator"),
            ],
        )
        await pool.execute("ANALYZE")
    finally:
        await database.close()


async def a_service(pool: asyncpg.Pool) -> Service:
    project = await definitions.make_project(pool, "benchmark")
    codebase = await definitions.put_codebase(pool, b"zip")
    package = await definitions.put_package(pool, project.id, "package", [Module()], codebase, "benchmark")
    now = datetime.now(UTC)
    service = Service(
        id=ids.definition_id(),
        project_id=project.id,
        name="service",
        package_id=package.id,
        package_revision=package.revision,
        module_name="default_module",
        runtime=Runtime(),
        init_params={},
        execution_timeout=timedelta(seconds=60),
        drain_time=timedelta(seconds=5),
        max_attempts=1,
        on_reset="failed",
        active=True,
        version=1,
        created_at=now,
        updated_at=now,
        creator="benchmark",
    )
    return await definitions.make_service(pool, service)


# A process that follows them ----------------------------------------------------------------------------------------


async def followed(dsn: str, name: str, triggers: int, began: float) -> Figures:
    index = Index()
    live = LiveTriggers(index)
    database = await Database(dsn, "benchmark").open()
    wakeups = Wakeups(database)
    waking = asyncio.create_task(keep("wakeups", wakeups.run, Health()))
    try:
        async with database.lane(durable=False) as connection:
            return {
                **await _loaded(live, connection, began),
                **_matched(index, name, triggers),
                **await _changed(live, index, database, wakeups),
                **await _compared(live, connection, triggers),
            }
    finally:
        await _end(waking)
        await database.close()


async def _loaded(live: LiveTriggers, connection: asyncpg.Connection, began: float) -> Figures:
    with collections() as collecting:
        await live.load(connection, Health())
    return {
        "from the process's start to ready, s": time.monotonic() - began,
        "  of CPU": time.process_time(),
        "  of them collecting garbage": sum(collecting),
        "memory then, MB": processes.use_of(os.getpid()).memory / 1e6,
        "a full collection of garbage, ms": 1e3 * _cpu(gc.collect),
    }


def _matched(index: Index, name: str, triggers: int) -> Figures:
    events = sets.made(name, triggers).events
    batches = records.batches(events)
    machine.timed(index, batches)
    rates = [len(events) / machine.timed(index, batches)[1] for _ in range(PASSES)]
    alone = sorted(_cpu(partial(index.match, [one])) for _ in range(PASSES) for one in events)
    return {
        "events a CPU second": median(rates),
        "an event, us, p50": 1e6 * alone[len(alone) // 2],
        "  p99.9": 1e6 * alone[len(alone) * 999 // 1000],
        "  the longest of all": 1e6 * alone[-1],
    }


async def _changed(live: LiveTriggers, index: Index, database: Database, wakeups: Wakeups) -> Figures:
    following = asyncio.create_task(live.follow(database, wakeups))
    some = [row["id"] for row in await database.pool.fetch("SELECT id FROM trigger ORDER BY name")]
    change = partial(_change, database, wakeups, index)
    one_by_one = sorted([await change([id]) for id in some[:: max(1, len(some) // ONE_BY_ONE)]])
    with collections() as collecting:
        took, hold = await _held(change(some[: int(len(some) * AT_ONCE)]))
    await _end(following)
    return {
        "a change, ms to the index, p50": 1e3 * median(one_by_one),
        "  the longest of 50": 1e3 * one_by_one[-1],
        "a tenth changed at once, s to the index": took,
        "  event loop held at most, ms": 1e3 * hold,
        "  one collection of garbage at most, ms": 1e3 * max(collecting, default=0),
    }


async def _compared(live: LiveTriggers, connection: asyncpg.Connection, triggers: int) -> Figures:
    async def rounds() -> None:
        for _ in range(2 * (triggers // live_triggers.PAGE + 1)):
            await live.compare_page(connection)

    _, hold = await _held(rounds())
    return {"all compared, event loop held at most, ms": 1e3 * hold}


async def _change(database: Database, wakeups: Wakeups, index: Index, trigger_ids: Sequence[str]) -> float:
    """Seconds from the commit until the index has all of the changes."""
    expected = index.version + 2 * len(trigger_ids)  # each is removed and put
    await database.pool.execute("UPDATE trigger SET version = version + 1 WHERE id = ANY ($1)", trigger_ids)
    began = time.monotonic()
    wakeups.wake([definitions.TRIGGERS_CHANNEL])
    while index.version < expected:
        await asyncio.sleep(0.0005)
    return time.monotonic() - began


async def _held(work: Coroutine[None, None, Any]) -> tuple[Any, float]:
    """What it gave, and the longest that nobody else had his turn, in CPU seconds."""
    task = asyncio.create_task(work)
    longest, turn = 0.0, time.process_time()
    while not task.done():
        await asyncio.sleep(0)
        turn, before = time.process_time(), turn
        longest = max(longest, turn - before)
    return await task, longest


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])


def _cpu(action: Callable[[], object]) -> float:
    began = time.process_time()
    action()
    return time.process_time() - began


@contextmanager
def collections() -> Iterator[list[float]]:
    """The CPU seconds of each collection of garbage inside of the block."""
    taken: list[float] = []
    began = 0.0

    def note(phase: str, _info: dict[str, int]) -> None:
        nonlocal began
        if phase == "start":
            began = time.process_time()
        else:
            taken.append(time.process_time() - began)

    gc.callbacks.append(note)
    try:
        yield taken
    finally:
        gc.callbacks.remove(note)


# Both, turn by turn -------------------------------------------------------------------------------------------------


async def run(name: str, triggers: int, rounds: int) -> dict[str, Figures]:
    """The medians of the rounds."""
    with tempfile.TemporaryDirectory(prefix="trigger-engine-benchmark-") as folder:
        server = PostgresServer(Path(folder) / "postgres")
        await server.start()
        try:
            await fill(server.dsn(), sets.made(name, triggers, 0).asked)
            turns = [
                [await asyncio.to_thread(_process, server.dsn(), name, triggers, form) for form in FORMS]
                for _ in range(rounds)
            ]
        finally:
            await server.stop()
    return {
        form: {line: median(figures[line] for figures in of_form) for line in of_form[0]}
        for form, of_form in zip(FORMS, zip(*turns, strict=True), strict=True)
    }


def _process(dsn: str, name: str, triggers: int, form: str) -> Figures:
    words = ["--set", name, "--triggers", str(triggers), "--follow", dsn, form, str(time.monotonic())]
    command = [sys.executable, "-m", "benchmarks.matcher.loading", *words]
    return dict(json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout))


def show(found: dict[str, Figures]) -> None:
    lines = next(iter(found.values()))
    rows = [(line, *[showing.number(figures[line]) for figures in found.values()]) for line in lines]
    print(showing.table(("", *found), rows))


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.matcher.loading",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--set", choices=sets.NAMES, default="spread", help="(spread)")
    parser.add_argument("--triggers", type=int, default=100_000, help="(100000)")
    parser.add_argument("--rounds", type=int, default=1, help="medians are told (1)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="keeps the figures there, too")
    parser.add_argument("--follow", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.follow:
        dsn, form, began = given.follow
        if form == "not frozen":
            live_triggers.FREEZE_EVERY = sys.maxsize
        print(json.dumps(uvloop.run(followed(dsn, given.set, given.triggers, float(began)))))
        return
    found = uvloop.run(run(given.set, given.triggers, given.rounds))
    show(found)
    if given.json:
        given.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
