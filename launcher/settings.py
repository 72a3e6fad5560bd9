"""Settings: each has a name, a unit, a default and a reason; each is read from `TRIGGER_ENGINE_<NAME>`.

docs/settings.md is compared with this file by a test.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import timedelta
from typing import Any, Literal, get_type_hints

from backbone.model.errors import Invalid

PREFIX = "TRIGGER_ENGINE_"
_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    database: str = field(repr=False)
    """Where PostgreSQL is: `postgresql://…`. `trigger-engine up` starts one of its own and sets this for its parts."""

    host: str = "127.0.0.1"
    """What the gateway listens on. Beyond loopback it asks for a token."""

    port: int = 8900
    """The gateway's port; 0 takes any that is free."""

    token: str = field(default="", repr=False)
    """The bearer token that callers of the gateway show. Empty: none is asked for, and only loopback is listened on."""

    url: str = ""
    """Where the gateway is, for those who ask it: agents and the command line."""

    lease: timedelta = timedelta(seconds=30)
    """How long an agent may be silent before its executions are given to others. Longer than the longest pause of a
    busy machine that we saw, shorter than a user's patience."""

    retention: timedelta = timedelta(days=7)
    """How long events, executions, logs and dead letters are kept; they go by whole days. Claims stay."""

    max_depth: int = 10
    """How many executions in a row may lead to an event that still matches. Real chains seen are below 5."""

    scan_quota: int = 100
    """How many active triggers of one project may have filters that have to be asked of every event. A hundred cost
    each about 0.1 ms."""

    stop_grace: timedelta = timedelta(seconds=3)
    """How long a function may go on after Ctrl-C; then it is interrupted and run again at the next start."""

    resources: tuple[str, ...] = ()
    """Resources beside the platform's seven, each `Name:Action,Action`, separated by `;`."""

    log_format: Literal["text", "json"] = "text"
    """How a line of the log is written."""

    log_level: str = "INFO"
    """DEBUG, INFO, WARNING or ERROR."""


def from_environment(environment: Mapping[str, str] = os.environ, **given: Any) -> Settings:
    """`given` wins over the environment. Raises Invalid naming the variable whose value does not read."""
    types = get_type_hints(Settings)
    values: dict[str, Any] = {}
    for setting in fields(Settings):
        name = PREFIX + setting.name.upper()
        if name in environment:
            values[setting.name] = _read(name, environment[name], types[setting.name])
    values.update(given)
    if "database" not in values:
        raise Invalid(PREFIX + "DATABASE", "is not set: where is PostgreSQL? (trigger-engine up starts one)")
    return Settings(**values)


def _read(name: str, text: str, kind: Any) -> Any:
    if kind is int:
        if not text.isdecimal():
            raise Invalid(name, f"{text!r} is not a whole number")
        return int(text)
    if kind is timedelta:
        return duration(text, name)
    if kind == tuple[str, ...]:
        return tuple(part.strip() for part in text.split(";") if part.strip())
    if kind == Literal["text", "json"] and text not in ("text", "json"):
        raise Invalid(name, f"{text!r} is not known; expected 'text' or 'json'")
    return text


def duration(text: str, name: str) -> timedelta:
    """`250ms`, `30s`, `5m`, `1h`, `7d`."""
    found = _DURATION.fullmatch(text.strip())
    if not found:
        raise Invalid(name, f"{text!r} is not a duration; expected for instance 250ms, 30s, 5m, 1h or 7d")
    return timedelta(seconds=float(found.group(1)) * _UNITS[found.group(2)])
