"""The folder of secrets: random once, and what follows from it always."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path

import pytest

from backbone.model.errors import Invalid
from gateway import agent_tokens
from launcher import compose_secrets


def read(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text().strip() for path in folder.iterdir()}


def test_what_is_there_is_kept_and_what_is_missing_is_made(tmp_path: Path) -> None:
    compose_secrets.write(tmp_path / "secrets")
    before = read(tmp_path / "secrets")
    (tmp_path / "secrets" / "token").unlink()
    assert compose_secrets.write(tmp_path / "secrets")[0] == "token"
    after = read(tmp_path / "secrets")
    assert after["token"] != before["token"]
    assert after["agents_token"] == agent_tokens.of_host(after["token"])
    same = ("postgres_password", "rabbitmq_password", "database", "rabbitmq", "rabbitmq_agents")
    assert [after[name] for name in same] == [before[name] for name in same]


def test_no_two_are_alike(tmp_path: Path) -> None:
    for folder in ("one", "other"):
        compose_secrets.write(tmp_path / folder)
    made = [{**read(tmp_path / folder)}[name] for folder in ("one", "other") for name in compose_secrets.MADE]
    assert len(set(made)) == 2 * len(compose_secrets.MADE)
    assert min(map(len, made)) >= 32


def test_the_folder_is_closed_to_others_and_its_files_are_readable_in_containers(tmp_path: Path) -> None:
    compose_secrets.write(tmp_path / "secrets")
    assert (tmp_path / "secrets").stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "secrets").iterdir()} == {0o444}


def test_rabbitmq_gets_hashes_that_are_of_the_passwords_in_the_addresses(tmp_path: Path) -> None:
    compose_secrets.write(tmp_path)
    found = read(tmp_path)
    definitions = json.loads(found["rabbitmq_definitions.json"])
    for user, file in (("engine", "rabbitmq"), ("agents", "rabbitmq_agents")):
        [kept] = [each["password_hash"] for each in definitions["users"] if each["name"] == user]
        password = found[file].removeprefix(f"amqp://{user}:").partition("@")[0]
        assert password not in found["rabbitmq_definitions.json"]
        raw = base64.b64decode(kept)
        assert raw[4:] == hashlib.sha256(raw[:4] + password.encode()).digest()


def test_a_folder_that_cannot_be_filled_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Invalid, match="file/secrets' cannot be filled"):
        compose_secrets.write(tmp_path / "file" / "secrets")
