"""TRIGGER_ENGINE_CONNECTORS: the file is read at the start, and what is wrong is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from backbone.model.errors import Invalid
from launcher import connectors
from launcher.settings import Settings

BLOCK = '[[connector]]\ntopic = "a"\nshape = "debezium"\nresource = "Order"\n'


def configured(file: Path, text: str) -> list[connectors.Connector]:
    file.write_text(text)
    given = Settings(kafka="somewhere:9092", connectors=str(file), resources=("Order:Created,Updated,Deleted",))
    return connectors.configured(given)


def test_there_are_none_without_a_file() -> None:
    assert connectors.configured(Settings()) == []


def test_a_connector_may_have_a_resource_of_the_deployment(tmp_path: Path) -> None:
    [connector] = configured(tmp_path / "c.toml", BLOCK)
    assert connector.topic == "a"


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match=r"^TRIGGER_ENGINE_CONNECTORS: '.*none\.toml' cannot be read: "):
        connectors.configured(Settings(kafka="k:1", connectors=str(tmp_path / "none.toml")))


def test_a_block_that_is_wrong_is_named_with_its_file(tmp_path: Path) -> None:
    with pytest.raises(
        Invalid, match=r"^TRIGGER_ENGINE_CONNECTORS: .*c\.toml: connector\[0\]\.shape: 'debezum' is not"
    ):
        configured(tmp_path / "c.toml", BLOCK.replace("debezium", "debezum"))


def test_the_topic_of_the_events_themselves_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match=r"'trigger-engine.events' is the topic of the events themselves$"):
        configured(tmp_path / "c.toml", BLOCK.replace('"a"', '"trigger-engine.events"'))


def test_connectors_without_kafka_are_refused(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text(BLOCK.replace("Order", "Item"))
    with pytest.raises(Invalid, match=r"would not be used: TRIGGER_ENGINE_KAFKA is not$"):
        connectors.configured(Settings(connectors=str(tmp_path / "c.toml")))
