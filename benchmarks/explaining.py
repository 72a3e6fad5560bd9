"""How long an explanation takes: an event with many triggers in its project, over the gateway's own operation.

  first  nothing of the triggers is known yet: all versions are read and their filters compiled
  again  they are known

Times are the clock's and, in brackets, the processor's without PostgreSQL's. A filter has four conditions, of which one
tells them apart. What is counted is asserted.

Examples:
  python -m benchmarks.explaining
  python -m benchmarks.explaining --triggers 100000 --rounds 3
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

import orjson

from backbone.drivers.event_log.postgres import PostgresEventLog
from backbone.drivers.work_queue.postgres import PostgresWorkQueue
from backbone.model.events import Event
from backbone.store import events, migrations
from backbone.store.database import Database
from backbone.store.wakeups import Wakeups
from benchmarks.matcher import loading
from gateway import explanations
from gateway.operations import Call
from gateway.parts import Parts
from gateway.settings import GatewaySettings
from launcher.postgres import PostgresServer

Took = tuple[float, float]
"""Seconds of the clock, and of the processor."""

TRIGGERS = """
    INSERT INTO trigger
        (id, project_id, service_id, name, function_name, resource, actions, filter, mode, input, creator)
    SELECT lpad(to_hex(n), 24, '0'), $1, $2, 'trigger ' || n, 'run', 'Item', '{Created}',
           '{"hidden": false, "type": "file", "metadata.user.batch": ' || n || ', "metadata.system.size": {"$gt": '
               || n % 100 || '}}',
           'Once', '{}', 'benchmark'
    FROM generate_series(1, $3::integer) AS n
"""


async def run(triggers: int, rounds: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        postgres = PostgresServer(Path(folder) / "postgres")
        await postgres.start()
        try:
            await migrations.migrate(postgres.dsn())
            database = await Database(postgres.dsn(), "benchmark").open()
            try:
                await _measured(database, triggers, rounds)
            finally:
                await database.close()
        finally:
            await postgres.stop()


async def _measured(database: Database, triggers: int, rounds: int) -> None:
    project_id = await _filled(database, triggers)
    first: list[Took] = []
    again: list[Took] = []
    held = 0.0
    for _ in range(rounds):
        wakeups = Wakeups(database)
        log, queue = PostgresEventLog(database, wakeups), PostgresWorkQueue(database, wakeups)
        parts = Parts.of(database, wakeups, log, queue, GatewaySettings())
        first.append(await _asked(parts, project_id, triggers))
        again += [await _asked(parts, project_id, triggers) for _ in range(5)]
        held = max(held, await _held(parts, project_id, triggers))
        await log.close()
        await queue.close()
    print(f"an event with {triggers:,} triggers, ms: first {_shown(first)}, again {_shown(again)}")
    print(f"the event loop was held for at most {1e3 * held:.0f} ms")


def _shown(took: list[Took]) -> str:
    clock, cpu = (1e3 * median(each) for each in zip(*took, strict=True))
    return f"{clock:.0f} ({cpu:.0f})"


async def _filled(database: Database, triggers: int) -> str:
    service = await loading.a_service(database.pool)
    await database.pool.execute(TRIGGERS, service.project_id, service.id, triggers)
    entity = {
        "id": "entity",
        "hidden": False,
        "type": "file",
        "metadata": {"user": {"batch": 17}, "system": {"size": 50}},
    }
    async with database.lane() as connection:
        event = Event(
            id="event",
            project_id=service.project_id,
            resource="Item",
            action="Created",
            entity_id="entity",
            entity=orjson.dumps(entity),
            time=datetime.now(UTC),
        )
        await events.append(connection, [event])
    await database.pool.execute("ANALYZE")
    return service.project_id


async def _asked(parts: Parts, project_id: str, triggers: int) -> Took:
    call = Call(parts, {"id": "event"}, {"project": project_id}, "", b"")
    began, cpu = time.perf_counter(), time.process_time()
    told = await explanations.explain(call)
    took = time.perf_counter() - began, time.process_time() - cpu
    assert told.counts == {"waiting": 1, "filter": triggers - 1}, told.counts
    return took


async def _held(parts: Parts, project_id: str, triggers: int) -> float:
    """For how long at most nothing else was done, in seconds of the processor."""
    asked, longest = asyncio.create_task(_asked(parts, project_id, triggers)), 0.0
    while not asked.done():
        turn = time.process_time()
        await asyncio.sleep(0)
        longest = max(longest, time.process_time() - turn)
    await asked
    return longest


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.explaining",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--triggers", type=int, default=10_000, help="in the event's project (10000)")
    parser.add_argument("--rounds", type=int, default=5, help="each with a gateway that knows nothing yet (5)")
    given = parser.parse_args()
    asyncio.run(run(given.triggers, given.rounds))


if __name__ == "__main__":
    main()
