"""Settings from a file, and secrets from files of their own."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from backbone.model.errors import Invalid
from launcher.settings import from_environment


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "settings.toml"


def read(file: Path, **variables: str) -> dict[str, object]:
    environment = {f"TRIGGER_ENGINE_{name}": value for name, value in variables.items()}
    settings = from_environment({"TRIGGER_ENGINE_SETTINGS": str(file), **environment}, needs=())
    return {name: getattr(settings, name) for name in ("database", "port", "lease", "kafka_password", "resources")}


def refused(file: Path, **variables: str) -> str:
    with pytest.raises(Invalid) as caught:
        read(file, **variables)
    return str(caught.value)


def test_a_file_gives_what_the_environment_does_not(file: Path) -> None:
    file.write_text(
        'port = 9000\nlease = "1m"\ndatabase = "postgresql://h/d"\nresources = ["Car:Created", "Bus:Lost"]\n'
    )
    assert read(file, PORT="9001") == {
        "database": "postgresql://h/d",
        "port": 9001,
        "lease": timedelta(minutes=1),
        "kafka_password": "",
        "resources": ("Car:Created", "Bus:Lost"),
    }


def test_text_of_the_file_reads_as_that_of_the_environment_does(file: Path) -> None:
    file.write_text('port = "9000"\nresources = "Car:Created; Bus:Lost"\n')
    assert (read(file)["port"], read(file)["resources"]) == (9000, ("Car:Created", "Bus:Lost"))


def test_a_secret_comes_from_a_file_of_its_own(file: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("hidden\n")
    file.write_text(f'kafka_password_file = "{secret}"\n')
    assert read(file)["kafka_password"] == "hidden"
    (tmp_path / "other").write_text("  two\nlines ")
    assert read(file, KAFKA_PASSWORD_FILE=str(tmp_path / "other"))["kafka_password"] == "  two\nlines "
    secret.write_text("7")
    assert read(file, PORT_FILE=str(secret))["port"] == 7


def test_what_is_given_twice_in_one_place_is_refused(file: Path, tmp_path: Path) -> None:
    file.write_text('kafka_password = "hidden"\nkafka_password_file = "/nowhere"\n')
    assert refused(file) == (
        f"{file}: kafka_password_file: gives what {file}: kafka_password gives too; one of them has to go"
    )
    file.write_text("")
    said = refused(file, TOKEN="hidden", TOKEN_FILE="/nowhere")
    assert said == ("TRIGGER_ENGINE_TOKEN_FILE: gives what TRIGGER_ENGINE_TOKEN gives too; one of them has to go")


def test_the_environment_wins_also_when_it_names_a_file(file: Path, tmp_path: Path) -> None:
    file.write_text('kafka_password = "old"\n')
    (tmp_path / "secret").write_text("new")
    assert read(file, KAFKA_PASSWORD_FILE=str(tmp_path / "secret"))["kafka_password"] == "new"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('kafka_topik = "x"', ": kafka_topik: is not a setting; did you mean {file}: kafka_topic?"),
        ('zebra = "x"', ": zebra: is not a setting; docs/settings.md has them all"),
        ('[kafka]\npassword = "hidden"', ": kafka: what is given is not text in quotes"),
        ("port = -1", ": port: -1 is not a whole number"),
        ("port = true", ": port: True is not a whole number"),
        ("lease = 30", ": lease: 30 is not text in quotes"),
        ('lease = "30"', ": lease: '30' is not a duration"),
        ("resources = [1]", ": resources: what is given is not text in quotes"),
        ("url = 7", ": url: 7 is not text in quotes"),
        ('lease = "amqp://u:hidden@h"', ": lease: 'amqp://u:***@h' is not a duration"),
        ('kafka_security = "tls"', ": kafka_security: 'tls' is not known; expected 'plaintext' or 'ssl' or"),
        ('kafka_password_file = "/nowhere/x"', ": kafka_password_file: '/nowhere/x' cannot be read: No such file"),
        ("port = x", ": is not TOML: Invalid value (at line 1, column 8)"),
    ],
)
def test_what_does_not_read_is_named_with_file_and_field(file: Path, text: str, said: str) -> None:
    file.write_text(text)
    assert refused(file).startswith(str(file) + said.replace("{file}", str(file)))


def test_a_value_that_is_secret_is_in_no_error(file: Path) -> None:
    file.write_text("kafka_password = 4711\n")
    assert refused(file) == f"{file}: kafka_password: what is given is not text in quotes"


def test_a_file_that_is_not_there_or_empty_is_named(file: Path, tmp_path: Path) -> None:
    assert refused(file) == f"TRIGGER_ENGINE_SETTINGS: {str(file)!r} cannot be read: No such file or directory"
    file.write_text("")
    (tmp_path / "empty").write_text("\n")
    assert refused(file, TOKEN_FILE=str(tmp_path / "empty")) == (
        f"TRIGGER_ENGINE_TOKEN_FILE: {str(tmp_path / 'empty')!r} is empty"
    )
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    assert "binary' cannot be read: it is not UTF-8" in refused(file, TOKEN_FILE=str(tmp_path / "binary"))


def test_a_misspelled_variable_is_refused_and_one_of_others_is_not() -> None:
    with pytest.raises(Invalid, match=r"KAFKA_PASSWD: is not a setting; did you mean TRIGGER_ENGINE_KAFKA_PASSWORD\?"):
        from_environment({"TRIGGER_ENGINE_KAFKA_PASSWD": "x"}, needs=())
    others = ("DATA", "PARENT", "STATUS_FD", "TEST_DATABASE", "TEST_KAFKA", "TEST_RABBITMQ")
    of_kubernetes = ("KAFKA_PORT", "KAFKA_SERVICE_HOST", "RABBITMQ_PORT", "GATEWAY_PORT", "PORT_8900_TCP")
    from_environment({f"TRIGGER_ENGINE_{name}": "x" for name in others + of_kubernetes}, needs=())


def test_what_a_role_needs_is_asked_for() -> None:
    with pytest.raises(Invalid, match=r"^TRIGGER_ENGINE_RABBITMQ: is not set$"):
        from_environment({"TRIGGER_ENGINE_URL": "http://h"}, needs=("url", "rabbitmq"))
