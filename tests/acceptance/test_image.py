"""The image, built and run: every role as compose.yaml runs it, on real servers, and each ends in its grace period.

It needs a docker engine, and a base image to build on, named by TRIGGER_ENGINE_TEST_IMAGE_BASE; `make image-test` makes
one. Elsewhere it says that it did not run.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
import pytest_asyncio

from launcher import compose_secrets
from tests.support import compose, kafka, rabbitmq
from tests.support.compose import ROOT, Container, docker
from tests.support.proxy import Proxy, Streams
from tests.support.servers import free_port

BASE = "TRIGGER_ENGINE_TEST_IMAGE_BASE"
TO_BUILD = 1200.0  # seconds; packages come from an index
PATIENCE = 90.0
EVENTS = 50
LARGEST = 120  # MB of what is ours: the base has its own size
WAITING = ("created", "queued", "in-progress")

FUNCTIONS = """
import os

def run(item):
    return {"user": os.getuid(), "name": item["name"]}
"""


def _missing() -> str | None:
    if not os.environ.get(BASE):
        return f"{BASE} names no base to build it on (make image-test)"
    try:
        done = subprocess.run(["docker", "info"], capture_output=True, text=True, timeout=PATIENCE)
    except (FileNotFoundError, subprocess.TimeoutExpired) as error:
        return f"no docker engine answers: {error}"
    return f"no docker engine answers: {(done.stdout + done.stderr).splitlines()[-1]}" if done.returncode else None


if _why_not := _missing():
    pytest.skip(f"the image is not tested: {_why_not}", allow_module_level=True)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def image() -> AsyncIterator[str]:
    name = f"trigger-engine-test:{secrets.token_hex(4)}"
    await docker("build", "--build-arg", f"BASE={os.environ[BASE]}", "--tag", name, ROOT, within=TO_BUILD)
    try:
        yield name
    finally:
        await docker("rmi", "--force", name)


class Cluster:
    """Containers of one test."""

    def __init__(self, image: str, folder: Path) -> None:
        self.image = image
        self.secrets = folder / "secrets"
        self.environment: dict[str, str] = {}
        self.gateway_port = free_port()
        self._name = f"trigger-engine-test-{secrets.token_hex(4)}"
        self.containers: list[Container] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.gateway_port}"

    async def start(self, role: str, *more: str) -> Container:
        service = compose.ours()[role]
        port = self.gateway_port if role == "gateway" else free_port()
        own = {**self.environment, "TRIGGER_ENGINE_HOST": "127.0.0.1", "TRIGGER_ENGINE_STATUS_PORT": str(port)}
        if "TRIGGER_ENGINE_URL" in service["environment"]:
            own["TRIGGER_ENGINE_URL"] = self.url
        if role == "gateway":
            own["TRIGGER_ENGINE_PORT"] = str(port)
        container = Container(f"{self._name}-{role}-{port}", service, port)
        self.containers.append(container)
        words = compose.options(service, own, self.secrets)
        await docker("run", "--detach", "--name", container.name, *words, *more, self.image, *service["command"])
        return container

    async def cli(self, *words: str, mounted: Path) -> str:
        return await docker(
            *("run", "--rm", "--network", "host", "--read-only", "--volume", f"{mounted}:/mounted:ro"),
            *("--volume", f"{self.secrets / 'token'}:/token:ro", self.image, *words),
            *("--url", self.url, "--token-file", "/token"),
        )

    async def end_whatever_is_left(self) -> None:
        for container in self.containers:
            await docker("rm", "--force", "--volumes", container.name)


@asynccontextmanager
async def cluster_of(image: str, folder: Path) -> AsyncIterator[Cluster]:
    cluster = Cluster(image, folder)
    try:
        yield cluster
    finally:
        await cluster.end_whatever_is_left()


@pytest.fixture
async def cluster(
    image: str,
    database: str,
    rabbitmq_server: rabbitmq.Broker,
    vhost: str,
    kafka_server: kafka.Broker,
    topic_prefix: str,
    tmp_path: Path,
) -> AsyncIterator[Cluster]:
    """With secrets as `compose-secrets` makes them, for servers that are here."""
    async with cluster_of(image, tmp_path) as cluster, _over_tcp(database) as address:
        compose_secrets.write(cluster.secrets)
        name = urlsplit(vhost).path[1:]
        made = {each: (cluster.secrets / each).read_text().strip() for each in compose_secrets.MADE}
        users = json.loads((cluster.secrets / "rabbitmq_definitions.json").read_text())
        [rights] = [each for each in users["permissions"] if each["user"] == "agents"]
        agents = f"agents-{secrets.token_hex(4)}"
        async with rabbitmq_server.management() as management:
            user = {"password": made["rabbitmq_agents_password"], "tags": ""}
            (await management.put(f"/users/{agents}", json=user)).raise_for_status()
            granted = {each: rights[each] for each in ("configure", "write", "read")}
            (await management.put(f"/permissions/{name}/{agents}", json=granted)).raise_for_status()
            place = f"{rabbitmq_server.host}:{rabbitmq_server.port}/{name}"
            _put(cluster.secrets / "database", address)
            _put(cluster.secrets / "rabbitmq", vhost)
            _put(cluster.secrets / "rabbitmq_agents", f"amqp://{agents}:{made['rabbitmq_agents_password']}@{place}")
            cluster.environment = {
                "TRIGGER_ENGINE_KAFKA": kafka_server.address,
                "TRIGGER_ENGINE_KAFKA_TOPIC": f"{topic_prefix}events",
                "TRIGGER_ENGINE_KAFKA_GROUP": topic_prefix,
            }
            try:
                yield cluster
            finally:
                await cluster.end_whatever_is_left()
                cluster.containers.clear()
                await management.delete(f"/users/{agents}")


@asynccontextmanager
async def _over_tcp(dsn: str) -> AsyncIterator[str]:
    """The address of a database for those who cannot reach the embedded server's socket."""
    parts = urlsplit(dsn)
    place = parse_qs(parts.query)
    if "host" not in place:
        yield dsn
        return
    async with _Socket(f"{place['host'][0]}/.s.PGSQL.{place['port'][0]}") as listener:
        yield f"postgresql://{parts.username}@127.0.0.1:{listener.port}{parts.path}"


class _Socket(Proxy):
    def __init__(self, path: str) -> None:
        super().__init__("", 0)
        self._path = path

    async def reach(self) -> Streams:
        return await asyncio.open_unix_connection(self._path)


def _put(file: Path, content: str) -> None:
    file.unlink()
    file.write_text(content + "\n")
    file.chmod(0o444)


async def _until(asked: Callable[[], Awaitable[bool]], what: str, cluster: Cluster) -> None:
    try:
        async with asyncio.timeout(PATIENCE):
            while not await asked():
                await asyncio.sleep(0.2)
    except TimeoutError:
        said = [f"{each.name}: {(await each.said())[-2000:]}" for each in cluster.containers]
        raise AssertionError(f"waited {PATIENCE:g} s in vain until {what}\n" + "\n".join(said)) from None


async def test_every_role_does_its_work_in_the_image_and_ends_in_its_grace_period(
    cluster: Cluster, tmp_path: Path
) -> None:
    roles = [name for name, service in compose.ours().items() for _ in range(service.get("scale", 1))]
    for role in roles:
        await cluster.start(role)
    for container in cluster.containers:
        await _until(container.is_healthy, f"{container.name} is healthy", cluster)
        assert await docker("exec", container.name, "id", "-u") == "10001"

    deployed = tmp_path / "folder" / "copied"
    deployed.mkdir(parents=True)
    (deployed / "main.py").write_text(FUNCTIONS)
    (deployed / "service.json").write_text(json.dumps({"name": "copied"}))
    operation = {"type": "function", "service": "copied", "functionName": "run"}
    spec = {"resource": "Item", "actions": ["Created"], "operation": operation}
    (deployed / "triggers.json").write_text(json.dumps({"triggers": [{"name": "on upload", "spec": spec}]}))
    events = [
        {"id": f"event-{n}", "resource": "Item", "action": "Created", "entity": {"id": f"item-{n}", "name": f"{n}.png"}}
        for n in range(EVENTS)
    ]
    (deployed.parent / "events.json").write_text(json.dumps(events))
    await cluster.cli("deploy", "/mounted/copied", "--project", "demo", mounted=deployed.parent)
    await cluster.cli("publish", "/mounted/events.json", "--project", "demo", mounted=deployed.parent)

    token = (cluster.secrets / "token").read_text().strip()
    async with httpx.AsyncClient(base_url=cluster.url, headers={"authorization": f"Bearer {token}"}) as client:
        ended: list[dict[str, Any]] = []

        async def have_ended() -> bool:
            wanted = {"resource": "executions", "filter": {}, "page": 0, "pageSize": 2 * EVENTS}
            ended[:] = (await client.post("/api/v1/query/faas", json=wanted)).json()["items"]
            return sum(each["latestStatus"]["status"] not in WAITING for each in ended) >= EVENTS

        await _until(have_ended, "all executions have ended", cluster)
    assert [each["latestStatus"]["status"] for each in ended] == ["success"] * EVENTS
    outputs = sorted((each["output"]["user"], each["output"]["name"]) for each in ended)
    assert outputs == sorted((10001, f"{n}.png") for n in range(EVENTS))

    for container in reversed(cluster.containers):
        took = await container.stop()
        assert took < compose.seconds(container.service["stop_grace_period"]), f"{container.name} took {took:.1f} s"
        assert "Traceback" not in await container.said()


async def test_a_container_that_waits_for_its_servers_ends_well_also_as_process_1(image: str, tmp_path: Path) -> None:
    async with cluster_of(image, tmp_path) as cluster:
        compose_secrets.write(cluster.secrets)
        _put(cluster.secrets / "database", f"postgresql://nobody@127.0.0.1:{free_port()}/nowhere")
        for role in ("engine", "gateway", "agents"):
            container = await cluster.start(role, "--init=false")

            async def waits(container: Container = container) -> bool:
                return await container.said() != ""

            await _until(waits, "it says what it waits for", cluster)
            assert not await container.is_healthy()
            assert await container.stop() < 10


async def test_the_image_is_small_and_tells_its_version(image: str) -> None:
    size, base = [
        int(await docker("image", "inspect", "--format", "{{.Size}}", name)) for name in (image, os.environ[BASE])
    ]
    assert (size - base) / 1e6 < LARGEST
    labels = json.loads(await docker("image", "inspect", "--format", "{{json .Config.Labels}}", image))
    assert labels["org.opencontainers.image.version"]
    assert "trigger-engine 0." in await docker("run", "--rm", image, "version")
    assert await docker("image", "inspect", "--format", "{{.Config.User}}", image) == "10001:10001"
