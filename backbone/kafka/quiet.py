"""aiokafka's log, few enough lines to be read: while a broker is away it writes a hundred a second."""

from __future__ import annotations

import logging
from typing import Final

LINES: Final = 3
"""Of aiokafka, a minute and process. The rest is counted, and the next line that comes through tells how many."""

MINUTE: Final = 60.0  # seconds


class Few(logging.Handler):
    """Hands on the first lines of each minute, as if the root logger had got them itself."""

    def __init__(self, lines: int = LINES) -> None:
        super().__init__()
        self._lines = lines
        self._began = float("-inf")
        self._shown = 0
        self._held_back = 0

    def emit(self, record: logging.LogRecord) -> None:
        if record.created - self._began >= MINUTE:
            self._began, self._shown = record.created, 0
        if self._shown >= self._lines:
            self._held_back += 1
            return
        self._shown += 1
        if self._held_back:
            record.held_back, self._held_back = self._held_back, 0
        root = logging.getLogger()
        if root.isEnabledFor(record.levelno):
            root.handle(record)


def fewer_lines() -> None:
    """From now on; calling it again changes nothing. What aiokafka does in order is not worth a line."""
    logger = logging.getLogger("aiokafka")
    if not any(isinstance(handler, Few) for handler in logger.handlers):
        logger.addHandler(Few())
        logger.setLevel(logging.WARNING)
        logger.propagate = False
