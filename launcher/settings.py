"""Settings: each has a name, a unit, a default and a reason.

Each is read from `TRIGGER_ENGINE_<NAME>` or from the settings file (`launcher/reading_settings.py`). What is secret is
not shown: `repr=False`. docs/settings.md is compared with this file by a test.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal

from backbone.model.errors import Invalid
from launcher import reading_settings

PREFIX = "TRIGGER_ENGINE_"
_WHAT_IS_MISSING = {"database": ": where is PostgreSQL? (trigger-engine up starts one)"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    database: str = field(default="", repr=False)
    """Where PostgreSQL is: `postgresql://…`. `trigger-engine up` starts one of its own and sets this for its parts."""

    kafka: str = ""
    """Kafka's bootstrap servers, `host:port,host:port`. Empty: events are kept in PostgreSQL."""

    kafka_topic: str = "trigger-engine.events"
    """The topic that events are read from."""

    kafka_group: str = "trigger-engine"
    """The consumer group of the engines; they share the topic's partitions."""

    kafka_partitions: int = 12
    """How many partitions the topic is made with. Twelve are shared out evenly among 1, 2, 3, 4, 6 or 12 engines."""

    kafka_replicas: int = 1
    """How many brokers have a copy of each record of the topic. Three, where there are three."""

    kafka_in_sync: int = 1
    """How many of them must have it before it counts as written. One fewer than the copies lets one broker be away."""

    kafka_instance_id: str = ""
    """Static membership: an engine that comes back under the same id within the session gets its partitions back
    without a rebalance. Each engine needs one of its own. Empty: none."""

    kafka_security: Literal["plaintext", "ssl", "sasl_plaintext", "sasl_ssl"] = "plaintext"
    """Whether the connection is encrypted (`ssl`), and whether a user shows a password (`sasl`)."""

    kafka_sasl_mechanism: Literal["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"] = "SCRAM-SHA-512"
    """How the password is shown. PLAIN shows it to the broker as it is, so only over `sasl_ssl`."""

    kafka_user: str = ""
    """Who shows a password to Kafka."""

    kafka_password: str = field(default="", repr=False)
    """The password of `kafka_user`."""

    kafka_ca: str = ""
    """The file with the certificates (PEM) that Kafka's is signed by. Empty: those that the operating system trusts."""

    kafka_cert: str = ""
    """The file with our own certificate (PEM), where Kafka asks for one."""

    kafka_key: str = ""
    """The file with the key (PEM, not encrypted) of `kafka_cert`."""

    rabbitmq: str = field(default="", repr=False)
    """Where RabbitMQ is: `amqp://user:password@host:port/vhost`, or `amqps://…`. Empty: the queue to agents is in
    PostgreSQL."""

    rabbitmq_ca: str = ""
    """As `kafka_ca`, for RabbitMQ."""

    rabbitmq_cert: str = ""
    """As `kafka_cert`, for RabbitMQ."""

    rabbitmq_key: str = ""
    """As `kafka_key`, for RabbitMQ."""

    rabbitmq_management: str = field(default="", repr=False)
    """RabbitMQ's management API, for an administrator: `http[s]://user:password@host:15672`. Each service then gets a
    user of its own there. Empty: agents share the user in `rabbitmq`."""

    host: str = "127.0.0.1"
    """What the gateway listens on. Beyond loopback it asks for a token."""

    port: int = 8900
    """The gateway's port; 0 takes any that is free."""

    token: str = field(default="", repr=False)
    """The bearer token that callers of the gateway show. Empty: none is asked for, and only loopback is listened on."""

    status_port: int = 0
    """Where an engine, a dispatcher or a host of agents tells how it is: /healthz, /readyz, /metrics. 0: nowhere. The
    gateway has pages of its own."""

    url: str = ""
    """Where the gateway is, for those who ask it: agents and the command line."""

    lease: timedelta = timedelta(seconds=30)
    """How long an agent may be silent before its executions are given to others. Longer than the longest pause of a
    busy machine that we saw, shorter than a user's patience."""

    queue_limit: int = 10_000
    """How many executions of one service RabbitMQ holds at most; the others wait in PostgreSQL, oldest first. Enough
    for seconds of work, and little for any broker."""

    republish_after: timedelta = timedelta(seconds=60)
    """How long an execution may be with neither RabbitMQ nor an agent before it is published again."""

    retention: timedelta = timedelta(days=7)
    """How long events, executions, logs and dead letters are kept; they go by whole days. Claims stay."""

    keep_events: Literal["matched", "all"] = "matched"
    """Which events of Kafka are kept in PostgreSQL: those that matched, or each, so that what did not match can be
    explained. A row for each event is more than half of what the engine does with one that nobody wants."""

    max_depth: int = 10
    """How many executions in a row may lead to an event that still matches. Real chains seen are below 5."""

    loop_generations: int = 20
    """How many events without a chain may each come from within the run of the execution before, until their trigger is
    held and looked at."""

    loop_entity_matches: int = 30
    """How often one entity may match one trigger within `loop_window`, without a chain, until both are held and looked
    at."""

    loop_trigger_matches: int = 1_000
    """How often a trigger may match within `loop_window`, without a chain, until it is held and looked at; after it was
    found ordinary, ten times its rate."""

    loop_window: timedelta = timedelta(minutes=1)
    """The window of the two rates."""

    loop_hold: timedelta = timedelta(minutes=1)
    """How long a loop that was found so is held before it is tried again; each time twice as long, up to a day."""

    scan_quota: int = 100
    """How many active triggers of one project may have filters that have to be asked of every event. A hundred cost
    each about 0.1 ms."""

    stop_grace: timedelta = timedelta(seconds=3)
    """How long a function may go on after Ctrl-C; then it is interrupted and run again at the next start."""

    resources: tuple[str, ...] = ()
    """Resources beside the platform's seven, each `Name:Action,Action`, separated by `;`."""

    connectors: str = ""
    """A TOML file of the topics of other systems whose records become events. Empty: none."""

    log_format: Literal["text", "json"] = "text"
    """How a line of the log is written."""

    log_level: str = "INFO"
    """DEBUG, INFO, WARNING or ERROR."""


def from_environment(
    environment: Mapping[str, str] = os.environ, *, needs: Collection[str] = ("database",), **given: Any
) -> Settings:
    """`given` wins over the environment, and that over the settings file. Raises Invalid naming the variable, or the
    file and its field, whose value does not read, and of `needs` what nobody gives."""
    settings = Settings(**{**reading_settings.read(Settings, PREFIX, environment), **given})
    for name in needs:
        if not getattr(settings, name):
            raise Invalid(PREFIX + name.upper(), f"is not set{_WHAT_IS_MISSING.get(name, '')}")
    return settings
