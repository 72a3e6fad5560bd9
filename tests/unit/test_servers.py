"""From settings to what the clients of the servers take; what cannot be right is refused with the setting's name."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
import trustme

from backbone.model.errors import Invalid
from launcher import servers
from launcher.settings import Settings

AMQPS = "amqps://u:hidden@h:5671/v"
CHARACTERS = "characters like / ? # @ : in a user or password are written %2F %3F %23 %40 %3A"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("certificates")
    authority = trustme.CA()
    own, other = authority.issue_cert("engine"), authority.issue_cert("other")
    written = {
        "ca": authority.cert_pem.bytes(),
        "cert": own.cert_chain_pems[0].bytes(),
        "key": own.private_key_pem.bytes(),
        "other_key": other.private_key_pem.bytes(),
        "text": b"no certificate",
        "broken": b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
    }
    for name, content in written.items():
        (folder / name).write_bytes(content)
    return {name: str(folder / name) for name in (*written, "absent")}


def refused(settings: Settings) -> str:
    with pytest.raises(Invalid) as caught:
        servers.rabbitmq_address(settings) if settings.rabbitmq else servers.kafka_options(settings)
    assert "hidden" not in str(caught.value)
    return str(caught.value)


MANAGEMENT = "http://admin:hid%2Fden@h:15672"


def test_rabbitmqs_management_is_for_the_vhost_of_its_address() -> None:
    found = servers.rabbitmq_management(Settings(rabbitmq="amqp://u:p@h/a%2Fb", rabbitmq_management=MANAGEMENT))
    assert found is not None
    assert (found.url, found.user, found.password, found.vhost) == ("http://h:15672", "admin", "hid/den", "a/b")
    assert "hid" not in repr(found)
    assert servers.rabbitmq_management(Settings(rabbitmq="amqp://u:p@h/v")) is None


@pytest.mark.parametrize(
    ("rabbitmq", "management", "reason"),
    [
        ("", MANAGEMENT, "TRIGGER_ENGINE_RABBITMQ: is not set: TRIGGER_ENGINE_RABBITMQ_MANAGEMENT is given"),
        (AMQPS, "h:15672", "does not begin http://"),
        (AMQPS, "http://admin@h:15672", "names no user and password: an administrator's are needed"),
    ],
)
def test_a_management_that_cannot_be_used_is_refused(rabbitmq: str, management: str, reason: str) -> None:
    with pytest.raises(Invalid) as caught:
        servers.rabbitmq_management(Settings(rabbitmq=rabbitmq, rabbitmq_management=management))
    assert reason in str(caught.value)
    assert "hid" not in str(caught.value)


def test_kafka_without_security_takes_the_servers_only() -> None:
    assert servers.kafka_options(Settings(kafka="a:1,b:2")) == {
        "bootstrap_servers": "a:1,b:2",
        "security_protocol": "PLAINTEXT",
    }


def test_kafka_with_a_password_is_told_who_comes() -> None:
    options = servers.kafka_options(
        Settings(kafka="a:1", kafka_security="sasl_ssl", kafka_user="u", kafka_password="hidden")
    )
    context = options.pop("ssl_context")
    assert options == {
        "bootstrap_servers": "a:1",
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": "u",
        "sasl_plain_password": "hidden",
    }
    assert context.cert_store_stats()["x509_ca"] > 0, "the operating system's certificates are trusted"


def test_every_server_has_to_show_who_it_is(files: dict[str, str]) -> None:
    ours = {"ca": files["ca"], "cert": files["cert"], "key": files["key"]}
    kafka = servers.kafka_options(
        Settings(kafka="a:1", kafka_security="ssl", **{f"kafka_{name}": file for name, file in ours.items()})
    )["ssl_context"]
    rabbitmq = servers.rabbitmq_address(
        Settings(rabbitmq=AMQPS, **{f"rabbitmq_{name}": file for name, file in ours.items()})
    ).context
    for context in (kafka, rabbitmq):
        assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
        assert context.cert_store_stats()["x509"] == 1, "nobody else is trusted"


def test_rabbitmq_without_tls_has_no_context() -> None:
    address = servers.rabbitmq_address(Settings(rabbitmq="amqp://u:hidden@h/v"))
    assert (address.url, address.context) == ("amqp://u:hidden@h/v", None)
    assert "hidden" not in repr(address)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"ca": "absent"}, "_CA: '{absent}' cannot be read: No such file or directory"),
        ({"ca": "text"}, "_CA: '{text}' is no PEM file with a certificate"),
        ({"ca": "broken"}, "_CA: '{broken}' holds no certificate that reads: "),
        ({"cert": "cert"}, "_KEY: is not set: a certificate and its key go together"),
        ({"key": "key"}, "_CERT: is not set: a certificate and its key go together"),
        ({"cert": "absent", "key": "key"}, "_CERT: '{absent}' cannot be read"),
        ({"cert": "key", "key": "key"}, "_CERT: '{key}' is no PEM file with a certificate"),
        ({"cert": "cert", "key": "cert"}, "_KEY: '{cert}' is no PEM file with a private key"),
        ({"cert": "broken", "key": "key"}, "_CERT: '{broken}' and '{key}' do not read: "),
        ({"cert": "cert", "key": "other_key"}, "_KEY: '{other_key}' is not the key of the certificate '{cert}'"),
    ],
)
@pytest.mark.parametrize("server", ["kafka", "rabbitmq"])
def test_a_file_that_cannot_serve_is_named(
    files: dict[str, str], server: str, given: dict[str, str], said: str
) -> None:
    reached = {"kafka": "a:1", "kafka_security": "ssl"} if server == "kafka" else {"rabbitmq": AMQPS}
    settings = Settings(**reached, **{f"{server}_{name}": files[file] for name, file in given.items()})  # type: ignore[arg-type]
    assert refused(settings).startswith(f"TRIGGER_ENGINE_{server.upper()}{said.format(**files)}")


def test_an_encrypted_key_is_refused_and_nobody_is_asked_for_its_password(
    files: dict[str, str], tmp_path: Path
) -> None:
    from cryptography.hazmat.primitives import serialization

    key = serialization.load_pem_private_key(Path(files["key"]).read_bytes(), None)
    encrypted = tmp_path / "key"
    encrypted.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"hidden"),
        )
    )
    settings = Settings(rabbitmq=AMQPS, rabbitmq_cert=files["cert"], rabbitmq_key=str(encrypted))
    assert f"TRIGGER_ENGINE_RABBITMQ_KEY: {str(encrypted)!r} is encrypted" in refused(settings)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (Settings(kafka_ca="x"), "KAFKA_CA: is set, and would not be used: TRIGGER_ENGINE_KAFKA_SECURITY is 'plai"),
        (Settings(kafka_user="x"), "KAFKA_USER: is set, and would not be used"),
        (Settings(kafka_password="hidden", kafka_security="ssl"), "KAFKA_PASSWORD: is set, and would not be used"),
        (Settings(kafka_security="sasl_ssl"), "KAFKA_USER: is not set: TRIGGER_ENGINE_KAFKA_SECURITY is 'sasl_ssl'"),
        (Settings(kafka_security="sasl_ssl", kafka_user="u"), "KAFKA_PASSWORD: is not set"),
        (
            Settings(
                kafka_security="sasl_plaintext", kafka_user="u", kafka_password="hidden", kafka_sasl_mechanism="PLAIN"
            ),
            "KAFKA_SASL_MECHANISM: 'PLAIN' would send the password as it is",
        ),
        (
            Settings(rabbitmq="amqp://h", rabbitmq_key="x"),
            "RABBITMQ_KEY: is set, and would not be used: TRIGGER_ENGINE_RABBITMQ does not begin amqps://",
        ),
    ],
)  # fmt: skip
def test_what_contradicts_itself_is_refused(settings: Settings, said: str) -> None:
    assert refused(settings).startswith("TRIGGER_ENGINE_" + said)


@pytest.mark.parametrize("password", ["hid#den", "hid/den", "1/hidden", "hid?den", "1?hidden", "1#hidden"])
def test_an_address_that_is_cut_by_its_password_is_refused_unseen(password: str) -> None:
    assert refused(Settings(rabbitmq=f"amqp://u:{password}@h:5672/v")).endswith(CHARACTERS)
    with pytest.raises(Invalid) as caught:
        servers.database_address(Settings(database=f"postgresql://u:{password}@h:5432/d"))
    assert "hidden" not in str(caught.value)


def test_an_address_of_another_kind_is_refused() -> None:
    assert "RABBITMQ: is not an address like amqp://user:password@host:port/name" in refused(
        Settings(rabbitmq="h:5672")
    )


def test_a_file_that_the_address_of_a_database_names_is_looked_for() -> None:
    address = "postgresql://u:hidden@h/d?sslmode=verify-full&sslrootcert=/nowhere/ca.pem"
    with pytest.raises(Invalid, match=r"^TRIGGER_ENGINE_DATABASE: '/nowhere/ca.pem' cannot be read: No such file"):
        servers.database_address(Settings(database=address))


@pytest.mark.parametrize("hosts", ["h:1,i:2", "[::1]:5432", "", "h%2Fx"])
def test_the_addresses_of_databases_are_those_of_the_client(hosts: str) -> None:
    address = f"postgresql://u:p@{hosts}/d?host=%2Ftmp&sslmode=verify-full&application_name=x"
    assert servers.database_address(Settings(database=address)) == address
