"""TLS and passwords, on real servers: whom our clients reach with them, whom not, and what `check` says of each."""

from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aio_pika
import asyncpg
import pytest
import pytest_asyncio
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import NewTopic
from aiokafka.conn import create_conn
from aiokafka.protocol.admin import CreateAclsRequest

from backbone.kafka.topics import Topic
from backbone.store import migrations
from backbone.store.database import Database
from launcher import servers
from launcher.checking import every
from launcher.checking.finding import Finding
from launcher.settings import Settings
from tests.conftest import skipped_where_missing
from tests.support import kafka, tls
from tests.support.command_line import typed
from tests.support.rabbitmq import RabbitMQServer
from tests.support.servers import free_port
from tests.support.tls import HOST, PASSWORD, Certificates

TOPIC = "trigger-engine.events"
PARTITIONS = 12
WRITTEN = quote(PASSWORD, safe="")
PATIENCE = 60
NO_ACCESS = {"kafka_user": "stranger"}

Given = Mapping[str, Any]

# Of a handshake that we refuse, asyncpg leaves the socket to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture(autouse=True, scope="module")
def _collected() -> Iterator[None]:
    yield
    gc.collect()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates.made_in(tmp_path_factory.mktemp("tls") / "certificates")


# PostgreSQL


@dataclass(frozen=True, slots=True)
class Postgres:
    port: int
    ca: str

    def url(self, user: str = "engine", password: str = WRITTEN, host: str = HOST, name: str = "postgres") -> str:
        return f"postgresql://{user}:{password}@{host}:{self.port}/{name}?sslmode=verify-full&sslrootcert={self.ca}"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def postgres(files: Certificates, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Postgres]:
    with skipped_where_missing():
        server = tls.PostgresWithTls(tmp_path_factory.mktemp("postgres") / "cluster", files)
    try:
        await server.start()
        here = Postgres(server.port, files.ca)
        connection = await asyncpg.connect(here.url())
        await connection.execute(
            f"CREATE ROLE reader LOGIN PASSWORD '{PASSWORD}'; REVOKE CREATE ON SCHEMA public FROM PUBLIC"
        )
        await connection.close()
        yield here
    finally:
        server.kill()


async def test_postgresql_is_reached_by_tls_and_looked_at(postgres: Postgres) -> None:
    before = await looked(database=postgres.url())
    assert (before.well, before.facts["migration"]) == (True, "none")
    assert before.facts["migrationsToCome"] == sorted(migrations.known())
    await migrations.migrate(postgres.url())
    after = await looked(database=postgres.url())
    assert after.well
    assert {name: after.facts[name] for name in ("database", "user", "tls", "mayCreateTables", "migration")} == {
        "database": "postgres",
        "user": "engine",
        "tls": True,
        "mayCreateTables": True,
        "migration": max(migrations.known()),
    }
    database = await Database(servers.database_address(Settings(database=postgres.url()))).open()
    try:
        assert await database.pool.fetchval("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
    finally:
        await database.close()


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"password": "wrong"}, 'it does not let us in: password authentication failed for user "engine"'),
        ({"host": "localhost"}, "its certificate is of another host: Hostname mismatch"),
        ({"name": "nowhere"}, 'it has no such database: database "nowhere" does not exist'),
    ],
)
async def test_postgresql_says_why_it_is_not_reached(postgres: Postgres, changed: Given, said: str) -> None:
    assert why_not(await looked(database=postgres.url(**changed))).startswith(said)


async def test_postgresql_of_another_authority_is_not_trusted(postgres: Postgres, files: Certificates) -> None:
    other = postgres.url().replace(files.ca, files.other_ca)
    with pytest.raises(OSError, match="certificate verify failed"):
        await asyncpg.connect(other)
    assert why_not(await looked(database=other)).startswith("its certificate is not trusted: ")
    absent = await looked(database=postgres.url().replace(files.ca, "/nowhere/ca.pem"))
    assert "/nowhere/ca.pem" in why_not(absent)


async def test_a_user_who_may_not_make_tables_is_told_before_the_migration_fails(postgres: Postgres) -> None:
    connection = await asyncpg.connect(postgres.url())
    await connection.execute("DROP DATABASE IF EXISTS empty")
    await connection.execute("CREATE DATABASE empty")
    await connection.close()
    found = await looked(database=postgres.url(user="reader", name="empty"))
    assert found.facts["mayCreateTables"] is False
    assert why_not(found, reached=True).startswith("reader may not create the tables of 0001_start")


async def test_a_database_of_a_newer_version_is_told(postgres: Postgres) -> None:
    await migrations.migrate(postgres.url())
    connection = await asyncpg.connect(postgres.url())
    try:
        await connection.execute("INSERT INTO migration (name) VALUES ('9999_later')")
        found = await looked(database=postgres.url())
        await connection.execute("DELETE FROM migration WHERE name = '9999_later'")
    finally:
        await connection.close()
    assert why_not(found, reached=True) == "it was migrated by a newer version: 9999_later"


# Kafka


@dataclass(frozen=True, slots=True)
class Kafka:
    by_password: Given
    by_certificate: Given
    server: kafka.KafkaServer


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def kafka_(files: Certificates, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Kafka]:
    with skipped_where_missing():
        server = tls.kafka(tmp_path_factory.mktemp("kafka"), files)
    scram = {"kafka": server.addresses["SCRAM"], "kafka_security": "sasl_ssl", "kafka_ca": files.ca}
    mutual = {"kafka": server.addresses["MUTUAL"], "kafka_security": "ssl", "kafka_ca": files.ca}
    try:
        await server.start()
        async with kafka.administering(server.broker) as admin:
            await admin.create_topics([NewTopic(TOPIC, PARTITIONS, 1, topic_configs=Topic(name=TOPIC).settings())])
        await allow_to_see(server.broker.address, "stranger", TOPIC)
        yield Kafka(
            {**scram, "kafka_user": "engine", "kafka_password": PASSWORD},
            {**mutual, "kafka_cert": files.cert, "kafka_key": files.key},
            server,
        )
    finally:
        server.kill()


async def allow_to_see(address: str, user: str, topic: str) -> None:
    host, port = address.split(":")
    connection = await create_conn(host, int(port))
    topic_kind, literal, describe, allow = 2, 3, 8, 3
    await connection.send(CreateAclsRequest(topic_kind, topic, literal, f"User:{user}", "*", describe, allow))
    connection.close()


@pytest.mark.parametrize("how", ["by_password", "by_certificate"])
async def test_kafka_is_reached_and_looked_at(kafka_: Kafka, how: str) -> None:
    given: Given = getattr(kafka_, how)
    options = servers.kafka_options(Settings(**given))
    producer = AIOKafkaProducer(**options)
    consumer = AIOKafkaConsumer(TOPIC, group_id="trigger-engine", auto_offset_reset="earliest", **options)
    await producer.start()
    await consumer.start()
    try:
        await producer.send_and_wait(TOPIC, how.encode(), partition=0)
        async with asyncio.timeout(PATIENCE):
            while (await consumer.getone()).value != how.encode():
                pass
    finally:
        await consumer.stop()
        await producer.stop()
    found = await looked(**given)
    assert found.well, found.problems
    wanted = ("tls", "brokers", "topic", "partitions", "retentionMs", "inSync", "mayRead", "mayWrite")
    assert [found.facts[name] for name in wanted] == [True, [given["kafka"]], TOPIC, "12", "604800000", "1", True, True]
    assert found.facts["mayUseGroup"] is True
    assert found.facts["version"].startswith("4.0 or later")


@pytest.mark.parametrize(
    ("how", "changed", "said"),
    [
        ("by_password", {"kafka_ca": "other_ca"}, "its certificate is not trusted: "),
        ("by_password", {"kafka_password": "wrong"}, "it does not take our user or password"),
        ("by_password", {"kafka_sasl_mechanism": "SCRAM-SHA-256"}, "it does not take our user or password"),
        ("by_password", {"kafka_sasl_mechanism": "PLAIN"}, "it does not know the mechanism"),
        ("by_certificate", {"kafka_cert": "", "kafka_key": ""}, "it hung up at once"),
        ("by_certificate", {"kafka": f"{HOST}:9"}, "nothing listens there"),
        ("by_certificate", {"kafka": "nowhere.invalid:9092"}, "its host is not known: "),
    ],
)
async def test_kafka_says_why_it_is_not_reached(
    kafka_: Kafka, files: Certificates, how: str, changed: Given, said: str
) -> None:
    given = {**getattr(kafka_, how), **changed}
    if changed.get("kafka_ca"):
        given["kafka_ca"] = files.other_ca
    assert why_not(await looked(**given)).startswith(f"{given['kafka']}: {said}")


async def test_kafka_that_does_not_speak_tls_is_told(kafka_: Kafka) -> None:
    plain = kafka_.server.broker.address
    assert (await looked(kafka=plain)).facts["tls"] is False
    found = await looked(**{**kafka_.by_certificate, "kafka": plain})
    assert "look whether TRIGGER_ENGINE_KAFKA_SECURITY is this listener's" in found.problems[0].remedy


async def test_one_bootstrap_server_that_is_away_is_told_and_another_used(kafka_: Kafka) -> None:
    found = await looked(**{**kafka_.by_password, "kafka": f"{HOST}:9,{kafka_.by_password['kafka']},x"})
    assert found.reached
    assert [problem.wrong for problem in found.problems] == [f"{HOST}:9: nothing listens there", "'x' is no address"]


async def test_what_a_user_may_not_do_is_told(kafka_: Kafka) -> None:
    found = await looked(**kafka_.by_password | NO_ACCESS)
    assert found.reached
    assert [problem.wrong for problem in found.problems] == [
        f"we may not see the settings of the topic {TOPIC}, and no engine starts on it unseen",
        f"we may not read the topic {TOPIC}",
        f"we may not write the topic {TOPIC}",
        "we may not read as the group trigger-engine",
    ]
    found = await looked(**kafka_.by_password | NO_ACCESS, kafka_topic="hidden")
    assert found.problems[0].wrong == "we may not see the topic hidden"


async def test_a_topic_that_is_not_there_is_made_later_and_one_that_differs_is_told(kafka_: Kafka) -> None:
    found = await looked(**kafka_.by_password, kafka_topic="absent")
    assert found.well
    assert found.facts["topic"] == "absent is not there yet: the first engine that starts makes it"
    found = await looked(**kafka_.by_password, kafka_topic="absent", kafka_replicas=3)
    assert why_not(found, reached=True) == "3 replicas of the topic absent are wanted, and brokers are 1"
    found = await looked(**kafka_.by_password, kafka_partitions=6, kafka_in_sync=2)
    differs = f"the topic {TOPIC} differs, and no engine starts on it: "
    assert [problem.wrong for problem in found.problems] == [
        f"{differs}partitions is 12, expected 6",
        f"{differs}min.insync.replicas is 1, expected 2",
    ]


# RabbitMQ


@dataclass(frozen=True, slots=True)
class Rabbit:
    given: Given
    server: RabbitMQServer

    def plain(self, user: str, vhost: str = "secured") -> str:
        return f"amqp://{user}:{WRITTEN}@{HOST}:{self.server.broker.port}/{vhost}"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def rabbit(files: Certificates, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Rabbit]:
    port = free_port()
    with skipped_where_missing():
        server = tls.rabbitmq(tmp_path_factory.mktemp("rabbitmq"), files, port)
    users = {"engine": (".*", ".*", ".*"), "agent": ("", "agents", r"service\..*"), "reader": ("", "", ".*")}
    try:
        await server.start()
        async with server.broker.management() as management:
            (await management.put("/vhosts/secured")).raise_for_status()
            for user, (configure, write, read) in users.items():
                may = {"configure": configure, "write": write, "read": read}
                (await management.put(f"/users/{user}", json={"password": PASSWORD, "tags": ""})).raise_for_status()
                (await management.put(f"/permissions/secured/{user}", json=may)).raise_for_status()
        address = f"amqps://engine:{WRITTEN}@{HOST}:{port}/secured"
        own = {"rabbitmq_ca": files.ca, "rabbitmq_cert": files.cert, "rabbitmq_key": files.key}
        yield Rabbit({"rabbitmq": address, **own}, server)
    finally:
        server.end()


async def test_rabbitmq_is_reached_by_tls_and_looked_at(rabbit: Rabbit) -> None:
    address = servers.rabbitmq_address(Settings(**rabbit.given))
    connection = await aio_pika.connect_robust(address.url, ssl_context=address.context)
    async with connection, connection.channel() as channel:
        queue = await channel.declare_queue("one", exclusive=True)
        await channel.default_exchange.publish(aio_pika.Message(b"me"), "one")
        async with queue.iterator(timeout=PATIENCE) as messages:
            assert (await anext(messages)).body == b"me"
    found = await looked(**rabbit.given)
    assert found.well, found.problems
    assert found.facts.pop("version").startswith("RabbitMQ ")
    assert found.facts == {
        "vhost": "secured",
        "user": "engine",
        "tls": True,
        "mayDeclare": True,
        "mayConsume": True,
        "mayPublish": True,
        "blocked": False,
    }


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"rabbitmq_ca": "other_ca"}, "its certificate is not trusted: "),
        ({"rabbitmq": (WRITTEN, "wrong")}, "it does not take our user or password"),
        ({"rabbitmq": (HOST, "localhost")}, "its certificate is of another host: "),
        ({"rabbitmq": ("/secured", "/nowhere")}, "it does not let us into the vhost: "),
    ],
)
async def test_rabbitmq_says_why_it_is_not_reached(
    rabbit: Rabbit, files: Certificates, changed: Given, said: str
) -> None:
    given = dict(rabbit.given)
    for name, change in changed.items():
        given[name] = files.other_ca if name == "rabbitmq_ca" else given[name].replace(*change)
    assert why_not(await looked(**given)).startswith(said)


async def test_rabbitmq_that_asks_for_a_certificate_is_told(rabbit: Rabbit, files: Certificates) -> None:
    found = await looked(rabbitmq=rabbit.given["rabbitmq"], rabbitmq_ca=files.ca)
    assert not found.reached
    assert "TRIGGER_ENGINE_RABBITMQ_CERT and TRIGGER_ENGINE_RABBITMQ_KEY" in found.problems[0].remedy


async def test_tls_where_there_is_none_and_none_where_there_is_are_told(rabbit: Rabbit, files: Certificates) -> None:
    plain = rabbit.plain("engine")
    without = await looked(rabbitmq=plain.replace("amqp:", "amqps:"), rabbitmq_ca=files.ca)
    assert why_not(without) == "what answers there speaks no TLS"
    within = await looked(rabbitmq=rabbit.given["rabbitmq"].replace("amqps:", "amqp:"))
    assert why_not(within) == "it hung up at once"


async def test_an_agents_user_need_not_declare(rabbit: Rabbit) -> None:
    found = await looked(rabbitmq=rabbit.plain("agent"))
    assert found.well, found.problems
    assert (found.facts["mayDeclare"], found.facts["mayConsume"]) == (False, True)
    found = await looked(rabbitmq=rabbit.plain("reader"))
    assert why_not(found, reached=True) == "reader may not write in the vhost 'secured'"
    [_, found] = await every.every_server(
        Settings(database=f"postgresql://{HOST}:9/x", rabbitmq=rabbit.plain("reader")), Path("/nowhere")
    )
    assert why_not(found, reached=True) == "reader may not configure, write in the vhost 'secured'"


async def test_rabbitmq_that_is_blocked_is_told(rabbit: Rabbit) -> None:
    short_of_memory = "{resource_limit, memory, node()}"
    await rabbit.server.control("eval", f"rabbit_alarm:set_alarm({{{short_of_memory}, []}}).")
    try:
        found = await looked(rabbitmq=rabbit.plain("engine"))
    finally:
        await rabbit.server.control("eval", f"rabbit_alarm:clear_alarm({short_of_memory}).")
    assert found.facts["blocked"] is True
    assert why_not(found, reached=True) == "it is blocked: it takes nothing that is published"


# All of them, as a person has them


@pytest.fixture
def settings_file(postgres: Postgres, kafka_: Kafka, rabbit: Rabbit, tmp_path: Path) -> Path:
    """Every secret in a file of its own."""
    given = {"database": postgres.url(), **kafka_.by_password, **rabbit.given}
    lines = []
    for name, value in given.items():
        if PASSWORD in value or WRITTEN in value:
            (tmp_path / name).write_text(value + "\n")
            name, value = f"{name}_file", str(tmp_path / name)
        lines.append(f"{name} = {json.dumps(value)}\n")
    (tmp_path / "settings.toml").write_text("".join(lines))
    return tmp_path / "settings.toml"


def test_check_tells_of_each_server_of_the_settings_file(settings_file: Path) -> None:
    done = typed("check", TRIGGER_ENGINE_SETTINGS=str(settings_file))
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.split("  ")[:2] for line in done.stdout.splitlines() if line[0] != " "] == [
        ["PostgreSQL", "well"],
        ["Kafka", "well"],
        ["RabbitMQ", "well"],
    ]
    assert PASSWORD not in done.stdout
    assert WRITTEN not in done.stdout


def test_check_ends_otherwise_when_one_is_not_reached_and_shows_no_secret(settings_file: Path) -> None:
    plain = {f"TRIGGER_ENGINE_RABBITMQ_{name}": "" for name in ("CA", "CERT", "KEY")}
    wrong = f"amqp://engine:{WRITTEN}@{HOST}:9/secured"
    environment = {"TRIGGER_ENGINE_SETTINGS": str(settings_file), "TRIGGER_ENGINE_RABBITMQ": wrong, **plain}
    done = typed("check", "--json", **environment)
    assert done.returncode == 5
    told = json.loads(done.stdout)
    assert [(server["server"], server["well"]) for server in told["servers"]] == [
        ("PostgreSQL", True),
        ("Kafka", True),
        ("RabbitMQ", False),
    ]
    assert told["servers"][2] | {"problems": []} == {
        "server": "RabbitMQ", "address": f"amqp://engine:***@{HOST}:9/secured", "reached": False, "well": False,
        "facts": {}, "problems": [],
    }  # fmt: skip
    assert not any(secret in done.stdout + done.stderr for secret in (PASSWORD, WRITTEN))


async def looked(**given: Any) -> Finding:
    """What is found of the one server that the settings name; no secret is in it."""
    [found] = await every.every_server(Settings(**given), Path("/nowhere"))
    shown = repr(found)
    assert PASSWORD not in shown
    assert WRITTEN not in shown
    return found


def why_not(found: Finding, *, reached: bool = False) -> str:
    assert found.reached is reached, found
    [problem] = found.problems
    assert problem.remedy
    return problem.wrong
