"""compose.yaml as Docker reads it, and its services as containers of one test, on the network of the host.

All that compose.yaml says of how a container of ours is run is kept: user, read-only root, temporary file systems,
capabilities, limits, grace, health check. Where servers are is given by the test.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
FILE = ROOT / "compose.yaml"
PORT = "8900"  # what every container of ours answers on

Service = Mapping[str, Any]


def document() -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    return read


def services() -> dict[str, Service]:
    read: dict[str, Service] = document()["services"]
    return read


def ours() -> dict[str, Service]:
    return {name: service for name, service in services().items() if "trigger-engine" in service["image"]}


def seconds(grace: str) -> float:
    assert grace.endswith("s"), grace
    return float(grace.removesuffix("s"))


async def docker(*words: str | Path, within: float = 60) -> str:
    """What it prints. Raises AssertionError with that when it fails."""
    code, said = await run("docker", *words, within=within)
    assert code == 0, f"docker {' '.join(map(str, words))} ended with {code}: {said[-3000:]}"
    return said.strip()


async def run(*words: str | Path, within: float = 60) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        *map(str, words),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(within):
            said, _ = await process.communicate()
    except BaseException:
        process.kill()
        await process.wait()
        raise
    assert process.returncode is not None
    return process.returncode, said.decode(errors="replace")


@dataclass(frozen=True)
class Container:
    name: str
    service: Service
    port: int

    async def is_healthy(self) -> bool:
        """As compose.yaml asks it."""
        _, *command = self.service["healthcheck"]["test"]
        words = [word.replace(f":{PORT}", f":{self.port}") for word in command]
        code, _ = await run("docker", "exec", self.name, *words)
        return code == 0

    async def state(self, what: str) -> str:
        return await docker("inspect", "--format", "{{" + what + "}}", self.name)

    async def said(self) -> str:
        return await docker("logs", self.name)

    async def stop(self) -> float:
        """Returns how long it took; asserts that it ended well."""
        clock = asyncio.get_running_loop().time
        began = clock()
        grace = seconds(self.service["stop_grace_period"])
        await docker("stop", "--time", f"{grace:.0f}", self.name, within=grace + 60)
        took = clock() - began
        code = await self.state(".State.ExitCode")
        assert code == "0", f"{self.name} ended with {code}: {(await self.said())[-3000:]}"
        return took


def options(service: Service, environment: Mapping[str, str], secrets: Path) -> list[str]:
    """Of `docker run`."""
    words = ["--network", "host", "--memory", service["mem_limit"], "--pids-limit", str(service["pids_limit"])]
    words += ["--cpus", str(min(service["cpus"], os.cpu_count() or 1))]
    words += ["--read-only"] if service["read_only"] else []
    words += ["--init"] if service["init"] else []
    words += [word for path in service["tmpfs"] for word in ("--tmpfs", path)]
    words += [word for name in service["cap_drop"] for word in ("--cap-drop", name)]
    words += [word for name in service["security_opt"] for word in ("--security-opt", name)]
    for name in service["secrets"]:
        words += ["--volume", f"{secrets / name}:/run/secrets/{name}:ro"]
    for volume in service.get("volumes", ()):
        words += ["--volume", volume.partition(":")[2]]  # one without a name, that goes with the container
    for name, value in {**service["environment"], **environment}.items():
        words += ["--env", f"{name}={value}"]
    return words
