"""compose.yaml and the Dockerfile say nothing that the code does not know, and leave nothing out."""

from __future__ import annotations

import re
import tomllib
from dataclasses import fields
from pathlib import Path

import pytest

from launcher import compose_secrets
from launcher.cli.commands.run import ROLES
from launcher.settings import PREFIX, Settings, from_environment
from tests.support import compose
from tests.support.compose import ROOT

SERVICES = compose.services()
OURS = compose.ours()
SETTINGS = {field.name for field in fields(Settings)}
PAGE = (ROOT / "docs" / "deployment.md").read_text(encoding="utf-8")


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    compose_secrets.write(tmp_path / "secrets")
    return tmp_path / "secrets"


def test_every_role_of_a_container_is_one_and_none_but_those_of_one_terminal_is_left_out() -> None:
    roles = []
    for name, service in OURS.items():
        word, role = service["command"]
        assert (word, role in ROLES) == ("run", True), name
        roles.append(role)
    assert sorted(roles) == sorted(set(ROLES) - {"agent", "all"})


@pytest.mark.parametrize("name", OURS)
def test_what_a_container_is_given_are_settings_that_read(name: str, secrets: Path) -> None:
    given = {
        variable: value.replace("/run/secrets", str(secrets)) for variable, value in OURS[name]["environment"].items()
    }
    for variable in given:
        field = variable.removeprefix(PREFIX).lower()
        assert field in SETTINGS or field.removesuffix("_file") in SETTINGS, variable
    needs = ("rabbitmq", "url") if name == "agents" else ("database", "kafka", "rabbitmq")
    from_environment(given, needs=needs)


@pytest.mark.parametrize("name", SERVICES)
def test_every_container_is_watched_bounded_restarted_and_given_time_to_end(name: str) -> None:
    service = SERVICES[name]
    assert service["healthcheck"]["test"][0] == "CMD"
    for what in ("mem_limit", "cpus", "pids_limit", "stop_grace_period", "networks"):
        assert service[what], what
    assert service["restart"] == "unless-stopped"


@pytest.mark.parametrize("name", OURS)
def test_our_containers_may_write_nowhere_and_have_no_rights(name: str) -> None:
    service = OURS[name]
    assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
    assert "no-new-privileges:true" in service["security_opt"]
    written = {*service["tmpfs"], *(volume.partition(":")[2] for volume in service.get("volumes", ()))}
    assert written == {"/tmp", "/data"}


def test_a_container_waits_until_what_it_needs_is_healthy() -> None:
    for name, service in SERVICES.items():
        for needed, how in service.get("depends_on", {}).items():
            assert needed in SERVICES, name
            assert how == {"condition": "service_healthy"}, name


def test_volumes_and_networks_are_declared_and_used() -> None:
    document = compose.document()
    volumes = {each.partition(":")[0] for service in SERVICES.values() for each in service.get("volumes", ())}
    networks = {each for service in SERVICES.values() for each in service["networks"]}
    assert (volumes, networks) == (set(document["volumes"]), set(document["networks"]))


def test_every_secret_is_mounted_for_who_names_it_and_made_by_the_command(secrets: Path) -> None:
    declared = compose.document()["secrets"]
    for name, service in SERVICES.items():
        named = set(re.findall(r"/run/secrets/([\w.]+)", str(service["environment"])))
        assert named == set(service.get("secrets", ())) <= set(declared), name
    files = {path.name for path in secrets.iterdir()}
    assert {each["file"] for each in declared.values()} <= {f"./secrets/{name}" for name in files}


def test_agents_reach_no_database_and_no_kafka() -> None:
    agents = OURS["agents"]
    assert not set(agents["networks"]) & {*SERVICES["postgres"]["networks"], *SERVICES["kafka"]["networks"]}
    assert set(agents["secrets"]) == {"rabbitmq_agents", "agents_token"}
    assert not [name for name in agents["environment"] if "DATABASE" in name or "KAFKA" in name]


def test_the_image_is_labelled_with_the_version_that_it_holds() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert f"ARG VERSION={version}\n" in (ROOT / "Dockerfile").read_text()


def test_the_image_is_built_from_every_package() -> None:
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    dockerfile, allowed = (ROOT / "Dockerfile").read_text(), (ROOT / ".dockerignore").read_text().split()
    for package in wheel["packages"]:
        assert f"COPY {package} {package}\n" in dockerfile
        assert f"!{package}" in allowed


def test_the_page_names_every_container_and_every_secret(secrets: Path) -> None:
    for name in SERVICES:
        assert f"| `{name}`" in PAGE
    for path in secrets.iterdir():
        assert f"| `{path.name}`" in PAGE
