"""What was told of a watched folder: kept in a file, so that what changes while nobody watches is found."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from backbone.model.errors import Unavailable
from launcher.cli.watching.looking import Seen

Action = Literal["Created", "Updated", "Deleted"]


class Told(msgspec.Struct, frozen=True, array_like=True):
    """A file as its last event told it."""

    seen: Seen
    created_ns: int  #: the time of the file when it was first seen
    causation: str = ""  #: what its attribute held then


@dataclass(frozen=True, slots=True)
class Change:
    action: Action
    path: str
    seen: Seen  #: of what was deleted: the last that was told
    before: Told | None


def changes(told: Mapping[str, Told], now: Mapping[str, Seen | None]) -> list[Change]:
    """What happened to the files of `now`, None being one that is not there."""
    found = []
    for path, seen in now.items():
        before = told.get(path)
        if seen is None:
            if before is not None:
                found.append(Change("Deleted", path, before.seen, before))
        elif before is None:
            found.append(Change("Created", path, seen, None))
        elif not seen.is_content_of(before.seen):
            found.append(Change("Updated", path, seen, before))
    return found


class Snapshot:
    def __init__(self, file: Path) -> None:
        self._file = file
        self.told: dict[str, Told] = self._read()

    @classmethod
    def of(cls, data: Path, folder: Path, project: str, dataset: str) -> Snapshot:
        key = "\0".join((str(folder.resolve()), project, dataset))
        return cls(data / "watch" / f"{hashlib.sha256(os.fsencode(key)).hexdigest()[:32]}.json")

    def _read(self) -> dict[str, Told]:
        try:
            return msgspec.json.decode(self._file.read_bytes(), type=dict[str, Told])
        except FileNotFoundError:
            return {}
        except (OSError, msgspec.MsgspecError) as error:
            raise Unavailable("the snapshot of the folder", f"{self._file} cannot be read: {error}") from None

    def save(self) -> None:
        """Whole or not at all: a crash leaves the former one, whose difference is told again under the same ids."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        fresh = self._file.with_suffix(f".{os.getpid()}")
        with fresh.open("wb") as file:
            file.write(msgspec.json.encode(self.told))
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._file)
