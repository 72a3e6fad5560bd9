"""A look at Kafka: each broker at the address it advertises, the topic beside what we want of it, what we may do.

It speaks over single connections and not by a client, whose errors say no more than that there is no broker. What we
may do is asked with a fetch from nowhere, a produce of nothing and the heartbeat of nobody: Kafka looks at the
permission first, and none of them leaves a trace.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from aiokafka.conn import AIOKafkaConnection
from aiokafka.errors import (
    AuthenticationFailedError,
    GroupAuthorizationFailedError,
    KafkaConnectionError,
    SaslAuthenticationFailed,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
    UnsupportedSaslMechanismError,
    for_code,
)
from aiokafka.protocol.admin import ApiVersionRequest, DescribeConfigsRequest
from aiokafka.protocol.coordination import FindCoordinatorRequest
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.protocol.group import HeartbeatRequest
from aiokafka.protocol.metadata import MetadataRequest
from aiokafka.protocol.produce import ProduceRequest

from backbone.kafka import topics
from backbone.kafka.topics import Topic
from launcher import servers
from launcher.checking import reasons
from launcher.checking.finding import Finding, Problem
from launcher.settings import Settings

SETTING = "TRIGGER_ENGINE_KAFKA"
PAUSE = 0.1  # seconds
LEAVES_WITHIN = 0.2
_MENDED_IN = reasons.Settings(SETTING, f"{SETTING}_CA", f"{SETTING}_CERT and {SETTING}_KEY")
MAKE_IT_SO = f"change the topic, or {SETTING}_PARTITIONS, _REPLICAS, _IN_SYNC and TRIGGER_ENGINE_RETENTION"
_PRODUCE, _FETCH = 0, 1
_TOPIC = 2  # the kind of what is described


async def look(finding: Finding, settings: Settings, options: Mapping[str, Any]) -> None:
    connections = _Connections(options)
    try:
        found = await _bootstrap(finding, settings.kafka, connections)
        if found is None:
            return
        finding.reached = True
        finding.facts["tls"] = "ssl_context" in options
        finding.facts["version"] = await _version(found)
        metadata = (await found.send(MetadataRequest([settings.kafka_topic], False))).to_object()
        await _look_at_brokers(finding, metadata["brokers"], connections)
        await _look_at_topic(finding, settings, metadata, found, connections)
        await _look_at_group(finding, settings, found, connections)
    finally:
        await connections.close()


class _Connections:
    """One to each place, kept until the look is over."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._options = {name: value for name, value in options.items() if name != "bootstrap_servers"}
        self._all: list[AIOKafkaConnection] = []
        self._open: dict[tuple[str, int], AIOKafkaConnection] = {}

    async def to(self, host: str, port: int) -> AIOKafkaConnection:
        if (host, port) not in self._open:
            connection = AIOKafkaConnection(host, port, **self._options)
            self._all.append(connection)
            await connection.connect()
            self._open[host, port] = connection
        return self._open[host, port]

    async def close(self) -> None:
        """Those too that failed half-way: TLS takes a moment to part."""
        closed = [connection.close() for connection in self._all]
        if leaving := [future for future in closed if future is not None]:
            await asyncio.wait(leaving, timeout=LEAVES_WITHIN)


async def _bootstrap(finding: Finding, servers: str, connections: _Connections) -> AIOKafkaConnection | None:
    """The first that lets us in. The others are for when it is away, so each is tried."""
    found = None
    for server in servers.split(","):
        host, _, port = server.strip().rpartition(":")
        if not host or not port.isdecimal():
            finding.wrong(f"{server!r} is no address", f"write host:port,host:port in {SETTING}")
            continue
        try:
            connection = await connections.to(host.strip("[]"), int(port))
            found = found or connection
        except Exception as error:  # any: whatever keeps us out is what is told
            problem = _explained(error)
            finding.wrong(f"{server.strip()}: {problem.wrong}", problem.remedy)
    return found


async def _version(connection: AIOKafkaConnection) -> str:
    """Kafka does not tell; which requests it still takes does (the oldest fetches went with 4.0)."""
    answer = await connection.send(ApiVersionRequest())
    ranges = {key: (oldest, newest) for key, oldest, newest in answer.api_versions}
    age = "4.0 or later" if ranges[_FETCH][0] >= 4 else "before 4.0"
    return f"{age} (Produce {_range(ranges[_PRODUCE])}, Fetch {_range(ranges[_FETCH])})"


def _range(versions: tuple[int, int]) -> str:
    return f"{versions[0]} to {versions[1]}"


async def _look_at_brokers(finding: Finding, brokers: list[dict[str, Any]], connections: _Connections) -> None:
    finding.facts["brokers"] = [f"{broker['host']}:{broker['port']}" for broker in brokers]
    for broker in brokers:
        try:
            await connections.to(broker["host"], broker["port"])
        except Exception as error:  # any, as above
            finding.wrong(
                f"broker {broker['node_id']} says that it is at {broker['host']}:{broker['port']}, and there "
                f"{_explained(error).wrong}",
                "let its advertised.listeners name what can be reached from here",
            )


async def _look_at_topic(
    finding: Finding, settings: Settings, metadata: dict[str, Any], found: AIOKafkaConnection, connections: _Connections
) -> None:
    [topic] = metadata["topics"]
    name = settings.kafka_topic
    error = for_code(topic["error_code"])
    if error is UnknownTopicOrPartitionError:
        finding.facts["topic"] = f"{name} is not there yet: the first engine that starts makes it"
        if (there := len(metadata["brokers"])) < settings.kafka_replicas:
            finding.wrong(
                f"{settings.kafka_replicas} replicas of the topic {name} are wanted, and brokers are {there}",
                f"start more brokers, or lower {SETTING}_REPLICAS",
            )
        return
    if error is TopicAuthorizationFailedError:
        finding.facts["topic"] = f"{name} may not be seen"
        finding.wrong(f"we may not see the topic {name}", f"allow Describe, Read and Write on the topic {name}")
        return
    finding.facts["topic"] = name
    await _compare(finding, servers.kafka_topic(settings), topic, found)
    leaders = {broker["node_id"]: (broker["host"], broker["port"]) for broker in metadata["brokers"]}
    leader = leaders.get(topic["partitions"][0]["leader"])
    if leader is None:
        finding.wrong(f"partition 0 of {name} has no leader", "start the brokers that have its replicas")
        return
    await _look_at_rights(finding, name, await connections.to(*leader))


async def _compare(finding: Finding, wanted: Topic, topic: dict[str, Any], found: AIOKafkaConnection) -> None:
    answer = await found.send(DescribeConfigsRequest([(_TOPIC, wanted.name, None)]))
    [(code, _message, _kind, _name, entries)] = answer.resources
    is_ = topics.as_found(topic, {entry[0]: entry[1] for entry in entries})
    told = {"partitions": "partitions", "replicas": "replication.factor"}
    if code:
        finding.wrong(
            f"we may not see the settings of the topic {wanted.name}, and no engine starts on it unseen",
            f"allow DescribeConfigs on the topic {wanted.name}",
        )
    else:
        told |= {"inSync": "min.insync.replicas", "retentionMs": "retention.ms"}
        for difference in topics.differences(wanted, is_):
            finding.wrong(f"the topic {wanted.name} differs, and no engine starts on it: {difference}", MAKE_IT_SO)
    finding.facts |= {fact: is_[name] for fact, name in told.items()}


async def _look_at_rights(finding: Finding, name: str, leader: AIOKafkaConnection) -> None:
    fetched = await leader.send(FetchRequest(0, 0, 1, 0, [(name, [(0, 1 << 62, 1)])]))
    produced = await leader.send(ProduceRequest(None, 1, 1000, [(name, [(0, b"")])]))
    finding.facts["mayRead"] = for_code(fetched.topics[0][1][0][1]) is not TopicAuthorizationFailedError
    finding.facts["mayWrite"] = for_code(produced.topics[0][1][0][1]) is not TopicAuthorizationFailedError
    for fact, operation in (("mayRead", "Read"), ("mayWrite", "Write")):
        if not finding.facts[fact]:
            finding.wrong(f"we may not {operation.lower()} the topic {name}", f"allow {operation} on the topic {name}")


async def _look_at_group(
    finding: Finding, settings: Settings, found: AIOKafkaConnection, connections: _Connections
) -> None:
    group = settings.kafka_group
    finding.facts["group"] = group
    where = await found.send(FindCoordinatorRequest(group, 0))
    while for_code(where.error_code).retriable:  # a new cluster makes the place for its groups when it is first asked
        await asyncio.sleep(PAUSE)
        where = await found.send(FindCoordinatorRequest(group, 0))
    if where.error_code:
        error = for_code(where.error_code)
    else:
        coordinator = await connections.to(where.host, where.port)
        error = for_code((await coordinator.send(HeartbeatRequest(group, 0, ""))).error_code)
    finding.facts["mayUseGroup"] = error is not GroupAuthorizationFailedError
    if error is GroupAuthorizationFailedError:
        finding.wrong(f"we may not read as the group {group}", f"allow Read on the group {group}")


def _explained(error: Exception) -> Problem:
    if isinstance(error, SaslAuthenticationFailed | AuthenticationFailedError):
        return Problem("it does not take our user or password", f"look at {SETTING}_USER and {SETTING}_PASSWORD")
    if isinstance(error, UnsupportedSaslMechanismError):
        return Problem("it does not know the mechanism", f"mend {SETTING}_SASL_MECHANISM")
    if isinstance(error, KafkaConnectionError | ConnectionResetError):
        return Problem(
            "it hung up at once",
            f"look whether {SETTING}_SECURITY is this listener's, and whether it asks for {_MENDED_IN.certificate}",
        )
    return reasons.explained(error, _MENDED_IN)
