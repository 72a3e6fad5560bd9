"""What a deploy changes of a package and a service that are there. Pure."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from backbone.model import definitions
from launcher.cli.declaring.plan import Difference
from launcher.cli.deploying.folder import Described

Document = dict[str, Any]

SETTINGS = ("moduleName", "initParams", "executionTimeout", "drainTime", "maxAttempts", "onReset", "active")


def same_modules(package: Document, described: Described) -> bool:
    """Whatever spelling the modules were sent in: compared is what they mean."""
    there = definitions.parse_package({"name": described.package.name, "modules": package["modules"]})
    return there.modules == described.package.modules


def new_service(described: Described) -> Document:
    service = described.service
    return {
        "name": service.name,
        "project": described.project,
        "packageName": described.package.name,
        "packageRevision": _wanted_revision(described),
        "moduleName": service.module_name or described.package.modules[0].name,
        "runtime": _runtime(service.runtime),
        "initParams": service.init_params or {},
        "executionTimeout": service.execution_timeout,
        "drainTime": service.drain_time,
        "maxAttempts": service.max_attempts,
        "onReset": service.on_reset,
        "active": service.active,
    }


def service_changes(service: Document, described: Described, latest: str) -> list[Difference]:
    """The revision follows the package; of the rest, only what service.json says is touched."""
    wanted = new_service(described)
    if wanted["packageRevision"] == "latest":
        wanted["packageRevision"] = latest
    pairs: list[tuple[str, Any, Any]] = [
        ("packageRevision", str(service["packageRevision"]), str(wanted["packageRevision"]))
    ]
    if "runtime" in described.said:
        pairs.append(("runtime", _runtime(service.get("runtime")), wanted["runtime"]))
    pairs += [(field, service.get(field), wanted[field]) for field in SETTINGS if field in described.said]
    return [Difference(field, before, after) for field, before, after in pairs if _told(before) != _told(after)]


def _wanted_revision(described: Described) -> str | int:
    return described.service.package_revision or "latest"


def _runtime(document: Document | None) -> Document:
    """What this engine knows of a runtime, whatever else the platform's has."""
    known: Document = msgspec.to_builtins(definitions.parse_runtime(document))
    return known


def _told(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
