"""Settings are read from the environment, and what does not read is named."""

from __future__ import annotations

from dataclasses import fields
from datetime import timedelta

import pytest

from backbone.model.errors import Invalid
from launcher import reading_settings
from launcher.settings import PREFIX, Settings, from_environment

DATABASE = {"TRIGGER_ENGINE_DATABASE": "postgresql://somewhere/db"}


def test_nothing_but_the_database_must_be_set() -> None:
    assert from_environment(DATABASE) == Settings(database="postgresql://somewhere/db")
    with pytest.raises(Invalid, match=r"^TRIGGER_ENGINE_DATABASE: is not set"):
        from_environment({})


def test_every_setting_is_read() -> None:
    written = {
        "database": ("d", "d"),
        "kafka": ("h:1,i:2", "h:1,i:2"),
        "kafka_topic": ("t", "t"),
        "kafka_group": ("g", "g"),
        "kafka_partitions": ("3", 3),
        "kafka_replicas": ("3", 3),
        "kafka_in_sync": ("2", 2),
        "kafka_instance_id": ("i", "i"),
        "kafka_security": ("sasl_ssl", "sasl_ssl"),
        "kafka_sasl_mechanism": ("PLAIN", "PLAIN"),
        "kafka_user": ("u", "u"),
        "kafka_password": ("p", "p"),
        "kafka_ca": ("/ca", "/ca"),
        "kafka_cert": ("/cert", "/cert"),
        "kafka_key": ("/key", "/key"),
        "rabbitmq": ("amqp://h", "amqp://h"),
        "rabbitmq_ca": ("/ca", "/ca"),
        "rabbitmq_cert": ("/cert", "/cert"),
        "rabbitmq_key": ("/key", "/key"),
        "rabbitmq_management": ("http://u:p@h:15672", "http://u:p@h:15672"),
        "host": ("0.0.0.0", "0.0.0.0"),
        "port": ("0", 0),
        "token": ("t", "t"),
        "url": ("http://here", "http://here"),
        "status_port": ("9100", 9100),
        "queue_limit": ("50", 50),
        "republish_after": ("2s", timedelta(seconds=2)),
        "lease": ("500ms", timedelta(milliseconds=500)),
        "retention": ("1d", timedelta(days=1)),
        "keep_events": ("all", "all"),
        "max_depth": ("5", 5),
        "loop_generations": ("3", 3),
        "loop_entity_matches": ("4", 4),
        "loop_trigger_matches": ("5", 5),
        "loop_window": ("10s", timedelta(seconds=10)),
        "loop_hold": ("2m", timedelta(minutes=2)),
        "scan_quota": ("7", 7),
        "stop_grace": ("1.5s", timedelta(seconds=1.5)),
        "resources": (" Car:Created,Sold ; ;Bus:Created;", ("Car:Created,Sold", "Bus:Created")),
        "connectors": ("a/file.toml", "a/file.toml"),
        "log_format": ("json", "json"),
        "log_level": ("DEBUG", "DEBUG"),
    }
    assert written.keys() == {field.name for field in fields(Settings)}
    read = from_environment({PREFIX + name.upper(): text for name, (text, _) in written.items()})
    assert {name: getattr(read, name) for name in written} == {name: value for name, (_, value) in written.items()}


def test_what_is_given_wins_over_the_environment() -> None:
    assert from_environment({**DATABASE, "TRIGGER_ENGINE_PORT": "1"}, port=2, database="d").port == 2


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("PORT", "many", "'many' is not a whole number"),
        ("PORT", "-1", "'-1' is not a whole number"),
        ("MAX_DEPTH", "1.5", "'1.5' is not a whole number"),
        ("LEASE", "30", "'30' is not a duration; expected for instance 250ms, 30s, 5m, 1h or 7d"),
        ("LEASE", "-1s", "'-1s' is not a duration"),
        ("RETENTION", "forever", "'forever' is not a duration"),
        ("LOG_FORMAT", "xml", "'xml' is not known; expected 'text' or 'json'"),
    ],
)
def test_what_does_not_read_is_named_with_its_value(name: str, text: str, said: str) -> None:
    with pytest.raises(Invalid) as caught:
        from_environment({**DATABASE, PREFIX + name: text})
    assert caught.value.path == PREFIX + name
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("text", "seconds"), [("250ms", 0.25), ("30s", 30), ("5m", 300), ("1h", 3600), ("7d", 604_800), (" 0.5s ", 0.5)]
)
def test_a_duration_has_a_unit(text: str, seconds: float) -> None:
    assert reading_settings.duration(text, "X") == timedelta(seconds=seconds)


def test_what_is_secret_is_not_shown() -> None:
    address = "scheme://u:hidden@h/d"
    shown = repr(Settings(database=address, rabbitmq=address, token="hidden", kafka_password="hidden"))
    assert "hidden" not in shown
