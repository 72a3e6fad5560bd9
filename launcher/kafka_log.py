"""The cluster profile's event log: the topic in Kafka that the settings name."""

from __future__ import annotations

from contextlib import AsyncExitStack

from backbone.drivers.event_log.kafka import KafkaEventLog
from backbone.kafka.connection import Connection, Security
from backbone.kafka.consumer import Group
from backbone.kit.loops import Health
from backbone.model.resources import Catalog
from backbone.store.database import Database
from backbone.store.project_ids import ProjectIds
from launcher import embedded, servers
from launcher.settings import Settings


async def opened(
    stack: AsyncExitStack, settings: Settings, database: Database, role: str, health: Health
) -> KafkaEventLog:
    options = servers.kafka_options(settings)
    security = Security(
        protocol=options["security_protocol"],
        mechanism=options.get("sasl_mechanism", "PLAIN"),
        user=options.get("sasl_plain_username"),
        password=options.get("sasl_plain_password"),
        ssl_context=options.get("ssl_context"),
    )
    log = KafkaEventLog(
        Connection(servers=settings.kafka, security=security, name=f"trigger-engine {role}"),
        servers.kafka_topic(settings),
        Group(id=settings.kafka_group, member=settings.kafka_instance_id or None),
        ProjectIds(database, make=True, default=embedded.DEFAULT_PROJECT),
        health,
        catalog=Catalog.with_additions(settings.resources),
    )
    stack.push_async_callback(log.close)
    await log.open()
    return log
