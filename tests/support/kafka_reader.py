"""A reader of the log in a process of its own, to be killed: `python -m tests.support.kafka_reader ADDRESS TOPIC
PARTITIONS GROUP SESSION`. It says the ids of the first batch it is given, in one line, and holds it for ever."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from backbone.drivers.event_log.kafka import KafkaEventLog
from backbone.kafka.connection import Connection
from backbone.kafka.consumer import Group
from backbone.kafka.topics import Topic
from backbone.kit.loops import Health
from backbone.store.database import Database
from backbone.store.project_ids import ProjectIds


async def main(address: str, topic: str, partitions: str, group: str, session: str) -> None:
    log = KafkaEventLog(
        Connection(servers=address, name="to be killed"),
        Topic(name=topic, partitions=int(partitions)),
        Group(id=group, session=timedelta(seconds=float(session))),
        ProjectIds(Database(""), make=False, default="default"),
        Health(),
    )
    await log.open()
    async for batch in log.read(20):
        print(*(recorded.event.id for recorded in batch.records), flush=True)
        await asyncio.Event().wait()


@asynccontextmanager
async def reader(*arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """The program, killed at the end if it was not before."""
    program = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.support.kafka_reader", *arguments, stdout=asyncio.subprocess.PIPE
    )
    try:
        yield program
    finally:
        if program.returncode is None:
            program.kill()
        await program.communicate()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
