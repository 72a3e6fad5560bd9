"""aiokafka's log, few enough lines to be read: while a broker is away it writes a hundred a second."""

from __future__ import annotations

import logging
from typing import Final

LINES: Final = 3
"""Of aiokafka, a minute and process. The rest is counted, and the next line that comes through tells how many."""

MINUTE: Final = 60.0  # seconds


class Few(logging.Filter):
    """Lets the first lines of each minute through."""

    def __init__(self, lines: int = LINES) -> None:
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


_few = Few()


def fewer_lines() -> None:
    """From now on; calling it again changes nothing. What aiokafka does in order is not worth a line."""
    root = logging.getLogger("aiokafka")
    root.setLevel(logging.WARNING)
    # A filter holds for the lines of its own logger only, not for those of the loggers below it.
    for logger in (root, *logging.Logger.manager.loggerDict.values()):
        if isinstance(logger, logging.Logger) and logger.name.startswith("aiokafka"):
            logger.addFilter(_few)
