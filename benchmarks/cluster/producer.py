"""The producer, a process of its own: appends events straight to Kafka, batch after batch, as fast as it confirms them.

They are what the load generator sends over HTTP. Prints one JSON object.

Example:
  python -m benchmarks.cluster.producer 127.0.0.1:9092 --topic events --project-id ID --run r1 --events 20000
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, NoReturn

import uvloop

from backbone.drivers.event_log.kafka import KafkaEventLog
from backbone.kafka.connection import Connection
from backbone.kafka.consumer import Group
from backbone.kafka.topics import Topic
from backbone.kit.loops import Health
from backbone.model.events import Event
from benchmarks import load
from benchmarks.brokers import Brokers

BATCH = 1000


class NoForeignRecords:
    """All records of a benchmark are ours, and say the project's id."""

    def known(self, key: str | None) -> NoReturn:
        raise AssertionError(f"a record of project {key!r} is to be judged")

    async def found_or_made(self, key: str | None) -> NoReturn:
        self.known(key)


async def run(brokers: Brokers, project_id: str, plan: load.Plan) -> dict[str, Any]:
    """In a process of its own; what it says."""
    words = ["--topic", brokers.topic, "--project-id", project_id, "--run", plan.run, "--events", str(plan.events)]
    command = [sys.executable, "-m", "benchmarks.cluster.producer", brokers.kafka, *words]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    try:
        output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        raise RuntimeError(f"the producer ended with {process.returncode}")
    result: dict[str, Any] = json.loads(output)
    return result


def events(plan: load.Plan, project_id: str, numbers: range) -> Iterator[Event]:
    _, _, template = load.template(plan, "").rpartition(b'"entity":')
    entity, now = template.removesuffix(b"}"), time.time()
    for number in numbers:
        name = f"{plan.run}-{number:09d}"
        yield Event(
            id=name,
            project_id=project_id,
            resource="Item",
            action="Created",
            entity_id=name,
            entity=entity % (number, now),
            time=datetime.fromtimestamp(now, UTC),
        )


async def produce(servers: str, topic: str, project_id: str, plan: load.Plan) -> dict[str, Any]:
    group = Group(id="never joined")
    log = KafkaEventLog(Connection(servers=servers), Topic(name=topic), group, NoForeignRecords(), Health())
    await log.open()
    try:
        batches = [range(at, min(at + BATCH, plan.events)) for at in range(0, plan.events, BATCH)]
        began, cpu = time.time(), time.process_time()
        for batch in batches:
            await log.append(list(events(plan, project_id, batch)))
        return {"began": began, "ended": time.time(), "cpu": time.process_time() - cpu}
    finally:
        await log.close()


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.cluster.producer",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("servers", help="Kafka's bootstrap servers")
    parser.add_argument("--topic", required=True)
    parser.add_argument("--project-id", required=True)
    parser.add_argument("--run", required=True, help="what the ids of the events begin with")
    parser.add_argument("--events", type=int, required=True)
    given = parser.parse_args()
    plan = load.Plan(run=given.run, events=given.events)
    print(json.dumps(uvloop.run(produce(given.servers, given.topic, given.project_id, plan))))


if __name__ == "__main__":
    main()
