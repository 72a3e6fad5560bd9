"""What an agent needs of its service: the definition and the code, both from the gateway, never from the database."""

from __future__ import annotations

import asyncio
import io
import json
import os
import shutil
import tempfile
import zipfile
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path, PurePosixPath
from typing import Any

import httpx
import msgspec

from agent.gateway import client_of
from agent.process import ModuleSpec
from agent.run import Rules
from backbone.model.definitions import Module, Runtime
from backbone.model.errors import InvalidDefinition, Unavailable

MAX_UNPACKED = 500_000_000

_TOLD = ("id", "name", "projectId", "botUserName")
"""What functions are told of their service."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A service, ready to be started."""

    name: str
    concurrency: int
    rules: Rules
    module: ModuleSpec


async def load(gateway: str, token: str | None, service_id: str, cache: Path) -> Loaded:
    """Raises Unavailable when the gateway does not answer as it should, InvalidDefinition when the code is unusable."""
    async with client_of(gateway, token) as client:
        deployment = (await _ask(client, f"/agents/{service_id}")).json()
        service, package = deployment["service"], deployment["package"]
        folder = await _unpacked(client, service_id, package["codebase"]["itemId"], cache)
    module = _module(package, service["moduleName"])
    runtime = msgspec.convert(service["runtime"], Runtime)
    return Loaded(
        name=service["name"],
        concurrency=runtime.concurrency,
        rules=Rules(
            execution_timeout=timedelta(seconds=service["executionTimeout"]),
            drain_time=timedelta(seconds=service["drainTime"]),
            on_reset=service["onReset"],
        ),
        module=ModuleSpec(
            folder=folder,
            entry_point=module.entry_point,
            class_name=module.class_name,
            init_params=json.dumps(service.get("initParams") or {}).encode(),
            functions=msgspec.json.encode(module.functions),
            service=json.dumps({name: service[name] for name in _TOLD}).encode(),
            concurrency=runtime.concurrency,
            environment=_environment(),
        ),
    )


async def _ask(client: httpx.AsyncClient, path: str) -> httpx.Response:
    try:
        response = await client.get(path)
    except httpx.HTTPError as error:
        raise Unavailable("gateway", f"GET {path}: {error or type(error).__name__}") from error
    if response.status_code != 200:
        raise Unavailable("gateway", f"GET {path} answered {response.status_code}: {response.text[:200]}")
    return response


def _module(package: dict[str, Any], name: str) -> Module:
    modules = msgspec.convert(package["modules"], list[Module])
    for module in modules:
        if module.name == name:
            return module
    raise InvalidDefinition("moduleName", f"{name!r} is not a module of package {package['name']!r}")


def _environment() -> dict[str, str]:
    """What the functions' process sees of ours: nothing that is the engine's own."""
    return {
        name: value for name, value in os.environ.items() if not name.startswith(("TRIGGER_ENGINE_", "PROMETHEUS_"))
    }


async def _unpacked(client: httpx.AsyncClient, service_id: str, codebase_id: str, cache: Path) -> Path:
    """The folder of the code; unpacked once a machine, and never half."""
    folder = cache / codebase_id
    if not await asyncio.to_thread(folder.exists):
        archive = (await _ask(client, f"/agents/{service_id}/codebases/{codebase_id}")).content
        await asyncio.to_thread(_install, archive, folder)
    return await asyncio.to_thread(_root, folder)


def _install(archive: bytes, folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".unpacking-"))
    try:
        unpack(archive, fresh)
        fresh.rename(folder)
    except OSError:
        if not folder.exists():  # another agent was first, which is as good
            raise
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _root(folder: Path) -> Path:
    """A zip that holds one folder and nothing else means that folder."""
    inside = list(folder.iterdir())
    return inside[0] if len(inside) == 1 and inside[0].is_dir() else folder


def unpack(archive: bytes, folder: Path) -> None:
    """Only plain files, only below `folder`, only so many bytes. Raises InvalidDefinition for anything else."""
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as zipped:
            left = MAX_UNPACKED
            for info in zipped.infolist():
                if info.is_dir():
                    continue
                target = folder / _safe(info)
                target.parent.mkdir(parents=True, exist_ok=True)
                left -= info.file_size
                if left < 0:
                    raise InvalidDefinition("codebase", f"unpacks to more than {MAX_UNPACKED:,} bytes")
                with zipped.open(info) as source, target.open("xb") as copy:
                    shutil.copyfileobj(source, copy)
    except (zipfile.BadZipFile, FileExistsError) as error:
        raise InvalidDefinition("codebase", f"is not a zip that can be used: {error}") from error


def _safe(info: zipfile.ZipInfo) -> PurePosixPath:
    path = PurePosixPath(info.filename.replace("\\", "/"))
    kind = (info.external_attr >> 16) & 0o170000
    if path.is_absolute() or ".." in path.parts or kind not in (0, 0o100000):
        raise InvalidDefinition("codebase", f"{info.filename!r} is not a plain file below the package's folder")
    return path
