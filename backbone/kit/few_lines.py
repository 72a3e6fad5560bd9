"""Few enough lines to be read: while a server is away, whoever needs it could write a hundred a second.

A process writes ten a minute then, at most; those who say the same again and again share them.
"""

from __future__ import annotations

import logging
from typing import Final

MINUTE: Final = 60.0  # seconds


class Few(logging.Filter):
    """Lets the first lines of each minute through. The rest is counted, and the next line that comes through tells how
    many there were."""

    def __init__(self, lines: int) -> None:
        super().__init__()
        self._lines = lines
        self._began = float("-inf")
        self._shown = 0
        self._held_back = 0

    def filter(self, record: logging.LogRecord) -> bool:
        if record.created - self._began >= MINUTE:
            self._began, self._shown = record.created, 0
        if self._shown >= self._lines:
            self._held_back += 1
            return False
        self._shown += 1
        if self._held_back:
            record.held_back, self._held_back = self._held_back, 0
        return True
