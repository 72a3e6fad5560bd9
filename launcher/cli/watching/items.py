"""A file as an Item of the platform, and what happened to it as an event. The same file is the same bytes."""

from __future__ import annotations

import mimetypes
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from backbone.model.causation import Causation
from backbone.model.errors import NotFound
from launcher.cli.watching.snapshot import Change

_IDENTITIES = uuid.UUID("5b6d6f0e-0f4a-5d0c-9f1e-6d1f0f3c2b7a")
_TYPES = mimetypes.MimeTypes(())  # not this machine's files: an item is the same wherever it is seen
_EPOCH = datetime.fromtimestamp(0, UTC)


@dataclass(frozen=True, slots=True)
class Place:
    """Where items are: the folder of files, and the names under which it is known to the engine."""

    folder: Path
    project: str
    dataset: str

    @classmethod
    def of(cls, folder: Path, project: str, dataset: str | None) -> Place:
        whole = folder.resolve()
        if not whole.is_dir():
            raise NotFound("folder", str(folder))
        return cls(whole, project, dataset or whole.name)


def item_id(place: Place, path: str) -> str:
    """24 hexadecimal digits, as the platform's: the same project, dataset and path is the same item."""
    return uuid.uuid5(_IDENTITIES, "\0".join((place.project, place.dataset, path))).hex[:24]


def event_id(item: str, change: Change) -> str:
    """The same change told twice is one event."""
    return str(
        uuid.uuid5(_IDENTITIES, "\0".join((item, change.action, str(change.seen.mtime_ns), str(change.seen.size))))
    )


def item(place: Place, change: Change) -> dict[str, Any]:
    parent, _, name = change.path.rpartition("/")
    return {
        "id": item_id(place, change.path),
        "name": name,
        "filename": f"/{change.path}",
        "dir": f"/{parent}",
        "type": "file",
        "hidden": False,
        "datasetId": place.dataset,
        "metadata": {
            "system": {"size": change.seen.size, "mimetype": mimetype(name), "originalname": name},
        },
        "createdAt": _moment(change.before.created_ns if change.before else change.seen.mtime_ns),
        "updatedAt": _moment(change.seen.mtime_ns),
        "stream": (place.folder / change.path).as_uri(),
    }


def event(place: Place, change: Change, causation: Causation | None) -> bytes:
    entity = item(place, change)
    document = {
        "id": event_id(entity["id"], change),
        "project": place.project,
        "resource": "Item",
        "action": change.action,
        "entity": entity,
        **({"causation": causation} if causation is not None else {}),
    }
    return msgspec.json.encode(document)


def mimetype(name: str) -> str:
    return _TYPES.guess_type(name, strict=False)[0] or "application/octet-stream"


def _moment(ns: int) -> str:
    return (_EPOCH + timedelta(microseconds=ns // 1000)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
