"""Keeps the index like the table of triggers: told by a notification, and looking by itself in case one is lost."""

from __future__ import annotations

import logging

import asyncpg

from backbone.model import dql
from backbone.model.errors import InvalidFilter
from backbone.model.matches import LiveTrigger
from backbone.store import definitions
from backbone.store.database import Database
from backbone.store.wakeups import Wakeups
from trigger_engine.match import Index
from trigger_engine.pipeline import Pipeline

log = logging.getLogger(__name__)


async def follow(pipeline: Pipeline, database: Database, wakeups: Wakeups) -> None:
    signal = wakeups.watch(definitions.TRIGGERS_CHANNEL)
    async with database.lane(durable=False) as connection:
        while True:
            signal.clear()
            await refresh(pipeline.index, connection)
            await wakeups.wait(signal)


async def refresh(index: Index, connection: asyncpg.Connection) -> None:
    """Put into the index what changed in the table since it was made, and take out what is gone."""
    wanted = await definitions.live_trigger_versions(connection)
    have = index.versions
    stale = [trigger_id for trigger_id, version in wanted.items() if have.get(trigger_id) != version]
    gone = have.keys() - wanted.keys()
    if not stale and not gone:
        return
    index.put_all([_live(row) for row in await definitions.live_triggers(connection, stale)])
    for trigger_id in gone:
        index.remove(trigger_id)
    log.info("triggers loaded", extra={"triggers": len(index), "changed": len(stale), "removed": len(gone)})


def _live(row: definitions.LiveTriggerRow) -> LiveTrigger:
    actions = row.actions
    try:
        compiled = dql.compile(row.filter)
    except InvalidFilter as error:
        # Filters are checked when a trigger is made; one that an older version let in must not stop the others. It is
        # in the index, so that this is said once, and under no action, so that no event matches it.
        log.error("trigger left out, its filter is wrong", extra={"trigger": row.id, "reason": str(error)})
        actions, compiled = (), dql.compile(None)
    return LiveTrigger(
        id=row.id,
        name=row.name,
        version=row.version,
        project_id=row.project_id,
        service_id=row.service_id,
        function_name=row.function_name,
        resource=row.resource,
        actions=actions,
        filter=compiled,
        once=row.once,
        input=row.input,
        max_attempts=row.max_attempts,
    )
