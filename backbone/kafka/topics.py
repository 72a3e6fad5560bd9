"""Topics: created where they are not there yet, and otherwise looked at. One that is there is never changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import NoError, TopicAlreadyExistsError, UnknownTopicOrPartitionError, for_code

from backbone.kafka.connection import SERVICE, Connection, milliseconds, started
from backbone.kafka.records import MAX_VALUE_BYTES
from backbone.model.errors import Invalid, Unavailable

_ROOM = 32_768
"""Beside the value: the headers of a foreign record, its key, the frame of its batch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    name: str
    partitions: int = 12
    """As many processes may read at once. Changing it moves entities to other partitions, past their older changes."""

    replicas: int = 1
    in_sync: int = 1
    """Brokers that must have a record before it counts as written. With three replicas, two."""

    retention: timedelta = timedelta(days=7)

    def settings(self) -> dict[str, str]:
        return {
            "retention.ms": str(milliseconds(self.retention)),
            "min.insync.replicas": str(self.in_sync),
            # The broker's clock, as a producer's may be anywhere: the time is part of the ids of executions.
            "message.timestamp.type": "LogAppendTime",
            # Compaction would drop every change of an entity but the last.
            "cleanup.policy": "delete",
            "max.message.bytes": str(MAX_VALUE_BYTES + _ROOM),
        }


async def ensure(connection: Connection, topics: Sequence[Topic]) -> None:
    """Waits for a broker. Raises Invalid where a topic that is there differs from what is asked for."""
    admin = await started(connection, lambda: AIOKafkaAdminClient(**connection.options()), AIOKafkaAdminClient.close)
    try:
        there = {found["topic"]: found for found in await admin.describe_topics([topic.name for topic in topics])}
        for topic in topics:
            found = there[topic.name]
            error = for_code(found["error_code"])
            if error is UnknownTopicOrPartitionError:
                await _create(admin, topic)
            elif error is not NoError:
                raise Unavailable(SERVICE, f"topic {topic.name} cannot be looked at: {error.description}")
            else:
                _refuse(topic, as_found(found, await _settings(admin, topic.name)))
    finally:
        await admin.close()


def differences(topic: Topic, found: Mapping[str, str]) -> list[str]:
    """What is not as it should be, a sentence each."""
    wanted = {"partitions": str(topic.partitions), "replication.factor": str(topic.replicas), **topic.settings()}
    told = []
    for name, value in wanted.items():
        is_ = found.get(name, "unknown")
        if name == "max.message.bytes":
            if not is_.isdecimal() or int(is_) < int(value):
                told.append(f"{name} is {is_}, expected at least {value}")
        elif is_ != value:
            told.append(f"{name} is {is_}, expected {value}")
    return told


def _refuse(topic: Topic, found: Mapping[str, str]) -> None:
    if told := differences(topic, found):
        raise Invalid(f"topic {topic.name}", f"{'; '.join(told)}. Change the topic, or what is asked for")


async def _create(admin: AIOKafkaAdminClient, topic: Topic) -> None:
    new = NewTopic(topic.name, topic.partitions, topic.replicas, topic_configs=topic.settings())
    [(_, code, *message)] = (await admin.create_topics([new])).topic_errors
    error = for_code(code)
    if error not in (NoError, TopicAlreadyExistsError):  # then another process was here first
        told = next(filter(None, message), error.description)
        raise Unavailable(SERVICE, f"topic {topic.name} cannot be created: {told}")


async def _settings(admin: AIOKafkaAdminClient, name: str) -> dict[str, str]:
    [answer] = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name)])
    [(code, message, _, _, entries)] = answer.resources
    if code:
        raise Unavailable(SERVICE, f"topic {name} cannot be looked at: {message or for_code(code).description}")
    return {entry[0]: entry[1] for entry in entries}


def as_found(topic: Mapping[str, Any], settings: Mapping[str, str]) -> dict[str, str]:
    """What a broker says of a topic, and of its settings, as `differences` takes it."""
    partitions = topic["partitions"]
    replicas = {len(partition["replicas"]) for partition in partitions}
    return {
        **settings,
        "partitions": str(len(partitions)),
        "replication.factor": " and ".join(map(str, sorted(replicas))),
    }
