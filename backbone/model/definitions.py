"""Packages and services: the code of users, and how it is to be run.

The written shapes are the platform's (package.json, service.json and the API's entities); unknown keys are let
through where a client sends back the whole entity. `normalise` irons out what the platform's clients vary in.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import PurePosixPath
from typing import Any, Literal

import msgspec

from backbone.model import written_form
from backbone.model.errors import InvalidDefinition

MAX_NAME_LENGTH = 100
NAME_PATTERN = rf"[A-Za-z0-9][A-Za-z0-9 ._-]{{0,{MAX_NAME_LENGTH - 1}}}"
NAME_RULE = f"up to {MAX_NAME_LENGTH} letters, digits, spaces, '.', '_' and '-', a letter or digit first"

SERVICE_LIMITS = {"executionTimeout": (1, 7 * 24 * 3600), "drainTime": (0, 24 * 3600), "maxAttempts": (1, 100)}
RUNTIME_LIMITS = {"concurrency": (1, 1000), "numReplicas": (1, 100)}

_NAME = re.compile(NAME_PATTERN)
_REVISION = re.compile(r"[0-9]{1,9}")


class FunctionInput(msgspec.Struct, frozen=True, omit_defaults=True):
    name: str
    type: str = "Json"
    description: str | None = None
    value: Any = None


class Function(msgspec.Struct, frozen=True):
    name: str = "run"
    description: str = ""
    input: list[FunctionInput] = []
    output: list[FunctionInput] = []


class Module(msgspec.Struct, frozen=True, rename="camel"):
    """A Python file of the codebase and what in it may be called. `className` null: plain functions of the file."""

    name: str = "default_module"
    entry_point: str = "main.py"
    class_name: str | None = "ServiceRunner"
    init_inputs: list[FunctionInput] = []
    functions: list[Function] = []


class PackageDocument(msgspec.Struct, frozen=True, rename="camel"):
    name: str
    modules: list[Module]
    project: str | None = None
    project_id: str | None = None
    codebase: dict[str, Any] | None = None
    schema: str | None = msgspec.field(name="$schema", default=None)


class Runtime(msgspec.Struct, frozen=True, rename="camel"):
    """`concurrency`: executions at a time in one agent, each on a thread of its own."""

    concurrency: int = 10
    num_replicas: int = 1


class ServiceDocument(msgspec.Struct, frozen=True, rename="camel"):
    name: str
    package_name: str | None = None
    package_id: str | None = None
    package_revision: str | int | None = None
    module_name: str | None = None
    project: str | None = None
    project_id: str | None = None
    runtime: dict[str, Any] | None = None
    init_params: dict[str, Any] | None = None
    execution_timeout: int = 3600
    drain_time: int = 600
    max_attempts: int = 3
    on_reset: Literal["failed", "rerun"] = "failed"
    active: bool = True
    triggers: list[dict[str, Any]] = []
    schema: str | None = msgspec.field(name="$schema", default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    id: str
    name: str
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """One revision of a package: what a service runs. Revisions are never changed, only added."""

    id: str
    project_id: str
    name: str
    revision: int
    modules: tuple[Module, ...]
    codebase_id: str
    created_at: datetime
    updated_at: datetime
    creator: str

    @property
    def version(self) -> str:
        return f"1.0.{self.revision}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    id: str
    project_id: str
    name: str
    package_id: str
    package_revision: int
    module_name: str
    runtime: Runtime
    init_params: dict[str, Any]
    execution_timeout: timedelta
    drain_time: timedelta
    max_attempts: int
    on_reset: Literal["failed", "rerun"]  #: what becomes of executions whose agent was lost
    active: bool
    version: int
    created_at: datetime
    updated_at: datetime
    creator: str

    @property
    def bot(self) -> str:
        """Who the service's own writes are by."""
        return bot_of(self.id)


BOTS = "@bot.trigger-engine"


def bot_of(service_id: str) -> str:
    return service_id + BOTS


def parse_package(document: object) -> PackageDocument:
    package = written_form.convert(_normalise_package(document), PackageDocument, InvalidDefinition)
    check_name(package.name, "name")
    if not package.modules:
        raise InvalidDefinition("modules", "is empty; a package needs at least one module")
    for index, module in enumerate(package.modules):
        _check_entry_point(module.entry_point, f"modules[{index}].entryPoint")
    return package


def _check_entry_point(entry_point: str, path: str) -> None:
    file = PurePosixPath(entry_point)
    if file.suffix != ".py" or file.is_absolute() or ".." in file.parts or "\\" in entry_point:
        shown = written_form.clipped(entry_point)
        raise InvalidDefinition(path, f"{shown!r} is not a .py file inside the package")


def parse_service(document: object) -> ServiceDocument:
    service = written_form.convert(document, ServiceDocument, InvalidDefinition)
    check_name(service.name, "name")
    _check_limits(service, SERVICE_LIMITS, "")
    parse_runtime(service.runtime)
    return service


def parse_runtime(document: dict[str, Any] | None) -> Runtime:
    """`replicas` is the older spelling of `numReplicas`; what this runtime has no use for is let through."""
    given = dict(document or {})
    if "numReplicas" not in given and "replicas" in given:
        given["numReplicas"] = given["replicas"]
    runtime = written_form.convert(given, Runtime, InvalidDefinition, "runtime")
    _check_limits(runtime, RUNTIME_LIMITS, "runtime")
    return runtime


def _check_limits(written: msgspec.Struct, limits: Mapping[str, tuple[int, int]], path: str) -> None:
    for field in msgspec.structs.fields(written):
        if field.encode_name in limits:
            value, (low, high) = getattr(written, field.name), limits[field.encode_name]
            if not low <= value <= high:
                where = written_form.joined(path, field.encode_name)
                raise InvalidDefinition(where, f"{value} is out of range; expected {low} to {high}")


def check_name(name: str, path: str) -> None:
    if not _NAME.fullmatch(name):
        shown = written_form.clipped(name)
        raise InvalidDefinition(path, f"{shown!r} is not a name: {NAME_RULE}")


def revision_of(value: str | int | None, latest: int) -> int:
    """`latest`, `1.0.7` and 7 are the spellings of a package revision that clients use."""
    if value in (None, "latest"):
        return latest
    text = str(value).removeprefix("1.0.")
    if not _REVISION.fullmatch(text) or int(text) > latest:
        shown = written_form.clipped(text)
        raise InvalidDefinition(
            "packageRevision", f"{shown!r} is not a revision of this package; the latest is 1.0.{latest}"
        )
    return int(text)


def _normalise_package(document: object) -> object:
    """Clients send inputs as an object, a list or null, and leave the class out: one form goes on from here."""
    if not isinstance(document, dict) or not isinstance(document.get("modules"), list):
        return document
    return {**document, "modules": [_normalise_module(module) for module in document["modules"]]}


def _normalise_module(module: Any) -> Any:
    if not isinstance(module, dict):
        return module
    normal = {name: value for name, value in module.items() if value is not None or name == "className"}
    if "initInputs" in normal:
        normal["initInputs"] = _as_list(normal["initInputs"])
    if isinstance(normal.get("functions"), list):
        normal["functions"] = [_normalise_function(function) for function in normal["functions"]]
    return normal


def _normalise_function(function: Any) -> Any:
    if not isinstance(function, dict):
        return function
    normal = {name: value for name, value in function.items() if value is not None}
    return {**normal, **{name: _as_list(normal[name]) for name in ("input", "output") if name in normal}}


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, dict) else value
