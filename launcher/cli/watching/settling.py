"""A file is told of when it is complete: when two looks some time apart saw the same. Pure; the clock is handed in."""

from __future__ import annotations

from datetime import timedelta

from launcher.cli.watching.looking import Seen

STEADY = timedelta(milliseconds=100)
"""How long a file must not have changed. A writer who pauses longer should write to a hidden name and rename."""


class Settling:
    """What changed and may change further. Absence settles too: who replaces a file may remove it first."""

    def __init__(self) -> None:
        self._since: dict[str, tuple[Seen | None, float]] = {}

    def __len__(self) -> int:
        return len(self._since)

    def paths(self) -> list[str]:
        return list(self._since)

    def saw(self, path: str, seen: Seen | None, now: float) -> None:
        before = self._since.get(path)
        if before is None or before[0] != seen:
            self._since[path] = (seen, now)

    def settled(self, now: float) -> dict[str, Seen | None]:
        """What has not changed for long enough; it is not looked at again until something happens to it."""
        done = {path: seen for path, (seen, since) in self._since.items() if now - since >= STEADY.total_seconds()}
        for path in done:
            del self._since[path]
        return done
