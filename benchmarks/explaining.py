"""How long an explanation takes: an event with many triggers in its project, over the gateway's own operation.

  first  by a gateway that has just opened its first connection to the database
  again  by the same

Nothing is kept from one explanation to the next. Times are the clock's and, in brackets, the processor's without
PostgreSQL's. What is counted is asserted. The filters of the triggers, of four conditions each:

  alike     one condition tells them apart, an equality
  ranges    one condition tells them apart, a range
  apart     each condition is another one in each filter, and none an equality: the worst
  matching  all hold, the engine has not come to the event, and each trigger is looked for among the claims

Examples:
  python -m benchmarks.explaining
  python -m benchmarks.explaining --triggers 100000 --rounds 3
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
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
           replace($4, 'NUMBER', n::text), 'Once', '{}', 'benchmark'
    FROM generate_series(1, $3::integer) AS n
"""

FILTERS = {
    "alike": '{"hidden":false,"type":"file","metadata.user.batch":NUMBER,"metadata.system.size":{"$gt":50}}',
    "ranges": '{"hidden":false,"type":"file","metadata.user.batch":{"$gt":NUMBER},"metadata.system.size":{"$gt":50}}',
    "apart": '{"hidden":{"$ne":NUMBER},"type":{"$in":["a NUMBER","b NUMBER"]},"metadata.user.batch":{"$gt":NUMBER},'
    '"$or":[{"name":"NUMBER*"},{"metadata.system.size":NUMBER}]}',
    "matching": '{"hidden":false,"type":"file","metadata.user.batch":1,"metadata.system.size":{"$gt":50}}',
}

ENTITY = {
    "id": "entity",
    "hidden": False,
    "type": "file",
    "metadata": {"user": {"batch": 1}, "system": {"size": 51}},
}


async def run(kind: str, triggers: int, rounds: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        postgres = PostgresServer(Path(folder) / "postgres")
        await postgres.start()
        try:
            await migrations.migrate(postgres.dsn())
            await _measured(postgres.dsn(), kind, triggers, rounds)
        finally:
            await postgres.stop()


async def _measured(dsn: str, kind: str, triggers: int, rounds: int) -> None:
    first: list[Took] = []
    again: list[Took] = []
    held = 0.0
    async with _gateway(dsn) as parts:
        project_id = await _filled(parts.database, FILTERS[kind], triggers)
    matching = {"alike": 1, "matching": triggers}.get(kind, 0)
    wanted = {outcome: count for outcome, count in (("waiting", matching), ("filter", triggers - matching)) if count}
    for _ in range(rounds):
        async with _gateway(dsn) as parts:
            first.append(await _asked(parts, project_id, wanted))
            again += [await _asked(parts, project_id, wanted) for _ in range(5)]
            held = max(held, await _held(parts, project_id, wanted))
    print(
        f"{kind:<8} {triggers:,} triggers, ms: first {_shown(first)}, again {_shown(again)},"
        f" the event loop was held for at most {1e3 * held:.0f}"
    )


@asynccontextmanager
async def _gateway(dsn: str) -> AsyncIterator[Parts]:
    database = await Database(dsn, "benchmark").open()
    wakeups = Wakeups(database)
    log, queue = PostgresEventLog(database, wakeups), PostgresWorkQueue(database, wakeups)
    try:
        yield Parts.of(database, wakeups, log, queue, GatewaySettings())
    finally:
        await log.close()
        await queue.close()
        await database.close()


def _shown(took: list[Took]) -> str:
    clock, cpu = (1e3 * median(each) for each in zip(*took, strict=True))
    return f"{clock:.0f} ({cpu:.0f})"


async def _filled(database: Database, filter: str, triggers: int) -> str:
    service = await loading.a_service(database.pool)
    await database.pool.execute(TRIGGERS, service.project_id, service.id, triggers, filter)
    async with database.lane() as connection:
        event = Event(
            id="event",
            project_id=service.project_id,
            resource="Item",
            action="Created",
            entity_id="entity",
            entity=orjson.dumps(ENTITY),
            time=datetime.now(UTC),
        )
        await events.append(connection, [event])
    await database.pool.execute("ANALYZE")
    return service.project_id


async def _asked(parts: Parts, project_id: str, wanted: dict[str, int]) -> Took:
    call = Call(parts, {"id": "event"}, {"project": project_id}, "", b"")
    began, cpu = time.perf_counter(), time.process_time()
    told = await explanations.explain(call)
    took = time.perf_counter() - began, time.process_time() - cpu
    assert told.counts == wanted, told.counts
    return took


async def _held(parts: Parts, project_id: str, wanted: dict[str, int]) -> float:
    """For how long at most nothing else was done, in seconds of the processor."""
    asked, longest = asyncio.create_task(_asked(parts, project_id, wanted)), 0.0
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
    parser.add_argument("--rounds", type=int, default=5, help="each with a gateway that has just opened (5)")
    given = parser.parse_args()
    for kind in FILTERS:
        asyncio.run(run(kind, given.triggers, given.rounds))


if __name__ == "__main__":
    main()
