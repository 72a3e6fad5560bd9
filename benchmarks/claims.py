"""Once, under strain: many engines on the same events, and a table of claims that is full.

  writers  as many processes as engines, each records every event twice, in an order of its own: exactly one execution
           an entity is asserted
  full     what recording a batch of 300 costs, and what a claim takes on the disk, with an empty table of claims and
           with --claims in it
  layouts  inserts alone, turn by turn, into tables of other layouts with --claims in each

All run on a PostgreSQL of their own, with fsync on, in TMPDIR.

Examples:
  python -m benchmarks.claims writers --events 100000 --processes 20
  python -m benchmarks.claims full --claims 10000000
  python -m benchmarks.claims layouts --claims 2000000
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import asyncpg

from backbone.model import ids
from backbone.model.executions import NewExecution
from backbone.store import executions, migrations
from backbone.store.database import Database
from benchmarks import processes, showing
from launcher.postgres import PostgresServer

BATCH = 300
BATCHES = 200
TURNS, BATCHES_A_TURN = 11, 40
CHUNK = 1_000_000
PROJECT = str(uuid4())
TRIGGER = "66f0c1d2a3b4c5d6e7f80912"

COUNTED = """
    SELECT (SELECT count(*) FROM claim) AS claims, (SELECT count(*) FROM execution) AS executions,
           (SELECT count(*) FROM queue) AS queued, count(DISTINCT claim.entity_id) AS entities
    FROM claim JOIN execution ON execution.id = claim.execution_id
"""

LAYOUTS = {
    "as it is": "CREATE TABLE {name} (LIKE claim INCLUDING ALL)",
    "16 hash partitions": """
        CREATE TABLE {name} (LIKE claim INCLUDING ALL) PARTITION BY HASH (trigger_id, entity_id);
        DO $$ BEGIN FOR part IN 0..15 LOOP
            EXECUTE format('CREATE TABLE {name}_%s PARTITION OF {name} FOR VALUES WITH (MODULUS 16, REMAINDER %s)',
                           part, part);
        END LOOP; END $$""",
    "key of 16 bytes": """
        CREATE TABLE {name} (LIKE claim INCLUDING DEFAULTS, key uuid PRIMARY KEY
            GENERATED ALWAYS AS (md5(trigger_id || '/' || entity_id)::uuid) STORED)""",
}
"""The last one's key cannot be searched by trigger: what a listing needs would be one more index."""

FILL = """
    INSERT INTO {name} (trigger_id, entity_id, execution_id, event_id)
    SELECT '66f0c1d2a3b4c5d6e7f8' || lpad((n % 100)::text, 4, '0'), substr(md5(n::text), 1, 24), gen_random_uuid(),
           gen_random_uuid()::text
    FROM generate_series($1::bigint, $2::bigint) AS n
"""
KEY = "ALTER TABLE full_claim ADD PRIMARY KEY (trigger_id, entity_id) WITH (fillfactor = 70)"
"""As full as pages are that were filled in no order."""

SWAP = """
    ALTER TABLE claim RENAME TO other_claim;
    ALTER TABLE full_claim RENAME TO claim;
    ALTER TABLE other_claim RENAME TO full_claim;
"""
INSERT = """
    INSERT INTO {name} (trigger_id, entity_id, execution_id, event_id)
    SELECT * FROM unnest($1::text[], $2::text[], $3::uuid[], $4::text[]) AS new (trigger_id, entity_id, id, event_id)
    ORDER BY 1, 2
    ON CONFLICT DO NOTHING
"""
SIZES = """
    SELECT sum(pg_table_size(oid))::bigint AS rows, sum(pg_indexes_size(oid))::bigint AS keys
    FROM pg_class WHERE relkind = 'r' AND relname ~ ('^' || $1 || '(_[0-9]+)?$')
"""


def matches(entities: Sequence[str], received: datetime) -> list[NewExecution]:
    return [
        NewExecution(
            id=ids.execution_id(received, TRIGGER, entity),
            project_id=PROJECT,
            service_id="service",
            trigger_id=TRIGGER,
            function_name="run",
            max_attempts=3,
            event_day=received.date(),
            event_id=f"event-of-{entity}",
            resource="Item",
            action="Created",
            entity_id=entity,
            once=True,
            came_by=None,
            input=None,
        )
        for entity in entities
    ]


@asynccontextmanager
async def server() -> AsyncIterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        postgres = PostgresServer(Path(folder) / "postgres")
        await postgres.start()
        try:
            await migrations.migrate(postgres.dsn())
            yield postgres.dsn()
        finally:
            await postgres.stop()


# Many writers


async def write(dsn: str, seed: int, events: int, received: datetime) -> None:
    new = matches([f"entity-{number:09d}" for number in range(events)], received)
    random.Random(seed).shuffle(new)
    recorded = 0
    async with Database(dsn, f"writer {seed}").lane(durable=False) as connection:
        for start in range(0, events, BATCH):
            for _ in range(2):
                batch = new[start : start + BATCH]
                recorded += len(await executions.record(connection, batch, queue_too=True))
    print(recorded)


async def writers(events: int, engines: int) -> None:
    received = datetime.now(UTC).isoformat()
    async with server() as dsn:
        began = time.monotonic()
        started = [
            await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "benchmarks.claims", "write", "--dsn", dsn, "--seed", str(seed)),
                *("--events", str(events), "--received", received),
                stdout=subprocess.PIPE,
            )
            for seed in range(engines)
        ]
        told = [int((await process.communicate())[0]) for process in started]
        took = time.monotonic() - began
        connection = await asyncpg.connect(dsn)
        counted = dict(await connection.fetchrow(COUNTED))
        await connection.close()
    assert sum(told) == events, f"{sum(told):,} of {events:,} were told to be new"
    assert set(counted.values()) == {events}, f"{counted} where all are to be {events:,}"
    print(f"{engines} processes recorded {events:,} events twice each in {took:.0f} s: every entity has one execution")
    print(f"each recorded {min(told):,} to {max(told):,} of them; {2 * engines * events / took:,.0f} matches a second")


# A full table


async def full(claims: int) -> None:
    """An empty table and a full one take turns, so that both have the machine's same minutes."""
    async with server() as dsn, Database(dsn, "benchmark").lane(durable=False) as connection:
        await connection.execute("CREATE TABLE full_claim (LIKE claim INCLUDING DEFAULTS)")
        await _fill(connection, "full_claim", claims)
        await connection.execute(KEY)
        await connection.execute("VACUUM ANALYZE full_claim")
        await connection.execute("CHECKPOINT")
        took: dict[str, list[float]] = {"empty": [], "full": []}
        for turn in range(TURNS):
            took["empty"].append(await _recording(connection, f"empty-{turn}"))
            await connection.execute(SWAP)
            took["full"].append(await _recording(connection, f"full-{turn}"))
            await connection.execute(SWAP)
        rows, keys = await connection.fetchrow(SIZES, "full_claim")
        total = await connection.fetchval("SELECT count(*) FROM full_claim")
    empty, filled = (statistics.median(each) for each in took.values())
    ratio = statistics.median(full / empty for empty, full in zip(*took.values(), strict=True))
    print(f"claim, execution and queue, us of PostgreSQL's CPU a match: {empty:.1f} with an empty table of claims,")
    print(f"{filled:.1f} with {claims:,} in it; the median of the turns' ratios is {ratio:.2f}")
    gigabytes = (rows + keys) / 1e9
    print(f"a claim takes {rows / total:.0f} bytes and {keys / total:.0f} in the index, {gigabytes:.2f} GB in all")


async def layouts(claims: int) -> None:
    async with server() as dsn, Database(dsn, "benchmark").lane(durable=False) as connection:
        tables = {layout: f"claims_{number}" for number, layout in enumerate(LAYOUTS)}
        for layout, name in tables.items():
            await connection.execute(LAYOUTS[layout].format(name=name))
        await _inserting(connection, tables, "warm up")
        empty = await _inserting(connection, tables, "empty")
        for name in tables.values():
            await _fill(connection, name, claims)
        await connection.execute("CHECKPOINT")
        filled = await _inserting(connection, tables, "full")
        sizes = {layout: await connection.fetchrow(SIZES, name) for layout, name in tables.items()}
        total = claims + 3 * BATCH * BATCHES
    rows = [
        (
            layout,
            *(f"{us:.1f}" for us in (empty[layout], filled[layout])),
            *(f"{sizes[layout][part] / total:.0f}" for part in ("rows", "keys")),
        )
        for layout in tables
    ]
    print(showing.table(("LAYOUT", "us empty", "us full", "bytes a claim", "and its key"), rows))


async def _recording(connection: asyncpg.Connection, name: str) -> float:
    """Microseconds of PostgreSQL's CPU a match; all of it, as the engine records."""
    received, backend = datetime.now(UTC), connection.get_server_pid()
    batches = [matches(_entities(f"{name}-{number}"), received) for number in range(BATCHES_A_TURN + 1)]
    await executions.record(connection, batches.pop(), queue_too=True)  # plans
    began = processes.use_of(backend).cpu
    for batch in batches:
        assert len(await executions.record(connection, batch, queue_too=True)) == BATCH
    return (processes.use_of(backend).cpu - began) / (BATCHES_A_TURN * BATCH) * 1e6


async def _inserting(connection: asyncpg.Connection, tables: dict[str, str], name: str) -> dict[str, float]:
    """Microseconds a claim alone, turn by turn."""
    took: dict[str, list[float]] = {layout: [] for layout in tables}
    for number in range(BATCHES):
        for layout, table in tables.items():
            entities = _entities(f"{name}-{number}-{layout}")
            columns = [TRIGGER] * BATCH, entities, [uuid4() for _ in entities], [f"event-{one}" for one in entities]
            began = time.perf_counter()
            await connection.execute(INSERT.format(name=table), *columns)
            took[layout].append(time.perf_counter() - began)
    return {layout: statistics.median(each) / BATCH * 1e6 for layout, each in took.items()}


def _entities(name: str) -> list[str]:
    """Anywhere in the index, as ids of entities are."""
    return [hashlib.md5(f"{name}-{number}".encode()).hexdigest()[:24] for number in range(BATCH)]


async def _fill(connection: asyncpg.Connection, name: str, claims: int) -> None:
    began = time.monotonic()
    for first in range(1, claims + 1, CHUNK):
        await connection.execute(FILL.format(name=name), first, min(claims, first + CHUNK - 1))
    print(f"{name} filled in {time.monotonic() - began:.0f} s", file=sys.stderr)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.claims", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("mode", choices=("writers", "full", "layouts", "write"), metavar="MODE")
    parser.add_argument("--events", type=int, default=100_000, help="of writers (100000)")
    parser.add_argument("--processes", type=int, default=20, help="of writers (20)")
    parser.add_argument("--claims", type=int, default=10_000_000, help="of full and layouts (10000000)")
    for inner in ("--dsn", "--seed", "--received"):
        parser.add_argument(inner, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.mode == "write":
        received = datetime.fromisoformat(given.received)
        asyncio.run(write(given.dsn, int(given.seed), given.events, received))
    elif given.mode == "writers":
        asyncio.run(writers(given.events, given.processes))
    else:
        asyncio.run((full if given.mode == "full" else layouts)(given.claims))


if __name__ == "__main__":
    main()
