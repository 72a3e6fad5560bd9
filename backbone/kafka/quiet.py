"""aiokafka's log, few enough lines to be read: while a broker is away it writes a hundred a second."""

from __future__ import annotations

import logging
from typing import Final

from backbone.kit.few_lines import Few

LINES: Final = 3
"""Of aiokafka, a minute and process."""

_few = Few(LINES)


def fewer_lines() -> None:
    """From now on; calling it again changes nothing. What aiokafka does in order is not worth a line."""
    root = logging.getLogger("aiokafka")
    root.setLevel(logging.WARNING)
    # A filter holds for the lines of its own logger only, not for those of the loggers below it.
    for logger in (root, *logging.Logger.manager.loggerDict.values()):
        if isinstance(logger, logging.Logger) and logger.name.startswith("aiokafka"):
            logger.addFilter(_few)
