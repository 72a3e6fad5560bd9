"""The folder of an engine on this machine: who holds it, and where its parts are reached.

<data>/postgres/        the database
<data>/code/            unpacked packages
<data>/metrics/         what the parts count
<data>/locks/           one lock a role, held by the process that runs it
<data>/postgres.json    {"dsn", "pid"}, while the server runs
<data>/gateway.json     {"url", "token", "pid"}, while the gateway listens
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from backbone.model.errors import Conflict, Unavailable


class DataFolder:
    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.postgres = self.path / "postgres"
        self.metrics = self.path / "metrics"
        self._locks: list[int] = []

    def hold(self, roles: Iterable[str]) -> None:
        """Take the lock of each role. Raises Conflict naming who has one already."""
        (self.path / "locks").mkdir(parents=True, exist_ok=True)
        for role in roles:
            descriptor = os.open(self.path / "locks" / role, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                holder = os.read(descriptor, 200).decode(errors="replace").strip()
                os.close(descriptor)
                self.release()
                raise Conflict(f"{self.path} is in use: process {holder or 'unknown'} runs its {role}") from None
            os.ftruncate(descriptor, 0)
            os.write(descriptor, str(os.getpid()).encode())
            self._locks.append(descriptor)

    def release(self) -> None:
        for descriptor in self._locks:
            os.close(descriptor)
        self._locks.clear()

    def clear_metrics(self) -> None:
        """What parts that are gone have counted is not counted twice."""
        shutil.rmtree(self.metrics, ignore_errors=True)
        self.metrics.mkdir(parents=True)

    def write(self, name: str, document: dict[str, Any]) -> None:
        """Whole or not at all, and for its owner alone: it may hold a token."""
        fresh = self.path / f".{name}.{os.getpid()}"
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump({**document, "pid": os.getpid()}, file)
        fresh.rename(self.path / name)

    def read(self, name: str) -> dict[str, Any]:
        try:
            document: dict[str, Any] = json.loads((self.path / name).read_text())
        except FileNotFoundError:
            what = name.removesuffix(".json")
            raise Unavailable(
                what, f"none runs for {self.path}; start one with: trigger-engine up --only {what}"
            ) from None
        return document

    def remove(self, name: str) -> None:
        (self.path / name).unlink(missing_ok=True)
