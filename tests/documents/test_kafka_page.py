"""The page on Kafka: its examples are taken, and its figures are those of the code."""

from __future__ import annotations

import json
import re
from collections import namedtuple
from datetime import UTC, datetime
from pathlib import Path

from backbone.drivers.event_log.kafka import KafkaEventLog
from backbone.kafka import consumer, records
from backbone.kafka.connection import Connection
from backbone.kafka.consumer import Group
from backbone.kafka.topics import Topic
from backbone.model.event_fields import Submission
from backbone.model.events import MAX_EVENT_BYTES
from backbone.model.resources import Catalog

PAGE = (Path(__file__).parents[2] / "docs" / "kafka.md").read_text(encoding="utf-8")
OWN, BINARY = (json.loads(example) for example in re.findall(r"```json\n(.*?)\n```", PAGE, re.DOTALL))
Record = namedtuple("Record", "value headers topic partition offset timestamp", defaults=((), "events", 0, 0, 0))


def judged(record: Record) -> Submission:
    return records.judge(record, Catalog(), datetime.now(UTC))


def test_the_examples_are_the_same_event() -> None:
    own = judged(Record(json.dumps(OWN).encode()))
    headers = tuple((name, text.encode()) for name, text in BINARY["headers"].items())
    binary = judged(Record(json.dumps(BINARY["value"]).encode(), headers))
    assert own.project == binary.project == "demo"
    assert (
        (own.event.id, own.event.entity_id) == (binary.event.id, binary.event.entity_id) == ("upload-000017", "item-17")
    )


def test_the_table_of_the_topic_tells_what_is_expected() -> None:
    topic = Topic(name="any")
    for name, value in topic.settings().items():
        [row] = [line for line in PAGE.splitlines() if line.startswith("| ") and f"`{name}`" in line]
        assert value in row.split("|")[2]
    assert f"| partitions | {topic.partitions} |" in PAGE
    assert (topic.replicas, topic.in_sync) == (1, 1)


def test_the_limits_and_times_are_those_of_the_code() -> None:
    for told in (
        f"at most {MAX_EVENT_BYTES:,} bytes, {records.MAX_HEADERS} headers",
        f"{records.MAX_HEADER_BYTES:,} bytes of headers",
        f"`{records.VERSION_HEADER}: 1`",
        f"after the session, {Group(id='any').session.total_seconds():g} s",
        f"longer than {Group(id='any').rebalance.total_seconds():g} s",
        f"red after {consumer.SILENCE.total_seconds():g} s",
        f"given up after {Connection(servers='any').patience.total_seconds():g} s",
        f"answers 503 after {KafkaEventLog.__init__.__kwdefaults__['append_limit'].total_seconds():g} s",
    ):
        assert told in PAGE
