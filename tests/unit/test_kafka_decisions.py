"""What is decided about Kafka without asking it: whether all is well, and whether a topic is as it should be."""

from __future__ import annotations

from datetime import timedelta

import pytest

from backbone.kafka.connection import Connection, Security
from backbone.kafka.consumer import trouble
from backbone.kafka.topics import Topic, differences

TOPIC = Topic(name="events", partitions=4, replicas=3, in_sync=2, retention=timedelta(days=1))
AS_ASKED = {
    "partitions": "4",
    "replication.factor": "3",
    "retention.ms": "86400000",
    "min.insync.replicas": "2",
    "message.timestamp.type": "LogAppendTime",
    "cleanup.policy": "delete",
    "max.message.bytes": "2000000",
    "segment.bytes": "7",
}


@pytest.mark.parametrize(
    ("waited", "rebalancing", "has_partitions", "silence", "told"),
    [
        (1, True, False, 100, None),  # it has only begun to wait
        (60, False, True, 0.5, None),  # answers come, and there is nothing in them
        (60, False, False, 60, None),  # others have all the partitions
        (60, True, False, 60, "waits for its share of the partitions for 60 s"),
        (60, False, True, 7, "has no answer from Kafka for 7 s"),
    ],
)
def test_what_keeps_a_reader_from_reading_is_told(
    waited: float, rebalancing: bool, has_partitions: bool, silence: float, told: str | None
) -> None:
    assert trouble(waited, rebalancing, has_partitions, silence) == told


def test_a_topic_as_it_was_asked_for_does_not_differ() -> None:
    assert differences(TOPIC, AS_ASKED) == []


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("partitions", "12", "partitions is 12, expected 4"),
        ("replication.factor", "1 and 3", "replication.factor is 1 and 3, expected 3"),
        ("retention.ms", "-1", "retention.ms is -1, expected 86400000"),
        ("min.insync.replicas", "1", "min.insync.replicas is 1, expected 2"),
        ("message.timestamp.type", "CreateTime", "message.timestamp.type is CreateTime, expected LogAppendTime"),
        ("cleanup.policy", "compact", "cleanup.policy is compact, expected delete"),
        ("max.message.bytes", "1000012", "max.message.bytes is 1000012, expected at least 1049152"),
    ],
)
def test_a_topic_that_differs_is_told_by_the_setting_and_both_values(name: str, value: str, told: str) -> None:
    assert differences(TOPIC, {**AS_ASKED, name: value}) == [told]


def test_a_password_is_shown_to_kafka_and_to_nobody_else() -> None:
    security = Security(protocol="SASL_PLAINTEXT", mechanism="SCRAM-SHA-512", user="engine", password="a secret")
    connection = Connection(servers="kafka:9092", security=security)
    assert "a secret" not in repr(connection)
    assert connection.options()["sasl_plain_password"] == "a secret"
