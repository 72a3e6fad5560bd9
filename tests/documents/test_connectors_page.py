"""The page about connectors tells the truth: its blocks read, its records become events, its tables are complete."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from backbone.model import event_fields
from backbone.model.event_fields import Submission
from backbone.model.events import Event
from backbone.model.resources import Catalog
from trigger_engine.connectors import configuration
from trigger_engine.connectors.record import Record

PAGE = (Path(__file__).parents[2] / "docs" / "connectors.md").read_text(encoding="utf-8")
PAIRS = re.findall(r"```toml\n([^`]*)```\n\n```json\n([^`]*)```", PAGE)
[PROGRAM] = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
NOW = datetime(2024, 5, 1, 12, tzinfo=UTC)


def event_of(block: str, value: str) -> Submission:
    [connector] = configuration.read(block, Catalog())
    record = Record(topic="t", partition=0, offset=5, time=NOW, value=value.encode())
    submission = connector.shape.event(record, Catalog())
    assert submission is not None
    return submission


def test_there_is_an_example_for_each_shape() -> None:
    assert [re.findall(r'shape = "(\w+)"', block) for block, _ in PAIRS] == [[name] for name in configuration.SHAPES]


def test_the_examples_become_the_events_that_the_page_speaks_of() -> None:
    cloud, row, label = (event_of(block, value) for block, value in PAIRS)
    assert [(one.event.resource, one.event.action, one.event.entity_id) for one in (cloud, row, label)] == [
        ("Item", "Created", "item-17"),
        ("Item", "Updated", "item-17"),
        ("Annotation", "Updated", "17"),
    ]
    assert [one.event.id for one in (cloud, row, label)] == ["upload-17", "t/0/5", "m-1"]
    assert row.event.time == datetime(2024, 5, 1, 9, 59, 59, 250_000, tzinfo=UTC)
    assert (label.project, label.event.actor, label.event.time) == ("shop", "ann", NOW)


def test_the_first_block_reads() -> None:
    [first, *_] = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    assert [connector.topic for connector in configuration.read(first, Catalog())] == ["shop.public.pictures"]


@pytest.mark.parametrize("name", configuration.SHAPES)
def test_the_tables_have_every_setting(name: str) -> None:
    told = set(re.findall(r"`(\w+)`", " ".join(re.findall(r"^\| (`\w+`(?:, `\w+`)*) \|", PAGE, re.MULTILINE))))
    assert {field.encode_name for field in msgspec.structs.fields(configuration.SHAPES[name])} <= told


def test_the_shape_of_the_page_is_one() -> None:
    names = {"msgspec": msgspec, "event_fields": event_fields, "Event": Event, "Submission": Submission}
    exec("from __future__ import annotations\n" + PROGRAM, names | {"__name__": __name__}, made := {})
    shape = made["Heartbeats"](resource="item")
    shape.check(Catalog())
    record = Record(topic="t", partition=0, offset=5, time=NOW, key=b"m-1")
    submission = shape.event(record, Catalog())
    assert (submission.event.entity_id, submission.event.action, submission.event.id) == ("m-1", "Updated", "t/0/5")
    assert shape.event(Record(topic="t", partition=0, offset=5, time=NOW), Catalog()) is None
