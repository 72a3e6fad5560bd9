"""From the settings to what the clients of the servers take: addresses, TLS contexts, users.

A server is shown to be who it says whenever there is TLS: its certificate is checked, its name too, and there is no
setting to leave that out. What contradicts itself is refused here, before anybody connects: a certificate given for a
connection that is not encrypted would be a promise that nobody keeps.

PostgreSQL needs nothing of this: its address says all (`?sslmode=verify-full&sslrootcert=/…/ca.pem`).
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit

from backbone.model.errors import Invalid
from launcher.settings import PREFIX, Settings

if TYPE_CHECKING:
    from backbone.kafka.topics import Topic
    from backbone.rabbitmq.users import Management

_SPECIAL = "characters like / ? # @ : in a user or password are written %2F %3F %23 %40 %3A"


@dataclass(frozen=True, slots=True)
class RabbitAddress:
    url: str = field(repr=False)
    context: ssl.SSLContext | None


def database_address(settings: Settings) -> str:
    """Raises Invalid, without showing the address, when it is none."""
    _check_address("database", settings.database, ("postgresql", "postgres"))
    for name, file in parse_qsl(urlsplit(settings.database).query):
        if name in ("sslrootcert", "sslcert", "sslkey"):
            _read("database", file)
    return settings.database


def rabbitmq_address(settings: Settings) -> RabbitAddress:
    _check_address("rabbitmq", settings.rabbitmq, ("amqp", "amqps"))
    if urlsplit(settings.rabbitmq).scheme == "amqps":
        return RabbitAddress(settings.rabbitmq, _context(settings, "rabbitmq"))
    _refuse(
        settings, ("rabbitmq_ca", "rabbitmq_cert", "rabbitmq_key"), "TRIGGER_ENGINE_RABBITMQ does not begin amqps://"
    )
    return RabbitAddress(settings.rabbitmq, None)


def rabbitmq_management(settings: Settings) -> Management | None:
    """Where services are to have users of their own. Raises Invalid."""
    if not settings.rabbitmq_management:
        return None
    from backbone.rabbitmq.users import Management  # RabbitMQ's client is not installed everywhere

    _require(settings, ("rabbitmq",), "TRIGGER_ENGINE_RABBITMQ_MANAGEMENT is given")
    _check_address("rabbitmq_management", settings.rabbitmq_management, ("http", "https"))
    read = urlsplit(settings.rabbitmq_management)
    if not (read.username and read.password):
        raise Invalid(_name("rabbitmq_management"), "names no user and password: an administrator's are needed")
    return Management(
        url=f"{read.scheme}://{read.netloc.rpartition('@')[2]}{read.path}",
        user=unquote(read.username),
        password=unquote(read.password),
        vhost=unquote(urlsplit(settings.rabbitmq).path[1:]) or "/",
        tls=_context(settings, "rabbitmq") if read.scheme == "https" else None,
    )


def kafka_options(settings: Settings) -> dict[str, Any]:
    """What every client of aiokafka takes: consumer, producer, admin."""
    security = settings.kafka_security
    chosen = f"TRIGGER_ENGINE_KAFKA_SECURITY is {security!r}"
    options: dict[str, Any] = {"bootstrap_servers": settings.kafka, "security_protocol": security.upper()}
    if security in ("ssl", "sasl_ssl"):
        options["ssl_context"] = _context(settings, "kafka")
    else:
        _refuse(settings, ("kafka_ca", "kafka_cert", "kafka_key"), chosen)
    if security in ("sasl_plaintext", "sasl_ssl"):
        _require(settings, ("kafka_user", "kafka_password"), chosen)
        if settings.kafka_sasl_mechanism == "PLAIN" and security == "sasl_plaintext":
            raise Invalid(_name("kafka_sasl_mechanism"), f"'PLAIN' would send the password as it is: {chosen}")
        options["sasl_mechanism"] = settings.kafka_sasl_mechanism
        options["sasl_plain_username"] = settings.kafka_user
        options["sasl_plain_password"] = settings.kafka_password
    else:
        _refuse(settings, ("kafka_user", "kafka_password"), chosen)
    return options


def kafka_topic(settings: Settings) -> Topic:
    """The topic of the events, as it is to be."""
    from backbone.kafka.topics import Topic  # Kafka's client is not installed everywhere

    return Topic(
        name=settings.kafka_topic,
        partitions=settings.kafka_partitions,
        replicas=settings.kafka_replicas,
        in_sync=settings.kafka_in_sync,
        retention=settings.retention,
    )


def _context(settings: Settings, server: str) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH)
    ca, cert, key = (getattr(settings, f"{server}_{what}") for what in ("ca", "cert", "key"))
    if ca:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # which trusts nobody yet
        _check_pem(f"{server}_ca", ca, "CERTIFICATE")
        try:
            context.load_verify_locations(ca)
        except ssl.SSLError as error:
            raise Invalid(_name(f"{server}_ca"), f"{ca!r} holds no certificate that reads: {_reason(error)}") from None
    if cert or key:
        _require(settings, (f"{server}_cert", f"{server}_key"), "a certificate and its key go together")
        _load_own(context, server, cert, key)
    return context


def _load_own(context: ssl.SSLContext, server: str, cert: str, key: str) -> None:
    _check_pem(f"{server}_cert", cert, "CERTIFICATE")
    _check_pem(f"{server}_key", key, "PRIVATE KEY")

    def ask_nobody() -> str:
        raise Invalid(_name(f"{server}_key"), f"{key!r} is encrypted; give one that is not, in a file of its own")

    try:
        context.load_cert_chain(cert, key, ask_nobody)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise Invalid(_name(f"{server}_key"), f"{key!r} is not the key of the certificate {cert!r}") from None
        raise Invalid(_name(f"{server}_cert"), f"{cert!r} and {key!r} do not read: {_reason(error)}") from None


def _check_pem(name: str, file: str, wanted: str) -> None:
    if f"{wanted}-----".encode() not in _read(name, file):
        raise Invalid(_name(name), f"{file!r} is no PEM file with a {wanted.lower()}")


def _read(name: str, file: str) -> bytes:
    try:
        return Path(file).read_bytes()
    except (OSError, ValueError) as error:
        raise Invalid(_name(name), f"{file!r} cannot be read: {getattr(error, 'strerror', error)}") from None


def _check_address(name: str, address: str, schemes: tuple[str, ...]) -> None:
    expected = f"{schemes[0]}://user:password@host:port/name"
    try:
        read = urlsplit(address)
        _ = read.port if "," not in read.netloc else None  # several hosts: asyncpg reads them
    except ValueError:
        raise Invalid(_name(name), f"does not read as an address like {expected}; {_SPECIAL}") from None
    if read.scheme not in schemes:
        raise Invalid(_name(name), f"is not an address like {expected}: it does not begin {schemes[0]}://")
    if read.fragment or "@" in read.path + read.query:
        raise Invalid(_name(name), f"does not read as an address like {expected}; {_SPECIAL}")


def _require(settings: Settings, names: tuple[str, ...], why: str) -> None:
    for name in names:
        if not getattr(settings, name):
            raise Invalid(_name(name), f"is not set: {why}")


def _refuse(settings: Settings, names: tuple[str, ...], why: str) -> None:
    for name in names:
        if getattr(settings, name):
            raise Invalid(_name(name), f"is set, and would not be used: {why}")


def _name(setting: str) -> str:
    return PREFIX + setting.upper()


def _reason(error: ssl.SSLError) -> str:
    return (error.reason or str(error)).lower().replace("_", " ")
