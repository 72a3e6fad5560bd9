"""Logs are events: a sentence that never changes, and fields. One line each, readable in a terminal, or JSON."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Literal

import orjson

_PLAIN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}

Format = Literal["text", "json"]


def configure(part: str, *, form: Format = "text", level: str = "INFO") -> None:
    """Send what this process logs to stderr, under the name of its part."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json(part) if form == "json" else _Text(part))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for chatty in ("asyncio", "httpx", "httpcore", "uvicorn.error", "uvicorn.access", "watchfiles"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


def _fields(record: logging.LogRecord) -> dict[str, object]:
    return {name: value for name, value in vars(record).items() if name not in _PLAIN}


class _Text(logging.Formatter):
    def __init__(self, part: str) -> None:
        super().__init__()
        self._part = part

    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created).strftime("%H:%M:%S")
        level = "" if record.levelno == logging.INFO else record.levelname + " "
        fields = "".join(f" {name}={_shown(value)}" for name, value in _fields(record).items())
        line = f"{time} {self._part:<12} {level}{record.getMessage()}{fields}"
        return line if record.exc_info is None else f"{line}\n{self.formatException(record.exc_info)}"


class _Json(logging.Formatter):
    def __init__(self, part: str) -> None:
        super().__init__()
        self._part = part

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC),
            "level": record.levelname.lower(),
            "part": self._part,
            "event": record.getMessage(),
            **_fields(record),
        }
        if record.exc_info is not None:
            line["traceback"] = self.formatException(record.exc_info)
        try:
            return orjson.dumps(line, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
        except TypeError:  # half a surrogate pair, an integer of more than 64 bits
            return json.dumps(line, default=str, skipkeys=True)


def _shown(value: object) -> str:
    text = str(value)
    return repr(text) if " " in text or not text else text
